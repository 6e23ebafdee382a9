"""Simulate: stored events against a trigger that is not saved, by the real rules and limits. Reads only.

An execution is taken to end at once, so that only rates, intervals and a debounce hold one back here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from dct_pipelines.domain.admission import Candidate, Hold, Load, plan
from dct_pipelines.domain.compiled import CompiledTrigger, compile_trigger
from dct_pipelines.domain.condition import ConditionType
from dct_pipelines.domain.debounce import debounce
from dct_pipelines.domain.decision import Ruling
from dct_pipelines.domain.errors import NotFound
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.facts import Fact
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.ruling import rule
from dct_pipelines.domain.shapes import job_name
from dct_pipelines.domain.trigger import TriggerSpec, TriggerVersion
from dct_pipelines.domain.words import Coalesce, DecisionOutcome, TriggerStatus
from dct_pipelines.engine.decide import StoredView
from dct_pipelines.store import explaining
from dct_pipelines.store.database import Connection, Database
from dct_pipelines.store.watching import events as event_store

NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class SimulatedDecision(Fact):
    """What the trigger would have made of one event."""

    event: Event
    ruling: Ruling
    hold_reason: str | None = None
    hold_detail: str | None = None
    held_until: datetime | None = None


class Simulation(Fact):
    """The whole answer. `decisions` are those that matched, oldest first; the others only counted."""

    trigger: str
    since: datetime
    events: int
    not_matched: int
    nearest_misses: tuple[SimulatedDecision, ...]
    """A few of the events that a condition looked at and said no to: the latest ones."""
    decisions: tuple[SimulatedDecision, ...]
    notes: tuple[str, ...] = ()

    def count(self, outcome: DecisionOutcome) -> int:
        """How many events had this outcome."""
        return sum(one.ruling.outcome is outcome for one in self.decisions)


@dataclass
class _Limits:
    """The real admission with a clock that the events move."""

    trigger: CompiledTrigger
    seen: dict[str, UUID] = field(default_factory=dict)
    load: Load = field(init=False)

    def __post_init__(self) -> None:
        self.load = Load(1, frozenset({job_name(self.trigger.version.spec.shape)}))

    def hold(self, event: Event) -> Hold | None:
        spec = self.trigger.version.spec
        candidate = Candidate(
            execution_id=event.id,
            trigger_id=self.trigger.trigger_id,
            subject=(event.item_id, event.subject),
            priority=spec.priority,
            waits_since=event.observed_at,
            order=event.seq,
            job_name=job_name(spec.shape),
            limits=spec.limits,
            pause=debounce(spec.limits, event.observed_at, event.observed_at),
        )
        self.load.free_slots = 1
        hold = plan([candidate], self.load, event.observed_at, ageing_step_seconds=1).held.get(event.id)
        current = self.load.trigger(self.trigger.trigger_id)
        current.running = 0
        self.load.subjects.clear()
        self.load.first_in_line.clear()
        if hold is not None and hold.until is not None:
            current.starts.append(hold.until)
        return hold


@dataclass(frozen=True)
class Simulator:
    """Replays stored events against trigger specifications."""

    database: Database
    clock: Clock
    condition_types: Mapping[str, ConditionType[Any]]
    misses_shown: int = 5

    def simulate(self, spec: TriggerSpec, days: float) -> Simulation:
        """What `spec` would have done with the events of the last `days`."""
        since = self.clock.now() - timedelta(days=days)
        with self.database.connect() as connection:
            item_ids = items_of(connection, spec)
            version = TriggerVersion(
                trigger_id=uuid4(),
                version=0,
                status=TriggerStatus.ACTIVE,
                spec=spec,
                item_ids=tuple(item_ids),
                from_seq=0,
                active_since=NEVER,
            )
            trigger = compile_trigger(version, self.condition_types)
            return self._run(connection, trigger, since)

    def _run(self, connection: Connection, trigger: CompiledTrigger, since: datetime) -> Simulation:
        limits = _Limits(trigger)
        decisions: list[SimulatedDecision] = []
        misses: deque[SimulatedDecision] = deque(maxlen=self.misses_shown)
        total, kinds = 0, set()
        selection = event_store.select_events(item_ids=trigger.version.item_ids, since=since)
        with self.database.connect() as reading:
            for event in event_store.in_order(reading, selection):
                total += 1
                kinds.add(event.kind)
                ruling = rule(event, trigger, StoredView(connection, event.seq))
                if ruling.outcome is DecisionOutcome.NOT_MATCHED:
                    if ruling.conditions:
                        misses.append(SimulatedDecision(event=event, ruling=ruling))
                    continue
                decisions.append(_decide(event, ruling, limits))
        return Simulation(
            trigger=trigger.version.spec.name,
            since=since,
            events=total,
            not_matched=total - len(decisions),
            nearest_misses=tuple(misses),
            decisions=tuple(decisions),
            notes=_notes(trigger, total, kinds),
        )


def items_of(connection: Connection, spec: TriggerSpec) -> Sequence[UUID]:
    """The ids of the items that a trigger names, or NotFound."""
    found = {name: explaining.item_id(connection, name) for name in spec.items}
    missing = [name for name, item_id in found.items() if item_id is None]
    if missing:
        raise NotFound(f"there is no item {', '.join(missing)}; `dct item list` shows what there is")
    return [item_id for item_id in found.values() if item_id is not None]


def _decide(event: Event, ruling: Ruling, limits: _Limits) -> SimulatedDecision:
    if ruling.outcome is not DecisionOutcome.FIRED:
        return SimulatedDecision(event=event, ruling=ruling)
    key = ruling.once_key or str(event.id)
    if key in limits.seen:
        again = f"{ruling.because}; but event {limits.seen[key]} already fired for the same {key}"
        told = ruling.model_copy(update={"outcome": DecisionOutcome.DEDUPLICATED, "because": again})
        return SimulatedDecision(event=event, ruling=told)
    limits.seen[key] = event.id
    hold = limits.hold(event)
    if hold is None:
        return SimulatedDecision(event=event, ruling=ruling)
    return SimulatedDecision(
        event=event,
        ruling=ruling.model_copy(update={"outcome": DecisionOutcome.HELD}),
        hold_reason=hold.reason.value,
        hold_detail=hold.detail,
        held_until=hold.until,
    )


def _notes(trigger: CompiledTrigger, total: int, kinds: set[str]) -> tuple[str, ...]:
    if not total:
        return ("no event of its items is stored for that time; `dct explain ITEM` says how they are read",)
    if trigger.version.spec.limits.coalesce is Coalesce.LATEST:
        return ("of firings that wait for one subject only the newest is carried out; here each is shown",)
    if trigger.asks and "branch_assessed" not in kinds:
        return (
            "no assessment of a branch is stored: branches are assessed while a saved trigger asks for it",
        )
    return ()
