"""Decide: new events × the triggers that watch them, inside the transaction that stores the events.

The compiled triggers are kept per process and brought up to date when the generation of triggers has moved,
by loading only the versions that are new. The same pure rules answer a replay later.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

from dct_pipelines.domain import restored
from dct_pipelines.domain.compiled import CompiledTrigger, compile_trigger
from dct_pipelines.domain.condition import AssessmentAsk, ConditionType
from dct_pipelines.domain.debounce import debounce
from dct_pipelines.domain.decision import IgnoredBecause, Ruling
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.execution import ExecutionState, TriggeredBy
from dct_pipelines.domain.ownership import owner_fault
from dct_pipelines.domain.roles import Role
from dct_pipelines.domain.ruling import rule
from dct_pipelines.domain.scope import event_values
from dct_pipelines.domain.shapes import job_name
from dct_pipelines.domain.snapshot import Snapshot
from dct_pipelines.domain.trigger import TriggerVersion
from dct_pipelines.domain.trigger_index import TriggerIndex, digest_of_asks
from dct_pipelines.domain.words import DecisionOutcome, WaitReason
from dct_pipelines.engine.compiling import compile_versions
from dct_pipelines.engine.needs import needs_of
from dct_pipelines.store import deciding
from dct_pipelines.store.database import Connection, Row
from dct_pipelines.store.deciding import ItemFacts, VersionKey
from dct_pipelines.store.order import Order, current_generation
from dct_pipelines.store.watching import snapshots


@dataclass(frozen=True)
class Decided:
    """How many event × trigger pairs fired, were ignored, or had fired before."""

    fired: int = 0
    ignored: int = 0
    deduplicated: int = 0


@dataclass(frozen=True)
class StoredView:
    """Snapshots as the event at `seq` saw them (None: the current ones)."""

    connection: Connection
    seq: int | None

    def of_subject(self, item_id: UUID, subject: str) -> Snapshot | None:
        """The state of one subject."""
        found = snapshots.as_of(self.connection, [item_id], self.seq, subject=subject)
        return found[0] if found else None

    def of_item(self, item_id: UUID, state_kinds: frozenset[str]) -> Iterable[Snapshot]:
        """The states of an item's subjects that are of these kinds."""
        return snapshots.as_of(self.connection, [item_id], self.seq, kinds=state_kinds)


@dataclass(frozen=True)
class _Pair:
    """One match: an event, a trigger, and what the rules said."""

    event: Event
    trigger: CompiledTrigger
    ruling: Ruling
    execution_id: UUID

    @property
    def once_key(self) -> str:
        """What the trigger may fire for only once."""
        return self.ruling.once_key or f"change {self.event.change}"

    @property
    def key(self) -> tuple[UUID, str]:
        """The key of the firing."""
        return self.trigger.version.trigger_id, self.once_key


@dataclass
class Decider:
    """Decides events. One a process; threads may share it."""

    condition_types: Mapping[str, ConditionType[Any]]
    release: str
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _generation: int = 0
    _compiled: dict[VersionKey, CompiledTrigger] = field(default_factory=dict, repr=False)
    _index: TriggerIndex = field(default_factory=lambda: TriggerIndex(()), repr=False)
    _asks: dict[UUID, tuple[tuple[AssessmentAsk, ...], str]] = field(default_factory=dict, repr=False)

    def decide(self, connection: Connection, order: Order, events: Sequence[Event]) -> Decided:
        """Decide stored events in their order, and store decisions, firings and executions.

        What fires in a restored deployment is held: the original may have done it already.
        """
        if not events:
            return Decided()
        index = self.index(connection, order.trigger_generation)
        view = StoredView(connection, None)
        pairs = [
            _Pair(event, trigger, ruling, uuid4())
            for event in events
            for trigger, ruling in index.decide(event, view)
        ]
        return self._store(connection, _permitted(connection, pairs), is_restored=order.is_restored)

    def replay(self, connection: Connection, event: Event, saved: Row[Any]) -> Ruling:
        """What the rules say of an event and the version in force for it, with the states of that moment.

        InvalidInput when this release cannot read the version.
        """
        compiled = compile_trigger(deciding.to_version(saved), self.condition_types)
        return rule(event, compiled, StoredView(connection, event.seq))

    def asks_for(self, connection: Connection, item_id: UUID) -> tuple[tuple[AssessmentAsk, ...], str]:
        """What triggers ask to be derived for an item, and the digest of it."""
        index = self.index(connection, current_generation(connection))
        if item_id not in self._asks:
            asks = index.asks_for(item_id)
            self._asks[item_id] = (asks, digest_of_asks(asks))
        return self._asks[item_id]

    def index(self, connection: Connection, generation: int) -> TriggerIndex:
        """The triggers in force at a generation."""
        with self._lock:
            if generation != self._generation:
                current = deciding.current_versions(connection)
                new = current - self._compiled.keys()
                for gone in self._compiled.keys() - current:
                    del self._compiled[gone]
                readable, _ = compile_versions(connection, new, self.condition_types)
                self._compiled |= readable
                in_order = sorted(self._compiled.items(), key=lambda entry: str(entry[0][0]))
                self._index = TriggerIndex(trigger for _, trigger in in_order)
                self._asks = {}
                self._generation = generation
            return self._index

    def _store(self, connection: Connection, pairs: Sequence[_Pair], *, is_restored: bool) -> Decided:
        fired = [pair for pair in pairs if pair.ruling.outcome is DecisionOutcome.FIRED]
        wanted: dict[tuple[UUID, str], UUID] = {}
        for pair in fired:
            wanted.setdefault(pair.key, pair.execution_id)
        won = deciding.win_firings(connection, wanted)
        before = deciding.fired_before(connection, wanted.keys() - won.keys())
        items = deciding.item_facts(connection, {pair.event.item_id for pair in fired})
        rows, executions = [], []
        for pair in pairs:
            if pair.ruling.outcome is not DecisionOutcome.FIRED:
                rows.append(_decision(pair, self.release))
            elif won.get(pair.key) == pair.execution_id:
                rows.append(_decision(pair, self.release, execution_id=pair.execution_id))
                row = execution_row(pair.execution_id, pair.event, pair.trigger.version, items)
                executions.append(row | (_held_back() if is_restored else {}))
            else:
                rows.append(_repeat(pair, self.release, before.get(pair.key) or won[pair.key]))
        deciding.insert_executions(connection, executions)
        deciding.insert_decisions(connection, rows)
        deciding.mark_held(
            connection, {row["id"]: row["wait_reason"] for row in executions if row["wait_reason"]}
        )
        ignored = sum(pair.ruling.outcome is DecisionOutcome.IGNORED for pair in pairs)
        return Decided(len(executions), ignored, len(fired) - len(executions))


def _permitted(connection: Connection, pairs: Sequence[_Pair]) -> list[_Pair]:
    """The same pairs; what fired for a trigger whose owner may not do it (any more) is ignored instead."""
    fired = {
        pair.trigger.trigger_id: pair.trigger.version.spec
        for pair in pairs
        if pair.ruling.outcome is DecisionOutcome.FIRED
    }
    owned = deciding.owners(connection, fired) if fired else {}
    faults = {
        trigger_id: fault
        for trigger_id, (owner, role) in owned.items()
        if (fault := owner_fault(fired[trigger_id], owner, Role(role) if role else None)) is not None
    }
    return [_ignored(pair, faults.get(pair.trigger.trigger_id)) for pair in pairs]


def _ignored(pair: _Pair, fault: str | None) -> _Pair:
    if fault is None or pair.ruling.outcome is not DecisionOutcome.FIRED:
        return pair
    told = {
        "outcome": DecisionOutcome.IGNORED,
        "because": f"{pair.ruling.because}; but {fault}",
        "ignored_because": IgnoredBecause.OWNER_NOT_PERMITTED,
    }
    return replace(pair, ruling=pair.ruling.model_copy(update=told))


def _held_back() -> dict[str, Any]:
    return {
        "not_before": restored.HELD_UNTIL,
        "wait_reason": WaitReason.RESTORED.value,
        "wait_detail": restored.FIRED_SINCE,
    }


def _decision(pair: _Pair, release: str, execution_id: UUID | None = None) -> dict[str, Any]:
    ruling = pair.ruling
    return {
        "event_id": pair.event.id,
        "trigger_id": pair.trigger.version.trigger_id,
        "trigger_version": pair.trigger.version.version,
        "outcome": ruling.outcome.value,
        "ignored_because": ruling.ignored_because.value if ruling.ignored_because else None,
        "because": ruling.because,
        "conditions": [one.model_dump(mode="json") for one in ruling.conditions],
        "once_key": pair.once_key,
        "execution_id": execution_id,
        "release": release,
    }


def _repeat(pair: _Pair, release: str, earlier: UUID) -> dict[str, Any]:
    said = f"{pair.ruling.because}; but execution {earlier} was started for the same {pair.once_key}"
    return _decision(pair, release) | {
        "outcome": DecisionOutcome.DEDUPLICATED.value,
        "because": said,
        "execution_id": earlier,
    }


def execution_row(
    execution_id: UUID, event: Event, version: TriggerVersion, items: Mapping[UUID, ItemFacts]
) -> dict[str, Any]:
    """A new waiting execution: the version's actions, and the plain data that its templates see."""
    spec, item = version.spec, items[event.item_id]
    chain = event.cause.chain if event.cause is not None else ()
    actions = [
        {"type": action.type, "name": name, "config": action.config}
        for action, name in zip(spec.actions, spec.step_names, strict=True)
    ]
    put_off = debounce(spec.limits, event.observed_at, event.observed_at)
    return {
        "id": execution_id,
        "trigger_id": version.trigger_id,
        "trigger_version": version.version,
        "event_id": event.id,
        "item_id": event.item_id,
        "connection_id": event.connection_id,
        "subject": event.subject,
        "line_order": event.seq,
        "status": ExecutionState.WAITING.value,
        "triggered_by": TriggeredBy.EVENT.value,
        "created_by": "trigger",
        "created_at": event.observed_at,
        "waits_since": event.observed_at,
        "not_before": put_off.until if put_off is not None else None,
        "wait_reason": put_off.reason.value if put_off is not None else None,
        "wait_detail": put_off.detail if put_off is not None else None,
        "priority": spec.priority,
        "job_name": job_name(spec.shape),
        "actions": actions,
        "resource_limits": spec.limits.model_dump(mode="json"),
        **asdict(needs_of(actions)),
        "context_snapshot": {
            "event": event_values(event),
            "item": {
                "id": str(item.id),
                "name": item.name,
                "kind": item.kind,
                "location": item.location,
            },
            "trigger": {
                "name": spec.name,
                "priority": spec.priority,
                "type": spec.type.value,
                "description": spec.description,
            },
        },
        "cause_chain": [*chain, version.trigger_id],
        "deliverables": list(spec.deliverables),
    }
