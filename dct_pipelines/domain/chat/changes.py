"""What differs between a message and what was known of it, as events and states; pure.

A subject is a thread: `<channel>/<ts of its first message>`, also of a message that nobody answered. States
of messages lie below it. Every change has one key, whoever tells it: a poll, a webhook, the socket.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from dct_pipelines.domain.chat.messages import ChatMessage, is_later, parse, ts_of
from dct_pipelines.domain.chat.stamps import moment, order
from dct_pipelines.domain.event import EventDraft, key_of
from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.listener import DeadLetter, Page
from dct_pipelines.domain.payloads import MessageDeleted, MessageEdited, MessagePosted, Payload
from dct_pipelines.domain.snapshot import MessageState, Snapshot, State, ThreadState


@dataclass(frozen=True)
class Place:
    """What is watched: an item's channel, and from where on messages are new (`epoch`, a ts)."""

    item_id: UUID
    channel: str
    name: str
    link: str
    epoch: str
    """Messages up to this one were there when the item was first read."""

    def thread(self, root: str) -> str:
        """The subject of a thread."""
        return f"{self.channel}/{root}"

    def message(self, root: str, ts: str) -> str:
        """The subject of a message."""
        return f"{self.channel}/{root}/{ts}"

    def url(self, root: str, ts: str) -> str:
        """Where people read the message."""
        answer = f"?thread_ts={root}&cid={self.channel}" if root != ts else ""
        return f"{self.link.rstrip('/')}/archives/{self.channel}/p{ts.replace('.', '')}{answer}"


@dataclass(frozen=True)
class Understood:
    """Messages of a page, the earliest first; `stamps` are those of all that could be told, also unreadable.

    `is_whole` is False when a message could not even be told by its ts: then nothing is missing for certain.
    """

    messages: tuple[ChatMessage, ...]
    stamps: frozenset[str]
    letters: tuple[DeadLetter, ...]
    is_whole: bool


def understood(raws: Iterable[Any], place: Place) -> Understood:
    """Make sense of every message; one that nobody understands is kept raw, and its siblings go on."""
    messages, stamps, letters, is_whole = [], set(), [], True
    for raw in raws:
        ts = ts_of(raw)
        if ts is None:
            is_whole = False
        else:
            stamps.add(ts)
        try:
            messages.append(parse(raw))
        except Exception as error:  # noqa: BLE001 - one that nobody foresaw must not hold up the others
            letters.append(dead_letter(raw, str(error), place.item_id, f"{place.channel} {ts}"))
    messages.sort(key=lambda message: order(message.ts))
    return Understood(tuple(messages), frozenset(stamps), tuple(letters), is_whole)


def dead_letter(raw: Any, why: str, item_id: UUID | None, what: str) -> DeadLetter:
    """Something that nobody understands; the same thing again has the same key."""
    text = json.dumps(raw, ensure_ascii=False, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:32]
    return DeadLetter(f"slack {what[:80]} {digest}", text, why, item_id)


@dataclass
class Changes:
    """Gathers the events and states of one page. `known` are the stored states of the item's subjects."""

    place: Place
    now: datetime
    known: dict[str, State]
    events: list[EventDraft] = field(default_factory=list)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    letters: list[DeadLetter] = field(default_factory=list)

    def state(self, root: str, ts: str) -> MessageState | None:
        """What is known of a message."""
        found = self.known.get(self.place.message(root, ts))
        return found if isinstance(found, MessageState) else None

    def see(self, message: ChatMessage, floor: str | None = None) -> None:
        """Compare a message that was read with what was known of it.

        An unknown one is new when it is later than `floor`, which is the item's epoch unless given; else it
        was there before us, with its answers.
        """
        if message.is_system:
            return
        state = self.state(message.root, message.ts)
        if message.is_gone:
            if state is not None:
                self.delete(state, message.root)
        elif state is None:
            is_new = is_later(message.ts, floor or self.place.epoch)
            if is_new:
                self.post(message)
            self._remember(message, *((0, None) if is_new else (message.replies, message.last_reply)))
        elif is_later(message.edited, state.edited):
            self.edit(message, state.text)
            self._remember(message, state.replies, state.last_reply)
        elif message.text != state.text and message.edited == state.edited:
            # e.g. the preview of a link that Slack added by itself
            self._remember(message, state.replies, state.last_reply)

    def post(self, message: ChatMessage) -> None:
        """Say that a message was posted."""
        payload = MessagePosted(
            message_id=message.ts,
            author=message.author,
            text=message.text,
            in_thread=message.is_reply,
            channel=self.place.name,
            thread=message.root,
            url=self.place.url(message.root, message.ts),
        )
        self._say(message.root, message.ts, "", payload, message.ts, message.author, message.marks)

    def edit(self, message: ChatMessage, before: str | None) -> None:
        """Say that a message was edited."""
        at = message.edited or message.ts
        payload = MessageEdited(
            message_id=message.ts,
            author=message.author,
            before=before,
            after=message.text,
            channel=self.place.name,
            thread=message.root,
            url=self.place.url(message.root, message.ts),
        )
        by_author = message.editor is None or message.editor == message.author.id
        editor = message.author if by_author else Person(id=message.editor)
        self._say(message.root, message.ts, f":edited:{at}", payload, at, editor, message.marks)

    def delete(self, state: MessageState, root: str, at: str | None = None) -> None:
        """Say that a message is gone. Slack does not say who deleted it, and a poll not when."""
        payload = MessageDeleted(
            message_id=state.message_id,
            author=state.author,
            before=state.text,
            channel=self.place.name,
            thread=root,
        )
        self._say(root, state.message_id, ":deleted", payload, at, None, ())
        subject = self.place.message(root, state.message_id)
        self.gone.add(subject)
        self.known.pop(subject, None)
        self.snapshots.pop(subject, None)

    def remember(self, root: str, state: MessageState) -> None:
        """Store what is known of a message."""
        subject = self.place.message(root, state.message_id)
        self.known[subject] = state
        self.gone.discard(subject)
        self.snapshots[subject] = self._snapshot(subject, state)

    def between(self) -> Iterator[Page]:
        """What was gathered, as a page that moves no token; nothing when there is nothing to store.

        A read that goes on from the same token after a death then passes over what has been stored.
        """
        if self.events or self.snapshots or self.gone or self.letters:
            yield self.page(None, is_last=False)

    def page(self, token: Mapping[str, Any] | None, *, is_last: bool) -> Page:
        """All of it as one page."""
        return Page(
            item_id=self.place.item_id,
            token=token,
            events=tuple(self.events),
            snapshots=tuple(self.snapshots.values()),
            removed=tuple(sorted(self.gone)),
            dead_letters=tuple(self.letters),
            is_last=is_last,
        )

    def _remember(self, message: ChatMessage, replies: int, last_reply: str | None) -> None:
        self.remember(
            message.root,
            MessageState(
                message_id=message.ts,
                author=message.author,
                text=message.text,
                edited=message.edited,
                thread=message.root,
                replies=replies,
                last_reply=last_reply,
            ),
        )
        subject = self.place.thread(message.root)
        last = self.known.get(subject)
        is_older = isinstance(last, ThreadState) and is_later(last.last_message_id, message.ts)
        if not is_older:
            thread = ThreadState(
                last_message_id=message.ts,
                last_text=message.text,
                last_author=message.author,
                in_thread=message.is_reply,
            )
            self.known[subject] = thread
            self.snapshots[subject] = self._snapshot(subject, thread)

    def _snapshot(self, subject: str, state: State) -> Snapshot:
        return Snapshot(item_id=self.place.item_id, subject=subject, state=state, observed_at=self.now)

    def _say(
        self,
        root: str,
        ts: str,
        what: str,
        payload: Payload,
        at: str | None,
        actor: Person | None,
        marks: tuple[str, ...],
    ) -> None:
        self.events.append(
            EventDraft(
                item_id=self.place.item_id,
                subject=self.place.thread(root),
                dedup_key=key_of(f"slack:{self.place.channel}:{ts}{what}", self.place.item_id),
                occurred_at=self.now if at is None else moment(at),
                actor=actor,
                payload=payload,
                external_ids=(*marks, ts),
            )
        )
