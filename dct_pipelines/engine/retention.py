"""Retention: what is old enough goes, in small steps that nobody else has to wait for.

Each batch is a transaction of its own, sized so that it takes about a tenth of a second, and followed by a
pause as long as itself. So the work may be stopped at any moment, and begun again: what is left is found by
the next one. Months of events and decisions are dropped as a whole.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dct_pipelines.domain.counting import counted
from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.retention import RetentionPolicy, months_ahead
from dct_pipelines.store import partitions
from dct_pipelines.store import retention as store
from dct_pipelines.store.database import Connection, Database
from dct_pipelines.store.partitions import PAYLOADS, Partition, Payload
from dct_pipelines.store.retention import Cut, Rule


@dataclass(frozen=True)
class Pace:
    """How hard it works: seconds of a batch, and of the pause after it for each of those."""

    batch_seconds: float = 0.1
    rest: float = 1.0
    fewest: int = 50
    most: int = 5_000
    tries: int = 20
    """How often a partition that is in use is tried again, once a second."""
    most_moved: int = 1_000
    """So many rows may go to another partition while everybody waits; where there are more, none do."""
    pause: Callable[[float], None] = time.sleep

    def next_size(self, size: int, took_seconds: float) -> int:
        """How large the next batch is, after one of this size that took so long."""
        return max(self.fewest, min(self.most, int(size * self.batch_seconds / max(took_seconds, 0.001))))


@dataclass
class Swept:
    """How many rows went, or would go, by table; and what else is to be said."""

    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Retention:
    """Deletes what the policy says. With `dry_run` it counts what would go, and changes nothing."""

    database: Database
    clock: Clock
    policy: RetentionPolicy
    pace: Pace = Pace()

    def executions(self, *, dry_run: bool = False) -> Swept:
        """Executions that ended long ago, with their attempts, results and deployments."""
        return self._by_rules(store.EXECUTIONS, dry_run)

    def snapshots(self, *, dry_run: bool = False) -> Swept:
        """States that no event saw which is still there."""
        return self._by_rules(store.SNAPSHOTS, dry_run)

    def keys(self, *, dry_run: bool = False) -> Swept:
        """Keys of events and firings that nothing stands behind any more."""
        return self._by_rules(store.KEYS, dry_run)

    def traces(self, *, dry_run: bool = False) -> Swept:
        """The activity stream, dead letters, own writes, checks, sessions."""
        return self._by_rules(store.TRACES, dry_run)

    def months(self, *, dry_run: bool = False) -> Swept:
        """Make the partitions of the coming months. What cannot be made now has the default one as a net."""
        swept = Swept()
        for payload in PAYLOADS:
            with self.database.connect() as connection:
                missing = partitions.missing(connection, payload, months_ahead(self.clock.now()))
            for month in missing:
                if dry_run:
                    swept.notes.append(f"{partitions.name_of(payload, month)} would be made")
                else:
                    self._make(payload, month, swept)
        return swept

    def payloads(self, *, dry_run: bool = False) -> Swept:
        """Events of old months, but those that executions refer to, and then the decisions about them."""
        swept = Swept()
        month = self.policy.month_cutoff(self.clock.now())
        for payload in PAYLOADS:
            with self.database.connect() as connection:
                found = partitions.listed(connection, payload)
            for partition in found:
                if partition.begins_by(month):
                    continue
                if dry_run:
                    with self._patiently() as connection:
                        old = partitions.count_old(connection, payload, partition, month)
                    swept.counts[payload.name] += old
                elif not (partition.is_over(month) and self._drop(payload, partition, swept)):
                    self._page_by_page(payload, partition, month, swept)
        return swept

    def _by_rules(self, rules: Iterable[Rule], dry_run: bool) -> Swept:
        swept = Swept()
        for rule in rules:
            with self._patiently() as connection:
                before = self._before(connection, rule.cut)
                if dry_run:
                    swept.counts[rule.table.name] += store.count_old(connection, rule, before)
            if not dry_run:
                self._batches(rule, before, swept)
        return swept

    def _before(self, connection: Connection, cut: Cut) -> Any:
        now = self.clock.now()
        if cut is Cut.SEQ:
            return store.oldest_kept_seq(connection, self.policy.month_cutoff(now)) + 1
        return {Cut.DAYS: self.policy.cutoff, Cut.KEYS: self.policy.key_cutoff}.get(cut, lambda at: at)(now)

    def _batches(self, rule: Rule, before: Any, swept: Swept) -> None:
        size, since = self.pace.fewest, None
        while True:
            begun = time.monotonic()
            with self.database.begin() as connection:
                batch = store.delete_batch(connection, rule, before, since, size)
            swept.counts.update(batch.deleted)
            if batch.last is None:
                return
            since = batch.last
            size = self._rest(size, begun)

    def _page_by_page(self, payload: Payload, partition: Partition, month: datetime, swept: Swept) -> None:
        with self._patiently() as connection:
            if not partitions.has_old(connection, payload, partition, month):
                return
            pages = partitions.pages(connection, partition)
        first, size = 0, self.pace.fewest
        while first < pages:
            begun, end = time.monotonic(), first + size
            with self.database.begin() as connection:
                gone = partitions.delete_old(connection, payload, partition, month, (first, end))
            swept.counts[payload.name] += gone
            first, size = end, self._rest(size, begun)

    def _drop(self, payload: Payload, partition: Partition, swept: Swept) -> bool:
        """Whether the partition could be dropped; else its rows are to be deleted."""
        with self._patiently() as connection:
            since = partitions.clock(connection)
            kept = partitions.kept_in(connection, payload, partition, self.pace.most_moved + 1)
            if len(kept) > self.pace.most_moved:
                return False
            rows = partitions.count(connection, payload, partition)

        def drop(connection: Connection) -> int:
            return partitions.drop(connection, payload, partition, kept, since)

        moved = self._in_a_gap(drop)
        if moved is None:
            swept.notes.append(f"{partition.name} is in use; it is dropped the next time")
            return True
        swept.counts[payload.name] += rows - moved
        stays = f", {counted(moved, 'row of it stays', 'rows of it stay')}" if moved else ""
        swept.notes.append(f"dropped {partition.name}{stays}")
        return True

    def _make(self, payload: Payload, month: datetime, swept: Swept) -> None:
        name = partitions.name_of(payload, month)
        with self.database.connect() as connection:
            strays = partitions.strays(connection, payload, month)
        if strays > self.pace.most_moved:
            are = counted(strays, "row of it is", "rows of it are")
            net = f"{are} in {payload.name}_default already, and go there on their own time"
            swept.notes.append(f"{name} is not made: {net}")
            return
        made = self._in_a_gap(lambda connection: partitions.make(connection, payload, month))
        swept.notes.append(f"made {name}" if made is not None else f"{name} is to be made the next time")

    def _in_a_gap(self, work: Callable[[Connection], int]) -> int | None:
        """What the work gives, which needs a whole table; None while others go on using it."""
        for left in reversed(range(self.pace.tries)):
            try:
                with self.database.begin() as connection:
                    return work(connection)
            except DatabaseUnavailable:
                if left:
                    self.pace.pause(1)
        return None

    def _rest(self, size: int, begun: float) -> int:
        took = time.monotonic() - begun
        self.pace.pause(took * self.pace.rest)
        return self.pace.next_size(size, took)

    def _patiently(self) -> AbstractContextManager[Connection]:
        return partitions.patiently(self.database)
