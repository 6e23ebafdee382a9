"""Dispatch: which waiting executions are handed to Dagster now, best first, each by one compare-and-set.

The table is the truth. A RunRequest that gets lost after the compare-and-set is found by the sweep, which
gives the execution its next attempt (engine/reconcile.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from dct_pipelines import registry
from dct_pipelines.domain.admission import Candidate, Hold, Load, Plan, plan, queue_priority
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.trigger import ResourceLimits
from dct_pipelines.domain.words import TriggerStatus, WaitReason
from dct_pipelines.store import deciding, dispatching, lane
from dct_pipelines.store.database import Database, Row

AFTER_ALL_EVENTS = 2**62
"""The place in line of executions that no event made."""

PAUSED_WITH_A_REASON = (WaitReason.RETRY_BACKOFF, WaitReason.ENVIRONMENT_BUSY)
"""Whoever made an execution pause wrote why, more exactly than admission knows."""

SLACK_SECONDS = 120
"""Beyond a trigger's own time limit, after which an execution ends itself, Dagster ends the run."""


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
    """What one pass did: the orders, and how many wait for which reason."""

    orders: tuple[DispatchOrder, ...] = ()
    waiting: Mapping[str, int] = field(default_factory=dict)
    missing_jobs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Dispatcher:
    """Hands executions over. `run_slots` is how many runs Dagster works on at the same time."""

    database: Database
    clock: Clock
    run_slots: int
    ageing_step_seconds: float
    limits_enabled: bool = True

    def dispatch(self, loaded_jobs: frozenset[str], limit: int) -> DispatchReport:
        """One pass: at most `limit` orders, and every other waiting execution gets its truthful reason."""
        with self.database.begin() as connection:
            if not dispatching.try_lock(connection):
                return DispatchReport()
            rows = dispatching.waiting(connection)
            missing = dispatching.missing_jobs(connection, loaded_jobs)
            if not rows:
                return DispatchReport(missing_jobs=missing)
            now = self.clock.now()
            holding = dispatching.holding(connection)
            load = self._load(holding, loaded_jobs, limit)
            candidates = [_candidate(row) for row in rows]
            limited = {one.trigger_id for one in candidates if one.trigger_id and one.limits.has_rate}
            for trigger_id, starts in dispatching.starts_of(connection, list(limited), now).items():
                load.trigger(trigger_id).starts.extend(starts)
            planned = plan(candidates, load, now, self.ageing_step_seconds)
            moved = dispatching.dispatch(connection, [one.execution_id for one in planned.admitted], now)
            changed = _changed(rows, planned)
            dispatching.store_holds(connection, changed)
            deciding.mark_held(connection, _first_holds(rows, changed))
        by_id = {row.id: row for row in rows}
        orders = []
        for one in moved:
            row = by_id[one.execution_id]
            priority = queue_priority(row.priority, row.created_at, self.ageing_step_seconds)
            tags = _tags(row, one.attempt, priority)
            orders.append(DispatchOrder(one.execution_id, one.attempt, row.job_name, priority, tags))
        return DispatchReport(tuple(orders), _count(planned.held.values()), missing)

    def is_done_directly(self) -> bool:
        """Whether a daemon of ours hands over what waits, so that no sensor needs to."""
        with self.database.connect() as connection:
            return lane.is_taken(connection)

    def missing_jobs(self, loaded_jobs: frozenset[str]) -> frozenset[str]:
        """Jobs that are needed and not among `loaded_jobs`."""
        with self.database.connect() as connection:
            return dispatching.missing_jobs(connection, loaded_jobs)

    def _load(self, holding: Iterable[Row[Any]], loaded_jobs: frozenset[str], limit: int) -> Load:
        holding = list(holding)
        window = max(0, 2 * self.run_slots - len(holding))
        load = Load(min(limit, window), loaded_jobs, limits_enabled=self.limits_enabled)
        for row in holding:
            for key in leases_of(row.actions):
                load.leases[key] = f"execution {row.id}"
            if row.trigger_id is not None:
                load.trigger(row.trigger_id).running += 1
                if row.subject is not None:
                    load.subjects[(row.trigger_id, (row.item_id, row.subject))] += 1
        return load


def leases_of(actions: list[dict[str, Any]]) -> frozenset[str]:
    """Exclusive keys that these actions will need, as far as their configuration says so without an event."""
    return _leases(json.dumps(actions, sort_keys=True))


@lru_cache(maxsize=10_000)
def _leases(actions: str) -> frozenset[str]:
    keys: set[str] = set()
    for action in json.loads(actions):
        kind = registry.actions().get(action["type"])
        if kind is None:
            continue
        try:
            config = kind.config.model_validate(action["config"])
        except ValidationError:
            continue
        keys.update(key for key in kind.leases(config) if "{{" not in key)
    return frozenset(keys)


def _candidate(row: Row[Any]) -> Candidate:
    down = None
    if row.health == "down":
        down = f"connection {row.connection_name} is down: {row.health_detail or 'no answer'}"
    status = TriggerStatus(row.trigger_status) if row.trigger_status else TriggerStatus.ACTIVE
    return Candidate(
        execution_id=row.id,
        trigger_id=row.trigger_id,
        subject=(row.item_id, row.subject) if row.item_id is not None and row.subject is not None else None,
        priority=row.priority,
        created_at=row.created_at,
        order=row.seq if row.seq is not None else AFTER_ALL_EVENTS,
        job_name=row.job_name,
        limits=ResourceLimits.model_validate(row.resource_limits),
        trigger_status=status,
        trigger_is_deleted=row.trigger_is_deleted,
        leases=leases_of(row.actions),
        not_before=row.not_before,
        is_retry=row.attempt > 0,
        connection_down=down,
    )


def _changed(rows: Iterable[Row[Any]], planned: Plan) -> dict[UUID, Hold]:
    return {
        row.id: hold
        for row in rows
        if (hold := planned.held.get(row.id)) is not None
        and (row.wait_reason, row.wait_detail) != (hold.reason.value, hold.detail)
        and not (hold.reason is WaitReason.RETRY_BACKOFF and row.wait_reason in PAUSED_WITH_A_REASON)
    }


def _first_holds(rows: Iterable[Row[Any]], holds: Mapping[UUID, Hold]) -> dict[UUID, str]:
    return {row.id: holds[row.id].reason.value for row in rows if row.id in holds and row.attempt == 0}


def _count(holds: Iterable[Hold]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for hold in holds:
        counts[hold.reason.value] = counts.get(hold.reason.value, 0) + 1
    return counts


def _tags(row: Row[Any], attempt: int, priority: int) -> dict[str, str]:
    limits = ResourceLimits.model_validate(row.resource_limits)
    tags = {
        "dagster/priority": str(priority),
        "dagster/max_runtime": str(limits.timeout_seconds + SLACK_SECONDS),
        "dct/execution": str(row.id),
        "dct/attempt": str(attempt),
    }
    if row.trigger_name:
        tags["dct/trigger"] = row.trigger_name
    if row.item_id is not None:
        tags["dct/item"] = str(row.item_id)
    return tags
