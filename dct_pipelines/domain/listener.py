"""What a listener plug-in is: one frozen constant `LISTENER` whose `read` turns answers into pages.

A page is what intake stores in one transaction: events, snapshots and the resume token that makes the
next read go on behind them. Reading may call the provider through its port; it writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from dct_pipelines.domain.condition import AssessmentAsk
from dct_pipelines.domain.connected import ConnectionPort, Endpoint
from dct_pipelines.domain.event import EventDraft
from dct_pipelines.domain.operations import Check
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.snapshot import Snapshot, State
from dct_pipelines.domain.words import ItemKind


@dataclass(frozen=True)
class WatchedItem:
    """An item of the connection that is due, with what triggers ask about it and its resume token."""

    id: UUID
    name: str
    kind: ItemKind
    location: str
    config: Mapping[str, Any]
    token: Mapping[str, Any]
    """What the last page left; empty before the first read."""
    asks: tuple[AssessmentAsk, ...] = ()
    asks_digest: str = ""
    """Changes when `asks` changes, so that a listener can tell cheaply."""


@dataclass(frozen=True)
class WatchedConnection:
    """A connection whose items are all read together, by one question to the provider."""

    id: UUID
    name: str
    config: Mapping[str, Any]
    """What the listener's `connection_config` describes."""
    token: Mapping[str, Any]
    """What the last page of the whole connection left; empty before the first read."""
    items: tuple[WatchedItem, ...]


class SnapshotReader(Protocol):
    """Reads the stored current states of items' subjects."""

    def states(self, item_id: UUID) -> Mapping[str, State]:
        """Every subject of the item and its state."""

    def of_subjects(self, subjects: Collection[tuple[UUID, str]]) -> Mapping[tuple[UUID, str], State]:
        """The states of these (item, subject) pairs; those that are not known are left out."""

    def below(self, item_id: UUID, prefix: str) -> Mapping[str, State]:
        """The subjects of the item that begin with `prefix`, and their states."""


@dataclass(frozen=True)
class Timer:
    """A moment at which the item has to be read again, e.g. the end of a quiet period."""

    item_id: UUID
    subject: str
    key: str
    due_at: datetime


@dataclass(frozen=True)
class DeadLetter:
    """Something from the provider that could not be understood, kept raw so that nothing is lost.

    `key` tells repeats apart; `raw` is what came, cut at `LONGEST_RAW` characters; `why` says what was wrong.
    """

    key: str
    raw: str
    why: str
    item_id: UUID | None = None


@dataclass(frozen=True)
class ItemReading:
    """How one item fared in a read of its whole connection, and what is remembered of it."""

    item_id: UUID
    token: Mapping[str, Any]
    unreadable: str | None = None
    """Why the item cannot be read; None when it can."""


@dataclass(frozen=True)
class Page:
    """One transaction's worth of one item, or of a whole connection (`item_id` None).

    `events` are in the provider's order. `removed` names subjects of the item that are gone, `gone` those of
    any items. `token` replaces the resume token of the item or connection, None leaves it (a webhook's page);
    `is_last` says that it is drained (the watermark may move). `timers` are kept by (item, subject, key) and
    replaced when set again; `timers_done` are dropped. `readings` are of the items of a whole connection
    whose own state has changed.
    """

    item_id: UUID | None
    token: Mapping[str, Any] | None
    events: tuple[EventDraft, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    removed: tuple[str, ...] = ()
    timers: tuple[Timer, ...] = ()
    timers_done: tuple[tuple[str, str], ...] = ()
    is_last: bool = True
    notes: tuple[str, ...] = ()
    """What could not be read and why, for the tick's log and `dct explain`."""
    gone: tuple[tuple[UUID, str], ...] = ()
    readings: tuple[ItemReading, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing but tokens and the time of the read is to be stored."""
        changes = (self.events, self.snapshots, self.removed, self.gone, self.timers, self.timers_done)
        return not any(changes)

    @property
    def all_gone(self) -> tuple[tuple[UUID, str], ...]:
        """Every (item, subject) that is gone."""
        if self.item_id is None:
            return self.gone
        return (*self.gone, *((self.item_id, subject) for subject in self.removed))


@dataclass(frozen=True)
class ReadContext:
    """What a read knows besides the item: stored states, due timers, reported checks, and the time."""

    now: datetime
    snapshots: SnapshotReader
    due_timers: tuple[Timer, ...] = ()
    checks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Checks reported since the item was last read, by commit: name → (state, url)."""


class ConnectionConfig(BaseModel):
    """Base of what a listener needs to know about a connection besides its base and its credential."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ItemConfig(BaseModel):
    """Base of what a listener needs to know about an item besides its location."""

    model_config = ConfigDict(frozen=True, extra="forbid")


I = TypeVar("I", bound=ItemConfig)  # noqa: E741 - the item's configuration


@dataclass(frozen=True)
class Delivery:
    """What a provider posted: header names in lower case, the raw body, and when it came."""

    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True)
class Received:
    """What a delivery says: a page for intake (its token is None), and items to be read now.

    `reply` is what the provider wants to be answered, e.g. Slack's challenge; `because` says in words what
    was made of the delivery, also when that is nothing. `checks` are reported by a CI, to be stored before
    the items are read.
    """

    because: str
    page: Page | None = None
    look_at: tuple[UUID, ...] = ()
    reply: str | None = None
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class WebhookType:
    """How deliveries of a provider are taken in.

    `verify(delivery, secret)` raises `DeliveryRefused` before anything is parsed. `read(delivery,
    connection, context)` understands it; a `PayloadUnreadable` that it raises is dead-lettered by the caller.
    Both are pure.
    """

    verify: Callable[[Delivery, str], None]
    read: Callable[[Delivery, WatchedConnection, ReadContext], Received]


Read = Callable[[WatchedItem, ReadContext, Any], Iterator[Page]]
ReadTogether = Callable[[WatchedConnection, ReadContext, Any], Iterator[Page]]


def _any_location(_kind: ItemKind, _location: str) -> str | None:
    return None


@dataclass(frozen=True)
class ListenerType(Generic[I]):
    """A listener for one kind of connection: of `read` and `read_together`, one.

    `read(item, context, port)` yields pages of one item, `read_together(connection, context, port)` pages of
    all; an error they raise says by its scope whether the item or the whole connection could not be read.
    `port` is the client that bootstrap made for the connection.

    `has_places` says that locations are paths or URLs below the connection's base; else they are kept as
    written (a ticket's key, a query, a channel), and `location_fault` says what is wrong with one.
    """

    kind: str
    summary: str
    item_kinds: frozenset[ItemKind]
    event_kinds: frozenset[str]
    item_config: type[I]
    example: Mapping[str, Any]
    read: Read | None = None
    read_together: ReadTogether | None = None
    connection_config: type[ConnectionConfig] = ConnectionConfig
    connection_example: Mapping[str, Any] = field(default_factory=dict)
    """A valid configuration of a connection."""
    interval_seconds: float = 0
    """How often a connection is read that does not say; never more often than the setting's floor."""
    default_base: str | None = None
    """Where the provider is when the connection does not say."""
    base_schemes: tuple[str, ...] = ("https", "http")
    """How the URL of a connection's base may begin; empty where it may also be a folder or host:path."""
    has_places: bool = True
    location_fault: Callable[[ItemKind, str], str | None] = _any_location
    webhook: WebhookType | None = None
    """How deliveries of the provider are verified and read; None when it sends none."""
    client: Callable[[Endpoint, Clock], ConnectionPort] | None = None
    """Makes the client of a connection, which is the `port` of a read. Only plug-ins of other packages bring
    theirs; those of this release are wired in `bootstrap`."""
