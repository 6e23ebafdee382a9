"""Reading a channel: what was written since the last read, and, more slowly, what became of the last days.

History shows the newest first. Events have to come in the order of the channel, so a stretch is read as a
whole before its messages are told; what is too long for that is cut into shorter stretches of time. A sweep
reads the window again, page by page, for late answers, edits and deletions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from dct_pipelines.domain.chat.answers import answers, has_news
from dct_pipelines.domain.chat.changes import Changes, Understood, understood
from dct_pipelines.domain.chat.messages import ChatMessage, is_later
from dct_pipelines.domain.chat.port import RawPage, every_page
from dct_pipelines.domain.chat.reading import (
    OVERLAP_SECONDS,
    ChatReading,
    between,
    missing,
    stamps_of,
)
from dct_pipelines.domain.chat.stamps import just_after, order, shifted, stamp
from dct_pipelines.domain.chat.token import ChatToken, Sweep
from dct_pipelines.domain.errors import Throttled
from dct_pipelines.domain.listener import Page
from dct_pipelines.domain.snapshot import MessageState, State

PAGES_TOGETHER = 10
"""Pages of history that are held before their messages are told."""
SHORTEST_SLICE_SECONDS = 2.0
"""A stretch of time that is read to its end however many pages it has."""


def first_read(reading: ChatReading) -> Iterator[Page]:
    """The newest page as it is, without events; sweeps take the rest of the window, without events too."""
    item_id = reading.place.item_id
    raw = _history(reading, None, None, None)
    raws = between(raw.messages, reading.window_start)
    stamps = stamps_of(raws)
    found = understood(raws, reading.place)
    epoch = _epoch(understood(raw.messages, reading.place), reading.place.epoch)
    reading = replace(reading, place=replace(reading.place, epoch=epoch))
    for changes in reading.seen(found):
        yield from changes.between()
    yield from _first_answers(reading, found)
    rest = Sweep(top=epoch, position=min(stamps, key=order)) if raw.cursor and stamps else None
    first = {"epoch": epoch, "watermark": epoch, "sweep": rest, "swept_at": reading.context.now}
    yield Page(item_id, reading.token.model_copy(update=first).stored(), is_last=rest is None)


def _epoch(found: Understood, beginning: str) -> str:
    """The latest that had happened when the page was given: what comes after the first read is later."""
    happened = {beginning, *found.stamps}
    for message in found.messages:
        happened |= {ts for ts in (message.edited, message.last_reply) if ts}
    return max(happened, key=order)


def _first_answers(reading: ChatReading, found: Understood) -> Iterator[Page]:
    """Where a server does not say which answer is the last one, they have to be read to know."""
    for message in found.messages:
        if message.replies and message.last_reply is None and not message.is_reply:
            yield from answers(reading, message, is_new=False)


@dataclass
class _Stretch:
    """What was read of a stretch of time, above `above` and up to `upto` (None: to the end)."""

    above: str
    upto: str | None
    raws: list[Any] = field(default_factory=list)
    pages: int = 0
    is_complete: bool = False

    def newest(self, at_least: str) -> str:
        """The latest ts that was seen."""
        return max((*stamps_of(self.raws), at_least), key=order)


def news(reading: ChatReading) -> Iterator[Page]:
    """What was written since the watermark, in order, and what was answered to it."""
    token = reading.token
    while True:
        stretch = _next_stretch(token)
        try:
            _read(reading, stretch, token)
        except Throttled:
            if stretch.pages and (shorter := _shorter(token, stretch)):
                yield Page(reading.place.item_id, shorter.stored(), is_last=False)
            raise
        if not stretch.is_complete and (shorter := _shorter(token, stretch)):
            token = shorter
            yield Page(reading.place.item_id, token.stored(), is_last=False)
            continue
        token = _read_up_to(token, stretch)
        yield from _told(reading, stretch, token)
        if stretch.upto is None:
            return


def _next_stretch(token: ChatToken) -> _Stretch:
    """All there is; while that is too much, the next slice, which ends where time is known to be over."""
    if token.behind is not None and token.slice_seconds is not None:
        upto = shifted(token.watermark, token.slice_seconds)
        if is_later(token.behind, upto):
            return _Stretch(token.watermark, upto)
    return _Stretch(shifted(token.watermark, -OVERLAP_SECONDS), None)


def _read(reading: ChatReading, stretch: _Stretch, token: ChatToken) -> None:
    latest = None if stretch.upto is None else just_after(stretch.upto)
    ask = partial(_history, reading, stretch.above, latest)
    for raw in every_page(ask):
        stretch.raws += between(raw.messages, stretch.above, stretch.upto)
        stretch.pages += 1
        is_below = any(not is_later(ts, stretch.above) for ts in stamps_of(raw.messages))
        if raw.cursor is None or is_below:
            stretch.is_complete = True
            return
        if stretch.pages >= PAGES_TOGETHER and _shorter(token, stretch):
            return


def _history(reading: ChatReading, oldest: str | None, latest: str | None, cursor: str | None) -> RawPage:
    return reading.port.history(reading.place.channel, oldest=oldest, latest=latest, cursor=cursor)


def _shorter(token: ChatToken, stretch: _Stretch) -> ChatToken | None:
    """The token with which half as much is read at once; None when it cannot be less."""
    end = stretch.upto or stretch.newest(token.watermark)
    seconds = (order(end) - order(token.watermark)) / 2_000_000
    if seconds < SHORTEST_SLICE_SECONDS / 2:
        return None
    behind = max(token.behind or end, end, key=order)
    return token.model_copy(update={"slice_seconds": seconds, "behind": behind})


def _read_up_to(token: ChatToken, stretch: _Stretch) -> ChatToken:
    if stretch.upto is None:
        done = {"watermark": stretch.newest(token.watermark), "slice_seconds": None, "behind": None}
        return token.model_copy(update=done)
    longer = 2 * (token.slice_seconds or SHORTEST_SLICE_SECONDS)
    return token.model_copy(update={"watermark": stretch.upto, "slice_seconds": longer})


def _told(reading: ChatReading, stretch: _Stretch, token: ChatToken) -> Iterator[Page]:
    """Events of a stretch, in order; its last page moves the watermark. Answers that are then left are found
    by the next sweep."""
    found = understood(stretch.raws, reading.place)
    pages = list(reading.seen(found))
    for changes in pages[:-1]:
        yield from changes.between()
    answered = _answered(found, pages)
    ends = stretch.upto is None
    if token == reading.token and answered:
        # What was told before a death is not told again, so that each read gets further.
        yield from pages[-1].between()
    else:
        yield pages[-1].page(token.stored(), is_last=ends and not answered)
    for message in answered:
        yield from answers(reading, message)
    if ends and answered:
        yield Page(reading.place.item_id, token.stored())


def _answered(found: Understood, pages: list[Changes]) -> list[ChatMessage]:
    known: dict[str, State] = {}
    for changes in pages:
        known |= changes.known
    every = replace(pages[0], known=known)
    return [one for one in found.messages if has_news(one, every.state(one.root, one.ts))]


def sweep(reading: ChatReading) -> Iterator[Page]:
    """The window again, the newest first, page by page; what is too old then is forgotten.

    No lower bound is asked for: with both bounds nobody could tell from which end the pages come.
    """
    item_id, start = reading.place.item_id, reading.window_start
    token = reading.token
    states = dict(reading.context.snapshots.states(item_id))
    top = reading.sweep_top(states)
    position = token.sweep.position if token.sweep else just_after(top)
    rest = every_page(partial(_history, reading, None, position)) if is_later(position, start) else ()
    for raw in rest:
        above = _lower_end(raw, start, position)
        token = token.model_copy(update={"sweep": Sweep(top=top, position=above)})
        yield from _compared(reading, raw, token, position, states)
        position = above
        if not is_later(position, start):
            break
    token = token.model_copy(update={"sweep": None, "swept_at": reading.context.now})
    yield Page(item_id, token.stored(), removed=tuple(reading.forgotten(states)))


def _lower_end(raw: RawPage, start: str, position: str) -> str:
    """Down to where a page shows everything."""
    if raw.cursor is None:
        return start
    lowest = min((*stamps_of(raw.messages), position), key=order)
    return max(lowest, start, key=order)


def _compared(
    reading: ChatReading, raw: RawPage, token: ChatToken, below: str, states: dict[str, State]
) -> Iterator[Page]:
    """One page of the window against what is known of it; the token moves after the threads that changed."""
    above = token.sweep.position if token.sweep else below
    upto = stamp(order(below) - 1)
    found = understood(between(raw.messages, stamp(order(above) - 1), upto), reading.place)
    changes = reading.changes(states)
    changes.letters.extend(found.letters)
    if found.is_whole:
        first = [state for state in states.values() if isinstance(state, MessageState) and _is_first(state)]
        for state in missing(first, found.stamps, above=above, upto=upto):
            changes.delete(state, state.message_id)
    for message in found.messages:
        changes.see(message)
    answered = [one for one in found.messages if has_news(one, changes.state(one.root, one.ts))]
    if not answered:
        yield changes.page(token.stored(), is_last=False)
        return
    yield from changes.between()
    for message in answered:
        yield from answers(reading, message)
    yield Page(reading.place.item_id, token.stored(), is_last=False)


def _is_first(state: MessageState) -> bool:
    return state.thread in (None, state.message_id)
