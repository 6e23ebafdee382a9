"""What a listener plug-in is: one frozen constant `LISTENER` whose `read` turns answers into pages.

A page is what intake stores in one transaction: events, snapshots and the resume token that makes the
next read go on behind them. Reading may call the provider through its port; it writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from dct_pipelines.domain.condition import AssessmentAsk
from dct_pipelines.domain.event import EventDraft
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


class SnapshotReader(Protocol):
    """Reads the stored current states of an item's subjects."""

    def states(self, item_id: UUID) -> Mapping[str, State]:
        """Every subject of the item and its state."""


@dataclass(frozen=True)
class Timer:
    """A moment at which the item has to be read again, e.g. the end of a quiet period."""

    item_id: UUID
    subject: str
    key: str
    due_at: datetime


@dataclass(frozen=True)
class Page:
    """One transaction's worth of one item.

    `events` are in the provider's order. `removed` names subjects that are gone. `token` replaces the
    item's resume token; `is_last` says that the item is drained (the watermark may move).
    `timers` are kept by (item, subject, key) and replaced when set again; `timers_done` are dropped.
    """

    item_id: UUID
    token: Mapping[str, Any]
    events: tuple[EventDraft, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    removed: tuple[str, ...] = ()
    timers: tuple[Timer, ...] = ()
    timers_done: tuple[tuple[str, str], ...] = ()
    is_last: bool = True
    notes: tuple[str, ...] = ()
    """What could not be read and why, for the tick's log and `dct explain`."""

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing but the token and the time of the read is to be stored."""
        return not (self.events or self.snapshots or self.removed or self.timers or self.timers_done)


P_contra = TypeVar("P_contra", contravariant=True)


@dataclass(frozen=True)
class ReadContext:
    """What a read knows besides the item: stored states, due timers, reported checks, and the time."""

    now: datetime
    snapshots: SnapshotReader
    due_timers: tuple[Timer, ...] = ()
    checks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Checks reported since the item was last read, by commit: name → (state, url)."""


class ItemConfig(BaseModel):
    """Base of what a listener needs to know about an item besides its location."""

    model_config = ConfigDict(frozen=True, extra="forbid")


I = TypeVar("I", bound=ItemConfig)  # noqa: E741 - the item's configuration


@dataclass(frozen=True)
class ListenerType(Generic[I]):
    """A listener for one kind of connection.

    `read(item, context, port)` yields pages; an error it raises says by its scope whether the item or
    the whole connection could not be read. `port` is the client that bootstrap made for the connection.
    """

    kind: str
    summary: str
    item_kinds: frozenset[ItemKind]
    event_kinds: frozenset[str]
    item_config: type[I]
    read: Callable[[WatchedItem, ReadContext, Any], Iterator[Page]]
    example: Mapping[str, Any]
