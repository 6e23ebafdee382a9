"""Admission: which waiting executions may start now, and the truthful reason why each of the others may not.

Pure: the dispatcher loads what runs and what waits, `plan` decides, the dispatcher writes it down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from dct_pipelines.domain.trigger import ResourceLimits
from dct_pipelines.domain.words import TriggerStatus, WaitReason

HIGHEST = 10
QUEUES_SINCE = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Hold:
    """Not now: why, what for, and until when if that is known."""

    reason: WaitReason
    detail: str
    until: datetime | None = None


@dataclass(frozen=True)
class Candidate:
    """A waiting execution. `leases` are exclusive keys its actions will need, e.g. `environment:qa`.

    `trigger_id` is None for an execution that somebody made by hand: only its leases limit it.
    `order` breaks ties: the event's place, so that one subject's events keep the provider's order.
    """

    execution_id: UUID
    trigger_id: UUID | None
    subject: tuple[UUID, str] | None
    priority: int
    created_at: datetime
    order: int
    job_name: str
    limits: ResourceLimits
    trigger_status: TriggerStatus = TriggerStatus.ACTIVE
    trigger_is_deleted: bool = False
    leases: frozenset[str] = frozenset()
    not_before: datetime | None = None
    is_retry: bool = False
    connection_down: str | None = None
    """Why the connection that the work goes through is down; None when it is not."""


SubjectOfTrigger = tuple[UUID, tuple[UUID, str]]


@dataclass
class TriggerLoad:
    """What a trigger has running and has started. `starts` are those of the last day, any order."""

    running: int = 0
    starts: list[datetime] = field(default_factory=list)


@dataclass
class Load:
    """What runs now. `plan` counts into it what it admits."""

    free_slots: int
    loaded_jobs: frozenset[str]
    triggers: dict[UUID, TriggerLoad] = field(default_factory=dict)
    subjects: Counter[SubjectOfTrigger] = field(default_factory=Counter)
    """How many executions run for each trigger and subject."""
    leases: dict[str, str] = field(default_factory=dict)
    """Exclusive keys in use, and by whom in words."""
    reserved: dict[str, UUID] = field(default_factory=dict)
    """Free keys that are kept for an execution which needs others besides; `plan` fills it."""
    limits_enabled: bool = True
    first_in_line: dict[SubjectOfTrigger, int] = field(default_factory=dict)
    """The smallest `order` that waits for each trigger and subject; `plan` fills it."""

    def trigger(self, trigger_id: UUID) -> TriggerLoad:
        """The load of one trigger."""
        return self.triggers.setdefault(trigger_id, TriggerLoad())


@dataclass(frozen=True)
class Plan:
    """`admitted` best first; `held` says why for each of the others."""

    admitted: tuple[Candidate, ...]
    held: Mapping[UUID, Hold]


def aged_priority(priority: int, waited_seconds: float, step_seconds: float) -> int:
    """The priority grown by one for each `step_seconds` waited, at most 10: so nothing starves."""
    return min(HIGHEST, priority + int(max(0.0, waited_seconds) // step_seconds))


def queue_priority(priority: int, created_at: datetime, step_seconds: float) -> int:
    """The place in a queue that knows no ageing: the highest goes first, and the number never has to change.

    Two that wait age alike, so which is ahead was settled when they came: one priority is worth one step of
    time. It sinks with every step since `QUEUES_SINCE`, below the 0 of what people launch by hand.
    """
    return priority - HIGHEST - int((created_at - QUEUES_SINCE).total_seconds() // step_seconds)


def plan(candidates: Iterable[Candidate], load: Load, now: datetime, ageing_step_seconds: float) -> Plan:
    """Admit the best that fit every limit, one after the other; say of each other one why it waits.

    Best is the highest aged priority, then the longest waiting. A candidate that is held holds back later
    ones of its own trigger and subject, which keep the provider's order. One that needs several keys and has
    aged to the highest priority also keeps those that are free: else others take turns, and it never starts.
    """

    def rank(candidate: Candidate) -> tuple[int, datetime, int]:
        waited = (now - candidate.created_at).total_seconds()
        return (
            -aged_priority(candidate.priority, waited, ageing_step_seconds),
            candidate.created_at,
            candidate.order,
        )

    waiting = sorted(candidates, key=rank)
    for candidate in sorted(waiting, key=lambda candidate: -candidate.order):
        if (key := _line(candidate)) is not None:
            load.first_in_line[key] = candidate.order
    admitted: list[Candidate] = []
    held: dict[UUID, Hold] = {}
    for candidate in waiting:
        hold = _hold(candidate, load, now)
        if hold is None:
            admitted.append(candidate)
            _count_in(candidate, load, now)
        else:
            held[candidate.execution_id] = hold
            if hold.reason is WaitReason.ENVIRONMENT_BUSY and rank(candidate)[0] == -HIGHEST:
                for free in candidate.leases - load.leases.keys():
                    load.reserved.setdefault(free, candidate.execution_id)
    return Plan(tuple(admitted), held)


def _line(candidate: Candidate) -> SubjectOfTrigger | None:
    if candidate.trigger_id is None or candidate.subject is None:
        return None
    return candidate.trigger_id, candidate.subject


def _hold(candidate: Candidate, load: Load, now: datetime) -> Hold | None:
    if candidate.trigger_status is not TriggerStatus.ACTIVE:
        status, way_out = candidate.trigger_status, "; resume it to go on"
        if candidate.trigger_is_deleted:
            way_out = f" and was deleted; `dct execution cancel {candidate.execution_id}` ends the wait"
        return Hold(WaitReason.PAUSED, f"its trigger is {status}{way_out}")
    if candidate.not_before is not None and candidate.not_before > now:
        return Hold(WaitReason.RETRY_BACKOFF, "it tries again after a pause", candidate.not_before)
    if candidate.connection_down is not None:
        return Hold(WaitReason.CONNECTION_DOWN, candidate.connection_down)
    if candidate.job_name not in load.loaded_jobs:
        return Hold(WaitReason.JOB_LOADING, f"Dagster is loading the new job {candidate.job_name}")
    if load.limits_enabled:
        hold = _trigger_hold(candidate, load, now)
        if hold is not None:
            return hold
    for key in sorted(candidate.leases):
        if key in load.leases:
            return Hold(WaitReason.ENVIRONMENT_BUSY, f"{key} is in use by {load.leases[key]}")
        if key in load.reserved:
            others = f"execution {load.reserved[key]}, which has waited longer and needs others besides"
            return Hold(WaitReason.ENVIRONMENT_BUSY, f"{key} is kept for {others}")
    if load.free_slots <= 0:
        return Hold(WaitReason.RUN_SLOTS, "all run slots are taken by work of higher or older priority")
    return None


def _trigger_hold(candidate: Candidate, load: Load, now: datetime) -> Hold | None:
    if candidate.trigger_id is None:
        return None
    limits, current = candidate.limits, load.trigger(candidate.trigger_id)
    if (line := _line(candidate)) is not None:
        keeps_order = limits.max_concurrent_per_item == 1
        if load.subjects[line] >= limits.max_concurrent_per_item or (
            keeps_order and load.first_in_line.get(line, candidate.order) < candidate.order
        ):
            return Hold(WaitReason.ITEM_BUSY, f"earlier work of this trigger for {line[1][1]} goes first")
    if limits.max_concurrent_executions is not None and current.running >= limits.max_concurrent_executions:
        running = f"{current.running} of at most {limits.max_concurrent_executions} executions are running"
        return Hold(WaitReason.TRIGGER_BUSY, running)
    return None if candidate.is_retry else _rate_hold(limits, current.starts, now)


def _rate_hold(limits: ResourceLimits, starts: list[datetime], now: datetime) -> Hold | None:
    if limits.min_trigger_interval_ms is not None and starts:
        until = max(starts) + timedelta(milliseconds=limits.min_trigger_interval_ms)
        if until > now:
            return Hold(
                WaitReason.RATE_LIMIT, f"at most one every {limits.min_trigger_interval_ms} ms", until
            )
    for bound, span, unit in (
        (limits.max_executions_per_hour, HOUR, "hour"),
        (limits.max_executions_per_day, DAY, "day"),
    ):
        recent = sorted(start for start in starts if start > now - span)
        if bound is not None and len(recent) >= bound:
            return Hold(WaitReason.RATE_LIMIT, f"at most {bound} per {unit}", recent[-bound] + span)
    return None


def _count_in(candidate: Candidate, load: Load, now: datetime) -> None:
    load.free_slots -= 1
    for key in candidate.leases:
        load.leases[key] = f"execution {candidate.execution_id}"
    if candidate.trigger_id is None:
        return
    current = load.trigger(candidate.trigger_id)
    current.running += 1
    if not candidate.is_retry:
        current.starts.append(now)
    if (line := _line(candidate)) is not None:
        load.subjects[line] += 1
