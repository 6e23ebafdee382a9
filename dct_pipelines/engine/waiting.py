"""Why executions wait, as it is now: also of those that no pass of the dispatcher has looked at.

By the same rules as admission, on the same tables; nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from dct_pipelines.domain.admission import Hold
from dct_pipelines.domain.facts import Fact
from dct_pipelines.domain.quotas import Quotas
from dct_pipelines.domain.words import WaitReason
from dct_pipelines.engine.queue import Cohort, Queue, cohort_of, open_queue
from dct_pipelines.store import lane, queueing
from dct_pipelines.store import waiting as store
from dct_pipelines.store.database import Connection, Database, Row

if TYPE_CHECKING:
    from dct_pipelines.domain.ports import Clock

NEXT = "it starts as soon as the dispatcher comes by"
BEHIND = "earlier work of the same trigger for the same subject goes first"


class Wait(Fact):
    """Why one execution waits. `reason` None: nothing is in the way, its turn comes next.

    `until` is when that ends, if it is known; `behind` the execution of its line that comes first; `ahead`
    how many of all that wait come before it, by their aged priority, without what is paused.
    """

    execution_id: UUID
    reason: WaitReason | None
    detail: str
    until: datetime | None
    behind: UUID | None
    ahead: int


class Waiting(Fact):
    """Executions that wait for one reason; `detail` is that of the one waiting longest.

    `until` is when the first of them goes on, if that is known.
    """

    reason: WaitReason | None
    count: int
    oldest: datetime
    detail: str
    until: datetime | None = None


@dataclass(frozen=True)
class WaitingService:
    """Answers why executions wait. `quotas` are those of the settings.

    `loaded_jobs` are the jobs that Dagster has loaded; none when nobody has said yet, and then each counts as
    loaded.
    """

    database: Database
    clock: Clock
    quotas: Quotas
    ageing_step_seconds: float
    loaded_jobs: Callable[[], frozenset[str]]

    def of(self, execution_ids: Iterable[UUID]) -> dict[UUID, Wait]:
        """Why these wait; those that do not wait are left out."""
        asked = list(execution_ids)
        with self.database.connect() as connection:
            rows = store.needs(connection, asked) if asked else ()
            if not rows:
                return {}
            ahead = store.ahead(connection, asked, self.ageing_step_seconds)
            queue, _ = self.queue(connection)
            return {row.id: self._wait(queue, row, ahead[row.id]) for row in rows}

    def by_reason(self) -> tuple[Waiting, ...]:
        """What waits, by its reason; the most first."""
        sums = _Sums()
        with self.database.connect() as connection:
            queue, holds = self.queue(connection)
            for row in store.pausing(connection):
                reason = WaitReason(row.reason or WaitReason.RETRY_BACKOFF)
                until = None if reason is WaitReason.RESTORED else row.until
                sums.add(Hold(reason, row.detail or "", until), row._mapping["count"], row.oldest)
            counts = store.counts(connection, queue.lines)
        free = queue.admission.load.free_slots
        for cohort in self._best_first(queue.cohorts):
            hold, count = holds[cohort.head.cohort], counts.get(cohort.head.cohort)
            if count is None:
                continue
            if hold is not None:
                sums.add(hold, count._mapping["count"], count.oldest)
                continue
            starting = min(free, count.firsts)
            free -= starting
            sums.add_free(cohort, count, starting)
        return sums.told()

    def tell(self, executions: Sequence[MutableMapping[str, Any]]) -> None:
        """Say of executions as lists show them why they wait now, until when, and how many are ahead."""
        waits = self.of(one["id"] for one in executions if one["status"] == "waiting")
        for one in executions:
            wait = waits.get(one["id"])
            if wait is not None:
                one["wait_reason"] = wait.reason.value if wait.reason is not None else None
                one["wait_detail"] = wait.detail
            one["wait_until"] = wait.until if wait is not None else None
            one["waits_for"] = wait.behind if wait is not None else None
            one["ahead"] = wait.ahead if wait is not None else None

    def queue(self, connection: Connection) -> tuple[Queue, Mapping[int, Hold | None]]:
        """The queue as it stands, and what holds back each cohort as a whole."""
        cohorts = [cohort_of(head) for head in queueing.heads(connection)]
        jobs = self.loaded_jobs() or frozenset(cohort.head.job_name for cohort in cohorts)
        now = self.clock.now()
        is_direct = lane.is_taken(connection)
        queue = open_queue(
            connection, cohorts, jobs, self.quotas, now, self.ageing_step_seconds, is_direct=is_direct
        )
        holds: dict[int, Hold | None] = {}
        for cohort in self._best_first(cohorts):
            hold = queue.admission.hold(cohort.candidate)
            holds[cohort.head.cohort] = hold
            if hold is not None:
                queue.admission.keep(queue.candidate(cohort, cohort.head), hold)
        return queue, holds

    def _best_first(self, cohorts: Iterable[Cohort]) -> list[Cohort]:
        return sorted(cohorts, key=lambda one: one.next(self.ageing_step_seconds))

    def _wait(self, queue: Queue, row: Row[Any], ahead: int) -> Wait:
        wait = Wait(execution_id=row.id, reason=None, detail=NEXT, until=None, behind=None, ahead=ahead)
        now = queue.admission.now
        if row.not_before is not None and row.not_before > now:
            reason = WaitReason(row.wait_reason or WaitReason.RETRY_BACKOFF)
            until = None if reason is WaitReason.RESTORED else row.not_before
            told = {"reason": reason, "detail": row.wait_detail or "", "until": until}
            return wait.model_copy(update=told)
        candidate = queue.candidate(cohort_of(row), row)
        hold = queue.admission.hold(candidate)
        if hold is None:
            if ahead < queue.admission.load.free_slots:
                return wait
            hold = queue.admission.full(ahead)
        behind = candidate.behind if hold.reason is WaitReason.ITEM_BUSY else None
        told = {"reason": hold.reason, "detail": hold.detail, "until": hold.until, "behind": behind}
        return wait.model_copy(update=told)


@dataclass
class _Sum:
    """What waits for one reason, with the words of the one that waits longest."""

    oldest: datetime
    detail: str
    count: int = 0
    until: datetime | None = None


@dataclass
class _Sums:
    """All that waits, by reason. There may be as many cohorts as executions, so little is done for each."""

    by_reason: dict[WaitReason | None, _Sum] = field(default_factory=dict)

    def add(self, hold: Hold, count: int, oldest: datetime) -> None:
        """So many wait because of that."""
        self._add(hold.reason, hold.detail, hold.until, count, oldest)

    def add_free(self, cohort: Cohort, count: Row[Any], starting: int) -> None:
        """What nothing holds back as a whole: some start, others wait for a slot or for their line."""
        total = count._mapping["count"]
        firsts = count.firsts if cohort.is_one_by_one else total
        for reason, number, detail in (
            (None, starting, NEXT),
            (WaitReason.RUN_SLOTS, firsts - starting, "others that wait come before it"),
            (WaitReason.ITEM_BUSY, total - firsts, BEHIND),
        ):
            if number > 0:
                self._add(reason, detail, None, number, count.oldest)

    def told(self) -> tuple[Waiting, ...]:
        """The most first."""
        found = sorted(self.by_reason.items(), key=lambda one: (-one[1].count, one[1].oldest))
        return tuple(Waiting(reason=reason, **vars(one)) for reason, one in found)

    def _add(
        self, reason: WaitReason | None, detail: str, until: datetime | None, count: int, oldest: datetime
    ) -> None:
        one = self.by_reason.setdefault(reason, _Sum(oldest, detail))
        one.count += count
        if oldest < one.oldest:
            one.oldest, one.detail = oldest, detail
        if until is not None:
            one.until = min(until, one.until or until)
