"""Retention: what is old enough goes, in small steps that nobody else has to wait for.

Each batch is a transaction of its own, sized so that it takes about a tenth of a second, and followed by a
pause as long as itself. So the work may be stopped at any moment, and begun again: what is left is found by
the next one. Months of events and decisions are dropped as a whole.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dct_pipelines.clients.sent_once import forget_old
from dct_pipelines.domain.counting import counted
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.retention import RetentionPolicy
from dct_pipelines.engine.pacing import DEFAULT_PACE, Pace, Swept, in_a_gap
from dct_pipelines.store import deleting, partitions, retention, upkeep
from dct_pipelines.store.database import Connection, Database
from dct_pipelines.store.partitions import PAYLOADS, Partition, Payload
from dct_pipelines.store.retention import Cut, Rule

NOTES = "notes of what was sent"


@dataclass(frozen=True)
class Retention:
    """Deletes what the policy says. With `dry_run` it counts what would go, and changes nothing."""

    database: Database
    clock: Clock
    policy: RetentionPolicy
    pace: Pace = DEFAULT_PACE
    sent: Path | None = None
    """Where it is noted on disk what was sent, so that nothing is sent twice."""

    def executions(self, *, dry_run: bool = False) -> Swept:
        """Executions that ended long ago, with their attempts, results and deployments."""
        return self._by_rules(retention.EXECUTIONS, dry_run)

    def snapshots(self, *, dry_run: bool = False) -> Swept:
        """States that no event saw which is still there."""
        return self._by_rules(retention.SNAPSHOTS, dry_run)

    def keys(self, *, dry_run: bool = False) -> Swept:
        """Keys of events and firings that nothing stands behind any more, and notes of what was sent."""
        swept = self._by_rules(retention.KEYS, dry_run)
        if self.sent is not None:
            before = self.policy.key_cutoff(self.clock.now())
            swept.counts[NOTES] += forget_old(self.sent, before, dry_run=dry_run)
        return swept

    def traces(self, *, dry_run: bool = False) -> Swept:
        """The activity stream, dead letters, own writes, checks, sessions."""
        return self._by_rules(retention.TRACES, dry_run)

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

    def _by_rules(self, rules: Collection[Rule], dry_run: bool) -> Swept:
        swept, now = Swept(), self.clock.now()
        if not dry_run and any(rule.cut is Cut.DAYS for rule in rules):
            # Before the first row goes, for who is stopped in the middle has deleted as well.
            with self.database.begin() as connection:
                upkeep.note_cutoff(connection, self.policy.cutoff(now))
        for rule in rules:
            with self._patiently() as connection:
                before = self._before(connection, rule.cut, now)
                deleting.find_kept(connection, rule, before)
                if dry_run:
                    swept.counts[rule.table.name] += deleting.count_old(connection, rule, before)
                    continue
                connection.commit()
                self._batches(connection, rule, before, swept)
        return swept

    def _before(self, connection: Connection, cut: Cut, now: datetime) -> Any:
        if cut is Cut.SEQ:
            return deleting.oldest_kept_seq(connection, self.policy.month_cutoff(now)) + 1
        return {Cut.DAYS: self.policy.cutoff, Cut.KEYS: self.policy.key_cutoff}.get(cut, lambda at: at)(now)

    def _batches(self, connection: Connection, rule: Rule, before: Any, swept: Swept) -> None:
        size, since = self.pace.fewest, None
        while True:
            begun = time.monotonic()
            with connection.begin():
                batch = deleting.delete_batch(connection, rule, before, since, size)
            swept.counts.update(batch.deleted)
            size, since = self._rest(size, begun), batch.upto
            if since is None:
                return

    def _page_by_page(self, payload: Payload, partition: Partition, month: datetime, swept: Swept) -> None:
        with self._patiently() as connection:
            if not partitions.has_old(connection, payload, partition, month):
                return
            pages = partitions.pages_of(connection, f"dct.{partition.name}")
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

        moved = in_a_gap(self.database, self.pace, drop)
        if moved is None:
            swept.notes.append(f"{partition.name} is in use; it is dropped the next time")
            swept.is_whole = False
            return True
        swept.counts[payload.name] += rows - moved
        stays = f", {counted(moved, 'row of it stays', 'rows of it stay')}" if moved else ""
        swept.notes.append(f"dropped {partition.name}{stays}")
        return True

    def _rest(self, size: int, begun: float) -> int:
        took = time.monotonic() - begun
        self.pace.pause(took * self.pace.rest)
        return self.pace.next_size(size, took)

    def _patiently(self) -> AbstractContextManager[Connection]:
        return partitions.patiently(self.database)
