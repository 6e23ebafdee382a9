"""Reading what was answered in threads of a watched channel.

History shows of a thread only its first message, with the number of answers and the last one's ts. When these
changed, the answers behind the last known one are read; when the number does not come out, some are gone, and
the thread is read as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from dct_pipelines.domain.chat.changes import Changes, understood
from dct_pipelines.domain.chat.messages import ChatMessage, is_later
from dct_pipelines.domain.chat.port import RawPage, every_page
from dct_pipelines.domain.chat.reading import LATEST, ChatReading, between, missing, stamps_of
from dct_pipelines.domain.chat.stamps import order
from dct_pipelines.domain.listener import Page
from dct_pipelines.domain.snapshot import MessageState, State


def has_news(message: ChatMessage, state: MessageState | None) -> bool:
    """Whether the thread of a channel's message is not as it was when it was last read."""
    if state is None or message.is_reply or message.is_gone or message.is_system:
        return False
    return message.replies != state.replies or message.last_reply not in (None, state.last_reply)


def answers(reading: ChatReading, message: ChatMessage, *, is_new: bool = True) -> Iterator[Page]:
    """Pages of what is new in a thread; without `is_new` all of it was there before us."""
    known = reading.known_in(message.root)
    state = reading.changes(known).state(message.root, message.ts)
    if state is None:
        return
    since = state.last_reply or max(message.root, reading.place.epoch if is_new else "", key=_order)
    counted, last = state.replies if state.last_reply else 0, state.last_reply
    ask = partial(_ask, reading, message.root, since)
    for raw in every_page(ask):
        raws = between(raw.messages, since)
        found = understood(raws, reading.place)
        changes = reading.changes(known)
        changes.letters.extend(found.letters)
        for answer in found.messages:
            changes.see(answer, since if is_new else LATEST)
        counted += len(stamps_of(raws))
        last = max((*stamps_of(raws), last or since), key=order)
        _reached(changes, message, counted, last)
        yield from changes.between()
    if counted != message.replies:
        yield from _whole(reading, message, known, last or since)
    changes = reading.changes(known)
    _reached(changes, message, message.replies, message.last_reply or last)
    yield from changes.between()


def _order(ts: str) -> int:
    return order(ts) if ts else -1


def _ask(reading: ChatReading, root: str, oldest: str | None, cursor: str | None) -> RawPage:
    return reading.port.replies(reading.place.channel, root, oldest=oldest, cursor=cursor)


def _reached(changes: Changes, message: ChatMessage, replies: int, last: str | None) -> None:
    """Remember how far the thread was read."""
    state = changes.state(message.root, message.ts)
    if state is not None and (state.replies, state.last_reply) != (replies, last):
        changes.remember(message.root, state.model_copy(update={"replies": replies, "last_reply": last}))


def _whole(reading: ChatReading, message: ChatMessage, known: dict[str, State], floor: str) -> Iterator[Page]:
    """Compare the whole thread; what is unknown and not later than `floor` was there before us."""
    above = message.root
    for raw in every_page(partial(_ask, reading, message.root, None)):
        raws = between(raw.messages, above)
        found = understood(raws, reading.place)
        upto = max(stamps_of(raws), key=order, default=above) if raw.cursor else None
        changes = reading.changes(known)
        changes.letters.extend(found.letters)
        if found.is_whole:
            own = [state for state in known.values() if isinstance(state, MessageState)]
            for state in missing(own, found.stamps, above=above, upto=upto):
                changes.delete(state, message.root)
        for answer in found.messages:
            changes.see(answer, floor)
        yield from changes.between()
        above = upto if upto is not None and is_later(upto, above) else above
