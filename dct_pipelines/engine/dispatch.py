"""Dispatch: which waiting executions are handed to Dagster now, best first, each by one compare-and-set.

The table is the truth. A RunRequest that gets lost after the compare-and-set is found by the sweep, which
gives the execution its next attempt (engine/reconcile.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from dct_pipelines.domain import run_tags
from dct_pipelines.domain.admission import Hold
from dct_pipelines.domain.ageing import queue_priority
from dct_pipelines.domain.debounce import debounce
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.quotas import Quotas, agent_class
from dct_pipelines.domain.trigger import ResourceLimits
from dct_pipelines.engine.queue import Looked, cohort_of, limits_of, open_queue
from dct_pipelines.store import deciding, dispatching, lane, queueing
from dct_pipelines.store.database import Connection, Database

SLACK_SECONDS = 120
"""Beyond a trigger's own time limit, after which an execution ends itself, Dagster ends the run."""
MOST_PAUSES = 500
"""Pauses that one pass ends; what is more follows with the next."""


@dataclass(frozen=True)
class DispatchOrder:
    """What Dagster is asked to run: one attempt of one execution."""

    execution_id: UUID
    attempt: int
    job_name: str
    priority: int
    tags: Mapping[str, str]

    @property
    def run_key(self) -> str:
        """A second guard against a doubled run; the compare-and-set is the first."""
        return f"{self.execution_id}:{self.attempt}"


@dataclass(frozen=True)
class DispatchReport:
    """What one pass did: the orders, and of those it looked at, how many wait for which reason.

    `missing_jobs` are needed and not loaded, as far as the pass has seen.
    """

    orders: tuple[DispatchOrder, ...] = ()
    waiting: Mapping[str, int] = field(default_factory=dict)
    missing_jobs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Dispatcher:
    """Hands executions over. `quotas` are those of the settings."""

    database: Database
    clock: Clock
    quotas: Quotas
    ageing_step_seconds: float

    def dispatch(self, loaded_jobs: frozenset[str], limit: int) -> DispatchReport:
        """One pass: at most `limit` orders. Others are told why they wait, the first of their kind at least.

        With nothing to start it is one cheap question to the database.
        """
        now = self.clock.now()
        with self.database.begin() as connection:
            pulse = queueing.pulse(connection, now)
            missing = pulse.jobs - loaded_jobs
            if not (pulse.ready or pulse.due) or not dispatching.try_lock(connection):
                return DispatchReport(missing_jobs=missing)
            if pulse.due:
                _end_pauses(connection, now)
            cohorts = [cohort_of(head) for head in queueing.heads(connection)]
            missing |= {cohort.head.job_name for cohort in cohorts} - loaded_jobs
            queue = open_queue(connection, cohorts, loaded_jobs, self.quotas, now, self.ageing_step_seconds)
            load = queue.admission.load
            load.free_slots = min(limit, load.free_slots)
            looked = list(queue.best_first())
            admitted = {one.row.id: one for one in looked if one.hold is None}
            moved = dispatching.dispatch(connection, list(admitted), now)
            held = [one for one in looked if one.hold is not None]
            _tell_held(connection, held)
        orders = tuple(self._order(admitted[one.execution_id], one.attempt) for one in moved)
        waiting = Counter(one.hold.reason.value for one in held if one.hold is not None)
        return DispatchReport(orders, waiting, missing)

    def is_done_directly(self) -> bool:
        """Whether a daemon of ours hands over what waits, so that no sensor needs to."""
        with self.database.connect() as connection:
            return lane.is_taken(connection)

    def missing_jobs(self, loaded_jobs: frozenset[str]) -> frozenset[str]:
        """Jobs that are needed and not among `loaded_jobs`."""
        with self.database.connect() as connection:
            shaped = queueing.pulse(connection, self.clock.now()).jobs
            return (shaped | {head.job_name for head in queueing.heads(connection)}) - loaded_jobs

    def _order(self, looked: Looked, attempt: int) -> DispatchOrder:
        row, head = looked.row, looked.head
        priority = queue_priority(head.priority, row.waits_since, self.ageing_step_seconds)
        tags = _tags(looked, attempt, priority)
        return DispatchOrder(row.id, attempt, head.job_name, priority, tags)


def _end_pauses(connection: Connection, now: datetime) -> None:
    """Make ready whose pause is over; what a debounce holds pauses on while its subject is not quiet."""
    over, until = [], {}
    for row in dispatching.ended_pauses(connection, now, MOST_PAUSES):
        hold = None
        if row.is_debounced:
            limits = ResourceLimits.model_validate(row.resource_limits)
            hold = debounce(limits, row.waits_since, row.last_fired_at or row.waits_since)
        if hold is not None and hold.until is not None and hold.until > now:
            until[row.id] = hold.until
        else:
            over.append(row.id)
    dispatching.end_pauses(connection, over)
    dispatching.prolong_pauses(connection, until)


def _tell_held(connection: Connection, held: Iterable[Looked]) -> None:
    """Store the reasons that have changed; a decision remembers the first one."""
    changed: dict[UUID, Hold] = {}
    first: dict[UUID, str] = {}
    for one in held:
        row, hold = one.row, one.hold
        if hold is not None and (row.wait_reason, row.wait_detail) != (hold.reason.value, hold.detail):
            changed[row.id] = hold
            if row.attempt == 0 and row.wait_reason is None:
                first[row.id] = hold.reason.value
    dispatching.store_holds(connection, changed)
    deciding.mark_held(connection, first)


def _tags(looked: Looked, attempt: int, priority: int) -> dict[str, str]:
    row, head = looked.row, looked.head
    limits = limits_of(head.limits)
    tags = {
        "dagster/priority": str(priority),
        "dagster/max_runtime": str(limits.timeout_seconds + SLACK_SECONDS),
        run_tags.EXECUTION: str(row.id),
        run_tags.ATTEMPT: str(attempt),
    }
    environments = [key.partition(":")[2] for key in head.lease_keys if key.startswith("environment:")]
    optional = {
        run_tags.TRIGGER: head.trigger_name,
        "dct/item": row.item_id,
        run_tags.AGENT: head.agents or None,
        run_tags.AGENT_CLASS: agent_class(head.priority) if head.agents else None,
        run_tags.WORKSPACE: head.workspaces or None,
        run_tags.ENVIRONMENT: environments[0] if len(environments) == 1 else None,
        run_tags.LINE: row.line if limits.max_concurrent_per_item == 1 else None,
    }
    return tags | {key: str(value) for key, value in optional.items() if value is not None}
