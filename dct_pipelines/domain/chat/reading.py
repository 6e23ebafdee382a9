"""What the reads of channels and threads share: the item's place and window, the states, the pages.

Sources: https://docs.slack.dev/reference/methods/conversations.history ,
https://docs.slack.dev/reference/methods/conversations.replies
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from dct_pipelines.domain.chat.changes import Changes, Place, Understood
from dct_pipelines.domain.chat.messages import ChatMessage, is_later, ts_of
from dct_pipelines.domain.chat.port import ChatPort
from dct_pipelines.domain.chat.stamps import order, stamp_of
from dct_pipelines.domain.chat.token import ChatToken
from dct_pipelines.domain.listener import ReadContext
from dct_pipelines.domain.snapshot import MessageState, State, ThreadState

OVERLAP_SECONDS = 60
"""So far behind the watermark is read again: a message may become visible a little late."""
EVENTS_TOGETHER = 200
"""Messages whose changes are stored in one transaction, about."""
LATEST = "99999999999.000000"
"""Later than any message: with it as floor, everything was there before us."""


@dataclass(frozen=True)
class ChatReading:
    """One read of one item, from its token on."""

    place: Place
    token: ChatToken
    context: ReadContext
    port: ChatPort
    window_days: float
    sweep_seconds: float

    @property
    def window_start(self) -> str:
        """The ts before which nothing is looked at again."""
        return stamp_of(self.context.now - timedelta(days=self.window_days))

    @property
    def is_sweep_due(self) -> bool:
        """Whether the window has to be read again, or is being read."""
        swept_at = self.token.swept_at
        if self.token.sweep is not None or swept_at is None:
            return True
        return self.context.now - swept_at >= timedelta(seconds=self.sweep_seconds)

    def changes(self, known: dict[str, State] | None = None) -> Changes:
        """Nothing gathered yet."""
        return Changes(self.place, self.context.now, {} if known is None else known)

    def known_of(self, messages: Iterable[ChatMessage]) -> dict[str, State]:
        """The stored states of these messages and their threads."""
        wanted: set[str] = set()
        for message in messages:
            wanted |= {self.place.thread(message.root), self.place.message(message.root, message.ts)}
        item = self.place.item_id
        found = self.context.snapshots.of_subjects([(item, subject) for subject in wanted])
        return {subject: state for (_, subject), state in found.items()}

    def known_in(self, root: str) -> dict[str, State]:
        """The stored states of one thread."""
        thread = self.place.thread(root)
        own = self.context.snapshots.of_subjects([(self.place.item_id, thread)])
        below = self.context.snapshots.below(self.place.item_id, f"{thread}/")
        return {**below, **{subject: state for (_, subject), state in own.items()}}

    def seen(self, found: Understood, floor: str | None = None) -> Iterator[Changes]:
        """What is new about messages, so many at a time."""
        for start in range(0, max(1, len(found.messages)), EVENTS_TOGETHER):
            part = found.messages[start : start + EVENTS_TOGETHER]
            changes = self.changes(self.known_of(part))
            for message in part:
                changes.see(message, floor)
            if not start:
                changes.letters.extend(found.letters)
            yield changes

    def sweep_top(self, states: Mapping[str, State]) -> str:
        """Up to where a sweep looks: all that is known, also what a delivery told before a poll saw it."""
        if self.token.sweep is not None:
            return self.token.sweep.top
        known = (state.message_id for state in states.values() if isinstance(state, MessageState))
        return max((self.token.watermark, *known), key=order)

    def forgotten(self, states: Mapping[str, State]) -> list[str]:
        """Subjects that lie wholly before the window: they are looked at no more."""
        start = self.window_start
        kept = self.place.message(self.token.root, self.token.root) if self.token.root else None
        return [
            subject
            for subject, state in states.items()
            if subject != kept and not is_later(_last_of(state), start)
        ]


def _last_of(state: State) -> str | None:
    match state:
        case MessageState():
            return state.message_id
        case ThreadState():
            return state.last_message_id
        case _:
            return None


def stamps_of(raws: Iterable[Any]) -> list[str]:
    """The ts of everything that has one."""
    return [ts for raw in raws if (ts := ts_of(raw)) is not None]


def between(raws: Iterable[Any], above: str, upto: str | None = None) -> list[Any]:
    """What lies in a stretch, and what cannot be told: not every server minds the bounds that it is given."""
    return [raw for raw in raws if _lies_in(raw, above, upto)]


def _lies_in(raw: Any, above: str, upto: str | None) -> bool:
    ts = ts_of(raw)
    return ts is None or (is_later(ts, above) and (upto is None or not is_later(ts, upto)))


def missing(
    states: Iterable[MessageState], stamps: Collection[str], *, above: str | None, upto: str | None
) -> list[MessageState]:
    """Known messages that a complete read of that stretch did not show, the earliest first."""
    gone = [
        state
        for state in states
        if state.message_id not in stamps
        and (above is None or is_later(state.message_id, above))
        and (upto is None or not is_later(state.message_id, upto))
    ]
    return sorted(gone, key=lambda state: order(state.message_id))
