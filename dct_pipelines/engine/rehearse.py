"""Rehearse: what a trigger's actions would do about an event now. Everything is read, nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID, uuid4

from pydantic import Field

from dct_pipelines import registry
from dct_pipelines.domain.action import ActionContext, ActionType
from dct_pipelines.domain.compiled import compile_trigger
from dct_pipelines.domain.condition import ConditionType
from dct_pipelines.domain.errors import ActionFailed, DctError, InvalidInput, NotFound
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.execution import ExecutionState, TriggeredBy
from dct_pipelines.domain.facts import Fact
from dct_pipelines.domain.outcome import Outcome
from dct_pipelines.domain.ports import ActionPorts, Clock, FindEvent
from dct_pipelines.domain.ruling import rule
from dct_pipelines.domain.shapes import job_name
from dct_pipelines.domain.trigger import TriggerSpec, TriggerVersion
from dct_pipelines.domain.words import DecisionOutcome, TriggerStatus
from dct_pipelines.engine.decide import StoredView, execution_row
from dct_pipelines.engine.prepare import idempotency_key, prepare, scope_of
from dct_pipelines.engine.simulate import NEVER, items_of
from dct_pipelines.store import deciding
from dct_pipelines.store.database import Connection, Database
from dct_pipelines.store.executions.rows import Execution, Step
from dct_pipelines.store.watching import events as event_store

EVENTS_LOOKED_AT = 200


class Dry(Protocol):
    """Tries actions one after the other without a write."""

    def rehearse(self, action: ActionType[Any], context: ActionContext, config: Any) -> Outcome:
        """What the action would do; its own errors come through."""


class RehearsedStep(Fact):
    """One action: what it would do, or why it would fail. Outputs only running can tell read `<name>`."""

    name: str
    type: str
    would: str | None = None
    error: str | None = None
    outputs: dict[str, Any] = Field(default_factory=dict)


class Rehearsal(Fact):
    """A whole rehearsal; it ends behind the first action that would fail."""

    trigger: str
    event: Event
    because: str
    steps: tuple[RehearsedStep, ...]

    @property
    def succeeds(self) -> bool:
        """Whether no action would fail, as far as can be told without running it."""
        return all(step.error is None for step in self.steps)


@dataclass(frozen=True)
class Rehearser:
    """Rehearses triggers, saved or not. `dry` makes ports that write nothing out of real ones."""

    database: Database
    clock: Clock
    condition_types: Mapping[str, ConditionType[Any]]
    ports_for: Callable[[Execution, FindEvent], ActionPorts]
    dry: Callable[[ActionPorts], Dry]

    def rehearse(self, spec: TriggerSpec, event_id: UUID | None = None) -> Rehearsal:
        """What it would do about that event, or about the latest one that it would fire on."""
        with self.database.connect() as connection:
            version = TriggerVersion(
                trigger_id=uuid4(),
                version=0,
                status=TriggerStatus.ACTIVE,
                spec=spec,
                item_ids=tuple(items_of(connection, spec)),
                from_seq=0,
                active_since=NEVER,
            )
            event, because = self._event(connection, version, event_id)
            items = deciding.item_facts(connection, {event.item_id})
            row = execution_row(uuid4(), event, version, items)
        execution = self._execution(row, spec)
        dry = self.dry(self.ports_for(execution, lambda: event))
        return Rehearsal(
            trigger=spec.name, event=event, because=because, steps=tuple(self._steps(execution, dry))
        )

    def _event(
        self, connection: Connection, version: TriggerVersion, event_id: UUID | None
    ) -> tuple[Event, str]:
        trigger = compile_trigger(version, self.condition_types)
        if event_id is not None:
            event = event_store.get(connection, event_id)
            if event is None or event.item_id not in version.item_ids:
                raise NotFound(f"the trigger's items have no event {event_id}; `dct explain ITEM` lists them")
            return event, rule(event, trigger, StoredView(connection, event.seq)).because
        selection = event_store.select_events(item_ids=version.item_ids)
        for event in event_store.latest(connection, selection, EVENTS_LOOKED_AT):
            ruling = rule(event, trigger, StoredView(connection, event.seq))
            if ruling.outcome is DecisionOutcome.FIRED:
                return event, ruling.because
        raise InvalidInput(
            f"none of the last {EVENTS_LOOKED_AT} events of its items would fire {version.spec.name}; "
            "name one with --event to see what its actions would do about it"
        )

    def _execution(self, row: Mapping[str, Any], spec: TriggerSpec) -> Execution:
        return Execution(
            id=row["id"],
            trigger_id=row["trigger_id"],
            event_id=row["event_id"],
            item_id=row["item_id"],
            subject=row["subject"],
            status=ExecutionState.WAITING,
            triggered_by=TriggeredBy.MANUAL,
            created_by=row["created_by"],
            created_at=self.clock.now(),
            job_name=job_name(spec.shape),
            steps=tuple(Step(**action) for action in row["actions"]),
            limits=spec.limits,
            context=row["context_snapshot"],
            cause_chain=tuple(row["cause_chain"]),
            attempt=1,
            started_at=None,
            deadline_at=None,
            cancel_requested_at=None,
            cancel_requested_by=None,
            run_id=None,
            deliverables=spec.deliverables,
            error_message=None,
            tried_before=0,
        )

    def _steps(self, execution: Execution, dry: Dry) -> Iterator[RehearsedStep]:
        outputs: dict[str, dict[str, Any]] = {}
        for index, step in enumerate(execution.steps):
            kind = registry.action(step.type)
            scope = scope_of(execution, {}, index) | {"steps": outputs}
            try:
                prepared = prepare(kind, step, scope)
                outcome = dry.rehearse(kind, self._context(execution, index), prepared.config)
            except DctError as error:
                yield RehearsedStep(name=step.name, type=step.type, error=_in_words(error))
                return
            outputs[step.name] = outcome.outputs
            yield RehearsedStep(
                name=step.name, type=step.type, would=outcome.summary, outputs=outcome.outputs
            )

    def _context(self, execution: Execution, index: int) -> ActionContext:
        return ActionContext(
            execution_id=execution.id,
            attempt=1,
            index=index,
            name=execution.steps[index].name,
            idempotency_key=idempotency_key(execution.id, index),
            trigger_name=execution.trigger_name,
            subject=execution.subject,
            deadline=self.clock.now() + timedelta(seconds=execution.limits.timeout_seconds),
            started_before=False,
            log=lambda _line: None,
            is_cancelled=lambda: False,
        )


def _in_words(error: DctError) -> str:
    passing = "" if isinstance(error, ActionFailed) else f" ({type(error).__name__})"
    return f"{error}{passing}"
