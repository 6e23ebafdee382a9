"""The queue as one pass goes through it: best first, reading no more than it takes.

What waits is read by cohorts. Of one that is held back as a whole only the first is looked at; of the others
as many as may start. So a pass costs what it hands over, however much waits.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from dct_pipelines.domain.admission import Admission, Candidate, Hold, Load
from dct_pipelines.domain.ageing import Place, place
from dct_pipelines.domain.quotas import Quotas, most_runs
from dct_pipelines.domain.restored import PAUSED
from dct_pipelines.domain.room import Room
from dct_pipelines.domain.trigger import ResourceLimits
from dct_pipelines.domain.words import TriggerStatus, WaitReason
from dct_pipelines.store import queueing, quotas, restoring, slots
from dct_pipelines.store.database import Connection, Row

LEAST_READ = 8
"""So many of a cohort are read at a time, however many are read together."""
TOLD_WHEN_FULL = 10
"""So many of those that come next are told that they wait for a slot."""


@dataclass(frozen=True)
class Looked:
    """An execution that a pass has looked at, the first of its cohort, and why it waits; None: it starts."""

    row: Row[Any]
    head: Row[Any]
    hold: Hold | None


@dataclass
class Cohort:
    """Executions that need the same. `rows` are read and not looked at yet, the best first."""

    head: Row[Any]
    candidate: Candidate
    rows: deque[Row[Any]] = field(default_factory=deque)
    last_read: tuple[datetime, int] | None = None
    """The place of the last one that was read."""
    is_read: bool = False
    """Whether there is nothing more to read of it."""

    @property
    def is_one_by_one(self) -> bool:
        """Whether of one line only the first may be at work."""
        return self.candidate.limits.max_concurrent_per_item == 1

    def next(self, step_seconds: float) -> Place:
        """The place of the next one, or the best that the next one could have."""
        if self.rows:
            since, order = self.rows[0].waits_since, self.rows[0].line_order
        elif self.last_read is not None:
            since, order = self.last_read
        else:
            since, order = self.head.waits_since, self.head.line_order
        return place(self.head.priority, since, order, step_seconds)

    def take_in(self, rows: Sequence[Row[Any]], *, is_all: bool) -> None:
        """What was read of it, and whether that is all there is."""
        self.rows.extend(rows)
        self.is_read = is_all
        if rows:
            self.last_read = rows[-1].waits_since, rows[-1].line_order


Entry = tuple[Place, int, Cohort]


@dataclass
class Queue:
    """Everything that is ready, for one pass. `lines` of which one is at work, each with that execution."""

    connection: Connection
    admission: Admission
    cohorts: Sequence[Cohort]
    lines: dict[int, UUID]
    full: set[int] = field(default_factory=set)
    """Lines of which nothing more can start in this pass, as far as it has found out."""

    def best_first(self) -> Iterator[Looked]:
        """Consider executions, the best first, until nothing is left that may start.

        Those that are told why not are the first of each cohort that is held back as a whole, what else had
        been read by then, and a few of those that wait for a slot.
        """
        entries = [self._entry(number, cohort) for number, cohort in enumerate(self.cohorts)]
        heapq.heapify(entries)
        told = 0
        while entries and told < TOLD_WHEN_FULL:
            _, number, cohort = heapq.heappop(entries)
            if not cohort.rows:
                self._read(cohort, entries)
            if cohort.rows:
                looked = self._look_at(cohort, cohort.rows.popleft())
                told += looked.hold is not None and self.admission.is_full
                yield looked
            if cohort.rows or not cohort.is_read:
                heapq.heappush(entries, self._entry(number, cohort))

    def _entry(self, number: int, cohort: Cohort) -> Entry:
        return cohort.next(self.admission.ageing_step_seconds), number, cohort

    def candidate(self, cohort: Cohort, row: Row[Any]) -> Candidate:
        """An execution of a cohort."""
        return replace(
            cohort.candidate,
            execution_id=row.id,
            subject=(row.item_id, row.subject) if row.line is not None else None,
            waits_since=row.waits_since,
            order=row.line_order,
            behind=(row.behind or self.lines.get(row.line)) if cohort.is_one_by_one else None,
        )

    def _look_at(self, cohort: Cohort, row: Row[Any]) -> Looked:
        candidate = self.candidate(cohort, row)
        hold = self.admission.consider(candidate)
        cohort.is_read |= hold is not None and hold.is_shared
        if hold is not None and hold.reason is WaitReason.ITEM_BUSY:
            self.full.add(row.line)
        return Looked(row, cohort.head, hold)

    def _read(self, cohort: Cohort, entries: Sequence[Entry]) -> None:
        """Read on in it, and in the best of others that have to be read soon, if any of it may start.

        The first time whoever comes next is read, later only those that nobody of their line is before.
        """
        if self.admission.hold(cohort.candidate) is not None:
            cohort.take_in([cohort.head] if cohort.last_read is None else [], is_all=True)
            return
        is_first = cohort.last_read is None
        free = self.admission.load.free_slots
        some = [cohort]
        for _, _, other in heapq.nsmallest(free, entries):
            is_low = len(other.rows) < LEAST_READ // 2 and not other.is_read
            is_like_it = is_low and (other.last_read is None) is is_first
            if is_like_it and self.admission.hold(other.candidate) is None:
                some.append(other)
        most = free + TOLD_WHEN_FULL
        asks = [self._ask(one) for one in some]
        of_each = max(LEAST_READ, 4 * most // len(some))
        rows = queueing.ready(
            self.connection, asks, (of_each, most), (self.lines, self.full), whoever_is_behind=is_first
        )
        found: dict[int, list[Row[Any]]] = {}
        for row in rows:
            found.setdefault(row.cohort, []).append(row)
        for one in some:
            mine = found.get(one.head.cohort, [])
            one.take_in(mine, is_all=len(mine) < of_each and len(rows) < most)

    def _ask(self, cohort: Cohort) -> queueing.Ask:
        since, order = cohort.last_read or queueing.BEFORE_ALL
        bonus = cohort.head.priority * self.admission.ageing_step_seconds
        return queueing.Ask(cohort.head.cohort, bonus, since, order, cohort.is_one_by_one)


def open_queue(
    connection: Connection,
    cohorts: Sequence[Cohort],
    loaded_jobs: frozenset[str],
    defaults: Quotas,
    now: datetime,
    ageing_step_seconds: float,
    *,
    is_direct: bool = False,
) -> Queue:
    """The queue as it stands, with what holds slots now. Free are twice the slots that the quota allows.

    The second half waits in Dagster's own queue, so that no slot is idle between two passes; `is_direct` says
    that nothing goes there, because a daemon of ours starts what has a slot.
    """
    holding = queueing.holding(connection)
    room = Room(quotas.in_force(connection, defaults), slots.usage(connection))
    window = most_runs(room.quotas) * (1 if is_direct else 2) - len(holding)
    load = Load(max(0, window), loaded_jobs, room)
    load.restored = PAUSED if restoring.is_paused(connection) else None
    lines: dict[int, UUID] = {}
    for row in holding:
        for key in row.lease_keys:
            load.leases[key] = f"execution {row.id}"
        if row.trigger_id is not None:
            load.trigger(row.trigger_id).running += 1
        if row.line is not None:
            load.subjects[(row.trigger_id, (row.item_id, row.subject))] += 1
            lines[row.line] = row.id
    candidates = (cohort.candidate for cohort in cohorts)
    rates = [(one.trigger_id, one.limits) for one in candidates if one.trigger_id and one.limits.has_rate]
    for trigger_id, starts in queueing.starts_of(connection, rates, now).items():
        load.trigger(trigger_id).starts.extend(starts)
    return Queue(connection, Admission(load, now, ageing_step_seconds), cohorts, lines)


@lru_cache(maxsize=10_000)
def limits_of(text: str) -> ResourceLimits:
    """Limits as they are stored with an execution; many have the same."""
    return ResourceLimits.model_validate_json(text)


def cohort_of(head: Row[Any]) -> Cohort:
    """The cohort whose first execution is `head`."""
    down = None
    if head.health == "down":
        down = f"connection {head.connection_name} is down: {head.health_detail or 'no answer'}"
    candidate = Candidate(
        execution_id=head.id,
        trigger_id=head.trigger_id,
        subject=None,
        priority=head.priority,
        waits_since=head.waits_since,
        order=head.line_order,
        job_name=head.job_name,
        limits=limits_of(head.limits),
        trigger_status=TriggerStatus(head.trigger_status or TriggerStatus.ACTIVE),
        trigger_is_deleted=head.trigger_is_deleted,
        leases=frozenset(head.lease_keys),
        agents=head.agents,
        workspaces=head.workspaces,
        is_retry=head.attempt > 0,
        connection_down=down,
    )
    return Cohort(head, candidate)
