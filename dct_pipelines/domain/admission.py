"""Admission: which waiting executions may start now, and the truthful reason why each of the others may not.

Pure: the dispatcher reads what runs and the best of what waits, `Admission` decides, the dispatcher writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from dct_pipelines.domain.ageing import HIGHEST, Place, aged_priority, place
from dct_pipelines.domain.quotas import agent_class, most_runs
from dct_pipelines.domain.room import Room
from dct_pipelines.domain.trigger import ResourceLimits
from dct_pipelines.domain.words import TriggerStatus, WaitReason

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
KEEPING = (WaitReason.ENVIRONMENT_BUSY, WaitReason.AGENT_QUOTA, WaitReason.WORKSPACE_QUOTA)
"""Reasons for which an execution that has aged keeps what it needs and is free."""


@dataclass(frozen=True)
class Hold:
    """Not now: why, what for, and until when if that is known.

    `is_shared`: it holds back whatever needs the same (the same trigger, limits, environments, quotas).
    """

    reason: WaitReason
    detail: str
    until: datetime | None = None
    is_shared: bool = False


@dataclass(frozen=True)
class Candidate:
    """A waiting execution. `leases` are exclusive keys its actions will need, e.g. `environment:qa`.

    `trigger_id` is None for an execution that somebody made by hand: only its leases and quotas limit it.
    `waits_since` is when it began to age: when it fired, or the first of those that it stands for.
    `order` breaks ties: the event's place, so that one subject's events keep the provider's order.
    """

    execution_id: UUID
    trigger_id: UUID | None
    subject: tuple[UUID, str] | None
    priority: int
    waits_since: datetime
    order: int
    job_name: str
    limits: ResourceLimits
    trigger_status: TriggerStatus = TriggerStatus.ACTIVE
    trigger_is_deleted: bool = False
    leases: frozenset[str] = frozenset()
    agents: int = 0
    workspaces: int = 0
    pause: Hold | None = None
    """What was said when it was made to pause, and until when."""
    is_retry: bool = False
    connection_down: str | None = None
    """Why the connection that the work goes through is down; None when it is not."""
    behind: UUID | None = None
    """The execution that comes first in its line, of those that are no candidates of the same pass."""


SubjectOfTrigger = tuple[UUID, tuple[UUID, str]]


@dataclass
class TriggerLoad:
    """What a trigger has running and has started. `starts` are those of the last day, any order."""

    running: int = 0
    starts: list[datetime] = field(default_factory=list)


@dataclass
class Load:
    """What runs now, and what is in use of the quotas. `Admission` counts into it what it admits."""

    free_slots: int
    loaded_jobs: frozenset[str]
    room: Room = field(default_factory=Room)
    triggers: dict[UUID, TriggerLoad] = field(default_factory=dict)
    subjects: Counter[SubjectOfTrigger] = field(default_factory=Counter)
    """How many executions run for each trigger and subject."""
    leases: dict[str, str] = field(default_factory=dict)
    """Exclusive keys in use, and by whom in words."""
    reserved: dict[str, UUID] = field(default_factory=dict)
    """Keys that are kept for the execution whose turn it is to have them; `Admission` fills it."""
    restored: str | None = None
    """Why nothing at all may start: the deployment comes from a backup. None: it may."""
    first_in_line: dict[SubjectOfTrigger, int] = field(default_factory=dict)
    """The smallest `order` that waits for each trigger and subject; `plan` fills it."""

    @property
    def limits_enabled(self) -> bool:
        """Whether quotas and limits count. Exclusive keys and the order within a line always do."""
        return self.room.quotas.enabled

    def trigger(self, trigger_id: UUID) -> TriggerLoad:
        """The load of one trigger."""
        return self.triggers.setdefault(trigger_id, TriggerLoad())


@dataclass(frozen=True)
class Plan:
    """`admitted` best first; `held` says why for each of the others."""

    admitted: tuple[Candidate, ...]
    held: Mapping[UUID, Hold]


@dataclass
class Admission:
    """One pass. Candidates are considered best first; what is admitted counts from then on."""

    load: Load
    now: datetime
    ageing_step_seconds: float

    @property
    def is_full(self) -> bool:
        """Whether every free slot is given away."""
        return self.load.free_slots <= 0

    def place(self, candidate: Candidate) -> Place:
        """Where it stands in the queue."""
        return place(candidate.priority, candidate.waits_since, candidate.order, self.ageing_step_seconds)

    def consider(self, candidate: Candidate) -> Hold | None:
        """Admit it and count it, or say why it waits.

        One that needs several things and has aged to the highest priority keeps those that are free: else
        others take turns, and it never starts.
        """
        hold = self.hold(candidate)
        if hold is None:
            self._count_in(candidate)
        else:
            self.keep(candidate, hold)
        return hold

    def keep(self, candidate: Candidate, hold: Hold) -> None:
        """Keep what is free for one that is held, if it has aged and is the next for its line and keys.

        While it lacks workspaces, which may be taken for days, it keeps only those.
        """
        load, of_class = self.load, agent_class(candidate.priority)
        if hold.reason not in KEEPING or not self._has_aged(candidate) or self._line_hold(candidate):
            return
        if load.room.lacks_workspaces(candidate.workspaces) is not None:
            load.room.keep(0, of_class, candidate.workspaces)
        elif load.reserved.keys().isdisjoint(candidate.leases):
            load.reserved |= dict.fromkeys(candidate.leases, candidate.execution_id)
            load.room.keep(candidate.agents, of_class, candidate.workspaces)

    def hold(self, candidate: Candidate) -> Hold | None:
        """Why it may not start now; None when it may."""
        if (pause := candidate.pause) is not None and pause.until is not None and pause.until > self.now:
            return pause
        if self.load.restored is not None:
            return _shared(WaitReason.RESTORED, self.load.restored)
        shared = self._state_hold(candidate) or self._trigger_hold(candidate) or self._needs_hold(candidate)
        if shared is not None:
            return shared
        if (line_hold := self._line_hold(candidate)) is not None:
            return line_hold
        return self.full() if self.is_full else None

    def full(self, ahead: int = 0) -> Hold:
        """Why one waits for a slot, before which so many others come."""
        first = f"{ahead} that wait come before it"
        why = first if ahead else "all run slots are taken by work of higher or older priority"
        if most_runs(self.load.room.quotas) == 0:
            why = "the quota of executions is 0; `dct quota set` or `unset` it, and it goes on"
        return _shared(WaitReason.RUN_SLOTS, why)

    def _has_aged(self, candidate: Candidate) -> bool:
        waited = (self.now - candidate.waits_since).total_seconds()
        return aged_priority(candidate.priority, waited, self.ageing_step_seconds) == HIGHEST

    def _state_hold(self, candidate: Candidate) -> Hold | None:
        if candidate.trigger_status is not TriggerStatus.ACTIVE:
            status, way_out = candidate.trigger_status, "; resume it to go on"
            if candidate.trigger_is_deleted:
                way_out = f" and was deleted; `dct execution cancel {candidate.execution_id}` ends the wait"
            return _shared(WaitReason.PAUSED, f"its trigger is {status}{way_out}")
        if candidate.connection_down is not None:
            return _shared(WaitReason.CONNECTION_DOWN, candidate.connection_down)
        if candidate.job_name not in self.load.loaded_jobs:
            return _shared(WaitReason.JOB_LOADING, f"Dagster is loading the new job {candidate.job_name}")
        return None

    def _trigger_hold(self, candidate: Candidate) -> Hold | None:
        if candidate.trigger_id is None or not self.load.limits_enabled:
            return None
        limits, current = candidate.limits, self.load.trigger(candidate.trigger_id)
        most = limits.max_concurrent_executions
        if most is not None and current.running >= most:
            running = f"{current.running} of at most {most} executions are running"
            return _shared(WaitReason.TRIGGER_BUSY, running)
        return None if candidate.is_retry else _rate_hold(limits, current.starts, self.now)

    def _needs_hold(self, candidate: Candidate) -> Hold | None:
        load = self.load
        for key in sorted(candidate.leases):
            if key in load.leases:
                return _shared(WaitReason.ENVIRONMENT_BUSY, f"{key} is in use by {load.leases[key]}")
            if load.reserved.get(key, candidate.execution_id) != candidate.execution_id:
                others = f"execution {load.reserved[key]}, which has waited longer and needs others besides"
                return _shared(WaitReason.ENVIRONMENT_BUSY, f"{key} is kept for {others}")
        if (lack := load.room.lacks_agents(candidate.agents, agent_class(candidate.priority))) is not None:
            return _shared(WaitReason.AGENT_QUOTA, lack)
        if (lack := load.room.lacks_workspaces(candidate.workspaces)) is not None:
            return _shared(WaitReason.WORKSPACE_QUOTA, lack)
        return None

    def _line_hold(self, candidate: Candidate) -> Hold | None:
        if (line := _line(candidate)) is None:
            return None
        most = candidate.limits.max_concurrent_per_item
        keeps_order = most == 1
        if not keeps_order and not self.load.limits_enabled:
            return None
        if keeps_order and candidate.behind is not None:
            first = f"execution {candidate.behind} of this trigger for {line[1][1]} goes first"
            return Hold(WaitReason.ITEM_BUSY, first)
        comes_later = keeps_order and self.load.first_in_line.get(line, candidate.order) < candidate.order
        if comes_later or self.load.subjects[line] >= most:
            return Hold(WaitReason.ITEM_BUSY, f"earlier work of this trigger for {line[1][1]} goes first")
        return None

    def _count_in(self, candidate: Candidate) -> None:
        load = self.load
        load.free_slots -= 1
        load.room.take(candidate.agents, agent_class(candidate.priority), candidate.workspaces)
        for key in candidate.leases:
            load.leases[key] = f"execution {candidate.execution_id}"
        if candidate.trigger_id is None:
            return
        current = load.trigger(candidate.trigger_id)
        current.running += 1
        if not candidate.is_retry:
            current.starts.append(self.now)
        if (line := _line(candidate)) is not None:
            load.subjects[line] += 1


def plan(candidates: Iterable[Candidate], load: Load, now: datetime, ageing_step_seconds: float) -> Plan:
    """Admit the best that fit every limit, one after the other; say of each other one why it waits.

    The candidates are all that wait. Best is the highest aged priority, then the longest waiting. One that is
    held holds back later ones of its own trigger and subject, which keep the provider's order.
    """
    admission = Admission(load, now, ageing_step_seconds)
    waiting = sorted(candidates, key=admission.place)
    for candidate in sorted(waiting, key=lambda candidate: -candidate.order):
        if (line := _line(candidate)) is not None:
            load.first_in_line[line] = candidate.order
    admitted: list[Candidate] = []
    held: dict[UUID, Hold] = {}
    for candidate in waiting:
        if (hold := admission.consider(candidate)) is None:
            admitted.append(candidate)
        else:
            held[candidate.execution_id] = hold
    return Plan(tuple(admitted), held)


def _shared(reason: WaitReason, detail: str, until: datetime | None = None) -> Hold:
    return Hold(reason, detail, until, is_shared=True)


def _line(candidate: Candidate) -> SubjectOfTrigger | None:
    if candidate.trigger_id is None or candidate.subject is None:
        return None
    return candidate.trigger_id, candidate.subject


def _rate_hold(limits: ResourceLimits, starts: list[datetime], now: datetime) -> Hold | None:
    if limits.min_trigger_interval_ms is not None and starts:
        until = max(starts) + timedelta(milliseconds=limits.min_trigger_interval_ms)
        if until > now:
            rate = f"at most one every {limits.min_trigger_interval_ms} ms"
            return _shared(WaitReason.RATE_LIMIT, rate, until)
    for bound, span, unit in (
        (limits.max_executions_per_hour, HOUR, "hour"),
        (limits.max_executions_per_day, DAY, "day"),
    ):
        if bound is None or len(starts) < bound:
            continue
        recent = sorted(start for start in starts if start > now - span)
        if len(recent) >= bound:
            return _shared(WaitReason.RATE_LIMIT, f"at most {bound} per {unit}", recent[-bound] + span)
    return None
