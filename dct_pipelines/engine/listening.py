"""Listening: a tick reads every connection of a kind that is due, through its listener, into intake.

One connection's failure stays its own: it backs off, the others go on. An item that cannot be read is marked
so, its siblings go on. "Could not read" stores nothing but that fact.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from dct_pipelines import registry
from dct_pipelines.domain.errors import (
    ConnectionDown,
    CredentialRefused,
    DatabaseUnavailable,
    DctError,
    DiskFull,
    Scope,
    Throttled,
)
from dct_pipelines.domain.listener import ReadContext, WatchedItem
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.snapshot import State
from dct_pipelines.engine.decide import Decider
from dct_pipelines.engine.intake import Intake, PageReport
from dct_pipelines.store.database import Connection, Database
from dct_pipelines.store.watching import snapshots, sources
from dct_pipelines.store.watching.sources import ReadFrom, Source, SourceItem

log = logging.getLogger(__name__)
PortFactory = Callable[[Source, SourceItem], Any]
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 300.0
CREDENTIAL_PAUSE_SECONDS = 900.0
DOWN_AFTER_FAILURES = 3
LOCK_LOOK_SECONDS = 0.1
CHECKS_OVERLAP = timedelta(minutes=10)
"""Checks are handed to the listener again for so long: their commit may become a head a little later."""


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


@dataclass(frozen=True)
class Listening:
    """Reads what is due. `port_for` gives the client of an item's connection (bootstrap)."""

    database: Database
    clock: Clock
    intake: Intake
    decider: Decider
    port_for: PortFactory
    min_interval_seconds: float

    def tick(self, kind: str, budget_seconds: float = 20.0) -> TickReport:
        """Read every due connection of a kind for at most about `budget_seconds`."""
        stop_at = time.monotonic() + budget_seconds
        with self.database.connect() as connection:
            due = sources.due(connection, kind, self.clock.now())
        report = TickReport()
        for source in due:
            with self._reading([source], 0) as locked:
                if locked:
                    self._read_source(source, None, stop_at, report)
                else:
                    report.problems.append(f"{source.name} is being read by another process")
        return report

    @contextmanager
    def recorded(self, item_ids: Sequence[UUID], budget_seconds: float = 60.0) -> Iterator[TickReport]:
        """Read these items now, due or not, and keep everybody else from reading them during the block.

        What happened until now is recorded before a trigger is written inside the block, and no read that
        began before the trigger can end behind it: its events would be taken for older than the trigger.
        """
        stop_at = time.monotonic() + budget_seconds
        with self.database.connect() as connection:
            found = sources.of_items(connection, item_ids)
        report = TickReport()
        with self._reading(found, stop_at) as locked:
            for source in found:
                if source in locked:
                    self._read_source(source, frozenset(item_ids), stop_at, report)
                else:
                    report.problems.append(f"{source.name} is being read by another process for very long")
            if not report.is_finished:
                report.problems.append(
                    f"not all of what changed could be read within {budget_seconds:.0f} s; "
                    "the rest is read later, and fires as if it were new"
                )
            yield report

    def _read_source(
        self, source: Source, only: frozenset[UUID] | None, stop_at: float, report: TickReport
    ) -> None:
        """Read a connection whose reading lock is held."""
        report.connections += 1
        try:
            finished = self._read_items(source, only, stop_at, report)
        except DctError as error:
            if error.scope is not Scope.CONNECTION:
                raise
            self._pause(source, error)
            report.problems.append(f"{source.name}: {error}")
            return
        interval = float(source.config.get("poll_interval_seconds") or 0)
        pause = max(self.min_interval_seconds, interval) if finished else 0
        report.is_finished = report.is_finished and finished
        if only is None:
            now = self.clock.now()
            with self.database.begin() as connection:
                sources.healthy(connection, source.id, now, now + timedelta(seconds=pause))

    def _read_items(
        self, source: Source, only: frozenset[UUID] | None, stop_at: float, report: TickReport
    ) -> bool:
        with self.database.connect() as connection:
            items = sources.items(connection, source.id)
        for item in items:
            if only is not None and item.id not in only:
                continue
            if time.monotonic() > stop_at:
                return False
            report.items += 1
            try:
                if not self._read_item(source, item, stop_at, report):
                    return False
            except DctError as error:
                if error.scope in (Scope.CONNECTION, Scope.SYSTEM) and not isinstance(error, DiskFull):
                    raise
                self._mark_unreadable(source, item, str(error), report)
            except Exception as error:
                log.exception("reading %s failed", item.name)
                self._mark_unreadable(source, item, f"a fault of the listener: {error!r}", report)
        return True

    def _read_item(self, source: Source, item: SourceItem, stop_at: float, report: TickReport) -> bool:
        now = self.clock.now()
        reported_since = item.changed_at - CHECKS_OVERLAP if item.changed_at else None
        with self.database.connect() as connection:
            asks, digest = self.decider.asks_for(connection, item.id)
            timers = sources.due_timers(connection, item.id, now)
            checks = sources.reported_checks(connection, item.id, reported_since)
        watched = WatchedItem(
            item.id, item.name, item.kind, item.location, item.config, item.token, asks, digest
        )
        context = ReadContext(now, StoredStates(self.database), timers, checks)
        since = ReadFrom(item.location, item.token)
        for page in registry.listener(source.kind).read(watched, context, self.port_for(source, item)):
            stored = self.intake.ingest(source.id, page, since)
            if stored.is_outdated:
                report.problems.append(f"{item.name} was moved or read by another process meanwhile")
                return False
            report.add(stored)
            since = ReadFrom(item.location, page.token)
            if not page.is_last and time.monotonic() > stop_at:
                return False
        return True

    def _mark_unreadable(self, source: Source, item: SourceItem, why: str, report: TickReport) -> None:
        report.problems.append(f"{item.name}: {why}")
        with self.database.begin() as connection:
            sources.read_failed(connection, source.id, item.id, self.clock.now(), why)

    def _pause(self, source: Source, error: DctError) -> None:
        now = self.clock.now()
        health, not_before = pause_after(error, source.consecutive_failures, now, random.random())
        with self.database.begin() as connection:
            sources.unhealthy(
                connection, source.id, now, health=health, why=str(error), not_before=not_before
            )

    @contextmanager
    def _reading(self, wanted: Sequence[Source], wait_until: float) -> Iterator[list[Source]]:
        """Hold the reading locks of connections, shared by polls and webhooks of all processes.

        Those that somebody else holds are waited for until then; yields those that were got.
        """
        with self.database.connect() as connection:
            locked = [source for source in wanted if _lock(connection, source, wait_until)]
            connection.commit()
            try:
                yield locked
            finally:
                _unlock(connection, locked)


def _lock(connection: Connection, source: Source, wait_until: float) -> bool:
    while not sources.try_lock(connection, source.id):
        connection.commit()
        if time.monotonic() >= wait_until:
            return False
        time.sleep(LOCK_LOOK_SECONDS)
    return True


def _unlock(connection: Connection, locked: Sequence[Source]) -> None:
    try:
        for source in locked:
            sources.unlock(connection, source.id)
        connection.commit()
    except DatabaseUnavailable:
        # A session that still lives would take its locks back into the pool.
        connection.invalidate()
        log.warning("the database went away during a read; the reading locks went with it")


def pause_after(error: DctError, failures: int, now: datetime, chance: float) -> tuple[str, datetime]:
    """How a connection that failed is called and until when it is left alone. `chance` is in [0, 1)."""
    if isinstance(error, Throttled):
        return "throttled", error.not_before
    if isinstance(error, CredentialRefused) or not isinstance(error, ConnectionDown):
        return "down", now + timedelta(seconds=CREDENTIAL_PAUSE_SECONDS)
    longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(failures, 10))
    health = "down" if failures + 1 >= DOWN_AFTER_FAILURES else "failing"
    return health, now + timedelta(seconds=longest * (0.5 + chance / 2))
