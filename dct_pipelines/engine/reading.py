"""What reads of connections share: their report, the stored states, how long a failed one is left alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from dct_pipelines.domain.errors import ConnectionDown, CredentialRefused, DctError, Throttled
from dct_pipelines.domain.snapshot import State
from dct_pipelines.engine.intake import PageReport
from dct_pipelines.store.database import Database
from dct_pipelines.store.watching import snapshots

FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 300.0
CREDENTIAL_PAUSE_SECONDS = 900.0
DOWN_AFTER_FAILURES = 3
HAIR = timedelta(seconds=1)
"""Off each interval: ticks come a hair sooner or later, and who is due a hair after one waits for another."""


@dataclass
class TickReport:
    """What one tick saw, in numbers and in words."""

    connections: int = 0
    items: int = 0
    events: int = 0
    fired: int = 0
    ignored: int = 0
    problems: list[str] = field(default_factory=list)
    is_finished: bool = True
    """False when the time ran out; the next tick goes on from the tokens."""

    def add(self, report: PageReport) -> None:
        """Count a page in."""
        self.events += len(report.events)
        self.fired += report.decided.fired
        self.ignored += report.decided.ignored

    def include(self, other: TickReport) -> None:
        """Count another report in."""
        for name in ("connections", "items", "events", "fired", "ignored"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.problems += other.problems
        self.is_finished = self.is_finished and other.is_finished

    def __str__(self) -> str:
        seen = f"{self.items} items of {self.connections} connections read, {self.events or 'no'} new events"
        fired = f", {self.fired} fired" if self.events else ""
        rest = "" if self.is_finished else "; more is left for the next tick"
        return seen + fired + rest + "".join(f"; {problem}" for problem in self.problems)


@dataclass(frozen=True)
class StoredStates:
    """Reads the current snapshots for a listener, outside of any long transaction."""

    database: Database

    def states(self, item_id: UUID) -> Mapping[str, State]:
        """Every subject of the item and its state."""
        with self.database.connect() as connection:
            return snapshots.states(connection, item_id)

    def of_subjects(self, subjects: Collection[tuple[UUID, str]]) -> Mapping[tuple[UUID, str], State]:
        """The states of these (item, subject) pairs."""
        with self.database.connect() as connection:
            return snapshots.of_subjects(connection, subjects)

    def below(self, item_id: UUID, prefix: str) -> Mapping[str, State]:
        """The item's subjects that begin with `prefix`."""
        with self.database.connect() as connection:
            return snapshots.below(connection, item_id, prefix)


def due_after(began_at: datetime, now: datetime, interval_seconds: float, least_seconds: float) -> datetime:
    """When a connection that answered is read again: an interval lasts from one read's begin to the next's.

    After a read that took longer than that, the connection rests for `least_seconds`.
    """
    least = timedelta(seconds=least_seconds)
    # The clock may have been set back meanwhile.
    due_at = min(began_at, now) + max(least, timedelta(seconds=interval_seconds)) - HAIR
    return due_at if due_at > now else now + least - HAIR


def pause_after(error: DctError, failures: int, now: datetime, chance: float) -> tuple[str, datetime]:
    """How a connection that failed is called and until when it is left alone. `chance` is in [0, 1)."""
    if isinstance(error, Throttled):
        return "throttled", error.not_before
    if isinstance(error, CredentialRefused) or not isinstance(error, ConnectionDown):
        return "down", now + timedelta(seconds=CREDENTIAL_PAUSE_SECONDS)
    longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(failures, 10))
    health = "down" if failures + 1 >= DOWN_AFTER_FAILURES else "failing"
    return health, now + timedelta(seconds=longest * (0.5 + chance / 2))
