"""Reading one thread that is watched by itself: as a channel is, but the oldest come first."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from dct_pipelines.domain.chat.changes import Understood, understood
from dct_pipelines.domain.chat.messages import ChatMessage
from dct_pipelines.domain.chat.port import RawPage, every_page
from dct_pipelines.domain.chat.reading import (
    LATEST,
    OVERLAP_SECONDS,
    ChatReading,
    between,
    missing,
    stamps_of,
)
from dct_pipelines.domain.chat.stamps import order, shifted
from dct_pipelines.domain.chat.token import Sweep
from dct_pipelines.domain.errors import ItemUnreadable
from dct_pipelines.domain.listener import Page
from dct_pipelines.domain.snapshot import MessageState


def first_read(reading: ChatReading) -> Iterator[Page]:
    """The thread as it is, without events."""
    token, above = reading.token, reading.token.watermark
    for raw in every_page(partial(_ask, reading, above)):
        found = understood(between(raw.messages, above), reading.place)
        if not found.stamps and order(above) == 0:
            raise ItemUnreadable(
                f"there is no message {token.root} in {reading.place.name}; check the link of the thread"
            )
        watermark = max((*found.stamps, token.watermark), key=order)
        is_last = raw.cursor is None
        token = token.model_copy(update={"watermark": watermark})
        if is_last:
            token = token.model_copy(update={"epoch": watermark, "swept_at": reading.context.now})
        *before, last = reading.seen(found, LATEST)
        for changes in before:
            yield from changes.between()
        yield last.page(token.stored(), is_last=is_last)


def news(reading: ChatReading) -> Iterator[Page]:
    """What was answered since the watermark."""
    token = reading.token
    above = shifted(token.watermark, -OVERLAP_SECONDS)
    for raw in every_page(partial(_ask, reading, above)):
        found = understood(between(raw.messages, above), reading.place)
        watermark = max((*found.stamps, token.watermark), key=order)
        before, token = token, token.model_copy(update={"watermark": watermark})
        *first, last = reading.seen(found)
        for changes in first:
            yield from changes.between()
        if raw.cursor is None or token != before:
            yield last.page(token.stored(), is_last=raw.cursor is None)
        else:
            yield from last.between()


def sweep(reading: ChatReading) -> Iterator[Page]:
    """The window of the thread again; its first message always, as every page of replies shows it."""
    item_id, token = reading.place.item_id, reading.token
    above = token.sweep.position if token.sweep else reading.window_start
    states = dict(reading.context.snapshots.states(item_id))
    top = reading.sweep_top(states)
    for raw in every_page(partial(_ask, reading, above)) if above != top else ():
        found = understood(between(raw.messages, above, top), reading.place)
        upto = max((*found.stamps, above), key=order) if raw.cursor else top
        changes = reading.changes(states)
        changes.letters.extend(found.letters)
        if found.is_whole:
            own = [state for state in states.values() if isinstance(state, MessageState)]
            for state in missing(own, found.stamps, above=above, upto=upto):
                changes.delete(state, token.root or state.message_id)
        for message in (*_first_of(reading, raw), *found.messages):
            changes.see(message)
        above = upto
        token = token.model_copy(update={"sweep": Sweep(top=top, position=above)})
        yield changes.page(token.stored(), is_last=False)
    token = token.model_copy(update={"sweep": None, "swept_at": reading.context.now})
    yield Page(item_id, token.stored(), removed=tuple(reading.forgotten(states)))


def _first_of(reading: ChatReading, raw: RawPage) -> tuple[ChatMessage, ...]:
    first = [one for one in raw.messages if stamps_of([one]) == [reading.token.root]]
    found: Understood = understood(first, reading.place)
    return found.messages


def _ask(reading: ChatReading, above: str, cursor: str | None) -> RawPage:
    root = reading.token.root or ""
    oldest = None if order(above) == 0 else above
    return reading.port.replies(reading.place.channel, root, oldest=oldest, cursor=cursor)
