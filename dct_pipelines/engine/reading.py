"""What reads of connections share: their report, the stored states, how long a failed one is left alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from dct_pipelines.domain.errors import AddressRefused, ConnectionDown, CredentialRefused, DctError, Throttled
from dct_pipelines.domain.snapshot import State
from dct_pipelines.domain.words import ReadOutcome
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
    again_at: datetime | None = None
    """When a connection that is busy wants to be read again, the earliest of those that one tick has read."""

    def add(self, report: PageReport) -> None:
        """Count a page in."""
        self.events += len(report.events)
        self.fired += report.decided.fired
        self.ignored += report.decided.ignored

    def include(self, other: TickReport) -> None:
        """Count another report in. When somebody wants to be read again is each tick's own."""
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


@dataclass(frozen=True)
class Rhythm:
    """How often a connection that answers is read, in seconds; from one read's begin to the next one's."""

    interval_seconds: float
    least_seconds: float
    busy_seconds: float | None = None
    """The interval while reads bring something, shorter than a tick's; None: as otherwise."""

    @classmethod
    def of(cls, config: Mapping[str, Any], usual_seconds: float, least_seconds: float) -> Rhythm:
        """What a connection's definition says, else what is usual for its kind."""
        own, busy = config.get("poll_interval_seconds"), config.get("busy_interval_seconds")
        return cls(float(own or usual_seconds), least_seconds, float(busy) if busy else None)

    def due_after(
        self, began_at: datetime, now: datetime, *, is_busy: bool
    ) -> tuple[datetime, datetime | None]:
        """From when on a tick may read it again; and when to within this turn, if the read brought something.

        After a read that took longer than its interval it rests.
        """
        began_at = min(began_at, now)  # the clock may have been set back meanwhile
        if is_busy and self.busy_seconds is not None:
            again_at = max(now, began_at + timedelta(seconds=self.busy_seconds))
            return again_at - HAIR, again_at
        least = timedelta(seconds=self.least_seconds)
        due_at = began_at + max(least, timedelta(seconds=self.interval_seconds)) - HAIR
        return (due_at if due_at > now else now + least - HAIR), None


def pause_after(error: DctError, failures: int, now: datetime, chance: float) -> tuple[str, datetime]:
    """How a connection that failed is called and until when it is left alone. `chance` is in [0, 1)."""
    if isinstance(error, Throttled):
        return "throttled", error.not_before
    if isinstance(error, CredentialRefused) or not isinstance(error, ConnectionDown):
        return "down", now + timedelta(seconds=CREDENTIAL_PAUSE_SECONDS)
    longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(failures, 10))
    health = "down" if failures + 1 >= DOWN_AFTER_FAILURES else "failing"
    return health, now + timedelta(seconds=longest * (0.5 + chance / 2))


def outcome_of(error: DctError) -> ReadOutcome:
    """What a failed read counts as."""
    if isinstance(error, Throttled):
        return ReadOutcome.THROTTLED
    is_refused = isinstance(error, CredentialRefused | AddressRefused)
    return ReadOutcome.REFUSED if is_refused else ReadOutcome.UNREACHABLE
