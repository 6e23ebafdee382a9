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
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from dct_pipelines import registry
from dct_pipelines.domain.errors import (
    ConnectionDown,
    DatabaseUnavailable,
    DctError,
    DiskFull,
    Scope,
    Throttled,
)
from dct_pipelines.domain.listener import ListenerType, Page, ReadContext, WatchedConnection, WatchedItem
from dct_pipelines.domain.ports import Clock
from dct_pipelines.engine import reading
from dct_pipelines.engine.credential_ends import CredentialEnds
from dct_pipelines.engine.decide import Decider
from dct_pipelines.engine.intake import Intake
from dct_pipelines.engine.readers import Readers
from dct_pipelines.engine.reading import DOWN_AFTER_FAILURES, Rhythm, StoredStates, TickReport, pause_after
from dct_pipelines.store.database import Connection, Database
from dct_pipelines.store.watching import cursors, sources, timers
from dct_pipelines.store.watching.cursors import ReadFrom
from dct_pipelines.store.watching.sources import Source, SourceItem

log = logging.getLogger(__name__)
PortFactory = Callable[[Source, SourceItem | None], Any]
"""The client of a connection, or of one item of it."""
LONGEST_READ_SECONDS = 600.0
"""Far beyond what the time limits of calls allow."""
LOCK_LOOK_SECONDS = 0.1
CHECKS_OVERLAP = timedelta(minutes=10)
"""Checks are handed to the listener again for so long: their commit may become a head a little later."""


@dataclass(frozen=True)
class Listening:
    """Reads what is due. `port_for` gives the client of an item's connection (bootstrap)."""

    database: Database
    clock: Clock
    intake: Intake
    decider: Decider
    port_for: PortFactory
    min_interval_seconds: float
    readers: Readers = field(default_factory=Readers)
    listener_of: Callable[[str], ListenerType[Any]] = registry.listener
    ends: CredentialEnds | None = None

    def tick(
        self,
        kind: str,
        budget_seconds: float = 20.0,
        patience_seconds: float = LONGEST_READ_SECONDS,
    ) -> TickReport:
        """Read every due connection of a kind, side by side, each for at most about `budget_seconds`.

        Returns after `patience_seconds` also when some are not over; those go on.
        """
        stop_at = time.monotonic() + budget_seconds
        with self.database.connect() as connection:
            due = sources.due(connection, kind, self.clock.now())

        def read(source: Source) -> TickReport:
            report = TickReport()
            with self.holding([source], 0) as locked:
                if locked:
                    self._read_source(source, None, stop_at, report)
                else:
                    report.problems.append(f"{source.name} is being read by another process")
            return report

        return self.readers.read(due, read, patience_seconds)

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
        with self.holding(found, stop_at) as locked:
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
        began_at = self.clock.now()
        try:
            finished = self._read_items(source, only, stop_at, report)
        except DctError as error:
            if error.scope is not Scope.CONNECTION:
                raise
            self._pause(source, error)
            report.problems.append(f"{source.name}: {error}")
            return
        report.is_finished = report.is_finished and finished
        if only is None:
            self._well(source, finished, began_at, report)

    def _read_items(
        self, source: Source, only: frozenset[UUID] | None, stop_at: float, report: TickReport
    ) -> bool:
        with self.database.connect() as connection:
            items = sources.items(connection, source.id)
            token = cursors.token_of(connection, source.id)
        if self.listener_of(source.kind).read_together is not None:
            return self._read_together(source, items, token, stop_at, report)
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
                    if isinstance(error, ConnectionDown) and not isinstance(error, Throttled):
                        self._let_siblings_first(source, item, str(error))
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
            due_timers = timers.due_timers(connection, item.id, now)
            checks = sources.reported_checks(connection, item.id, reported_since)
        watched = WatchedItem(
            item.id, item.name, item.kind, item.location, item.config, item.token, asks, digest
        )
        context = ReadContext(now, StoredStates(self.database), due_timers, checks)
        read = self.listener_of(source.kind).read
        assert read is not None  # noqa: S101 - a listener has one of the two
        pages = read(watched, context, self.port_for(source, item))
        return self._take_in(source, pages, ReadFrom(item.token, item.location), item.name, stop_at, report)

    def _read_together(
        self,
        source: Source,
        items: Sequence[SourceItem],
        token: Mapping[str, Any],
        stop_at: float,
        report: TickReport,
    ) -> bool:
        """Read all items of a connection by one question. Without any item there is nothing to ask."""
        report.items += len(items)
        read = self.listener_of(source.kind).read_together
        if read is None or not items:
            return True
        watched = tuple(
            WatchedItem(item.id, item.name, item.kind, item.location, item.config, item.token)
            for item in items
        )
        whole = WatchedConnection(source.id, source.name, source.config.get("config", {}), token, watched)
        context = ReadContext(self.clock.now(), StoredStates(self.database))
        since = ReadFrom(token, places={item.id: item.location for item in items})
        try:
            pages = read(whole, context, self.port_for(source, None))
            return self._take_in(source, pages, since, source.name, stop_at, report)
        except DctError as error:
            if error.scope in (Scope.CONNECTION, Scope.SYSTEM):
                raise
            raise ConnectionDown(str(error)) from error
        except Exception as error:
            log.exception("reading %s failed", source.name)
            raise ConnectionDown(f"a fault of the listener: {error!r}") from error

    def _take_in(
        self,
        source: Source,
        pages: Iterator[Page],
        since: ReadFrom,
        name: str,
        stop_at: float,
        report: TickReport,
    ) -> bool:
        """Store pages one after the other; False when the rest is left for the next tick."""
        for page in pages:
            stored = self.intake.ingest(source.id, page, since)
            if stored.is_outdated:
                report.problems.append(f"{name} was moved or read by another process meanwhile")
                return False
            report.add(stored)
            if page.token is not None:
                since = replace(since, token=page.token)
            if not page.is_last and time.monotonic() > stop_at:
                return False
        return True

    def _mark_unreadable(self, source: Source, item: SourceItem, why: str, report: TickReport) -> None:
        report.problems.append(f"{item.name}: {why}")
        with self.database.begin() as connection:
            cursors.read_failed(connection, source.id, item.id, self.clock.now(), why)

    def _let_siblings_first(self, source: Source, item: SourceItem, why: str) -> None:
        """What takes a whole connection down may be due to one item: the next read begins with the others."""
        with self.database.begin() as connection:
            cursors.interrupted(connection, source.id, item.id, self.clock.now(), why)

    def _well(self, source: Source, finished: bool, began_at: datetime, report: TickReport) -> None:
        now, usual = self.clock.now(), self.listener_of(source.kind).interval_seconds
        due_at = now
        if finished:
            rhythm = Rhythm.of(source.config, usual, self.min_interval_seconds)
            due_at, report.again_at = rhythm.due_after(began_at, now, is_busy=report.events > 0)
        with self.database.begin() as connection:
            failures = sources.healthy(connection, source.id, now, due_at, began_at)
        if self.ends is not None:
            self.ends.after_read(source)
        if failures >= DOWN_AFTER_FAILURES:
            log.warning("%s is read again after %d failures in a row", source.name, failures)

    def _pause(self, source: Source, error: DctError) -> None:
        now = self.clock.now()
        health, not_before = pause_after(error, source.consecutive_failures, now, random.random())
        is_down = health == "down"
        how: dict[str, Any] = {"health": health, "why": str(error), "outcome": reading.outcome_of(error)}
        how |= {"not_before": not_before, "counts_as": DOWN_AFTER_FAILURES if is_down else 1}
        with self.database.begin() as connection:
            failures = sources.unhealthy(connection, source.id, now, **how)
        if is_down and failures < DOWN_AFTER_FAILURES:
            log.error("%s is down: %s", source.name, error)

    @contextmanager
    def holding(self, wanted: Sequence[Source], wait_until: float) -> Iterator[list[Source]]:
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
