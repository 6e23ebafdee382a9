"""Executions, attempts and results as the engine sees them: frozen, typed, without SQLAlchemy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, RowMapping

from dct_pipelines.domain.execution import AttemptState, ExecutionState, TriggeredBy
from dct_pipelines.domain.outcome import Link
from dct_pipelines.domain.trigger import ResourceLimits
from dct_pipelines.domain.words import ResultState

BY_HAND = "(by hand)"
"""Shown as the trigger's name where there is none."""


@dataclass(frozen=True)
class Step:
    """One action of an execution: its type, its name in templates, its configuration as it was written."""

    type: str
    name: str
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Execution:
    """A row of `trigger_executions`. `attempt` is the current one, 0 before the first dispatch.

    `context` holds the plain data that templates see: `event`, `item` and `trigger`. `tried_before` is the
    attempt after which somebody asked for it again by hand: automatic retries are counted from there.
    """

    id: UUID
    trigger_id: UUID | None
    event_id: UUID | None
    item_id: UUID | None
    subject: str | None
    status: ExecutionState
    triggered_by: TriggeredBy
    created_by: str
    created_at: datetime
    job_name: str
    steps: tuple[Step, ...]
    limits: ResourceLimits
    context: Mapping[str, Any]
    cause_chain: tuple[UUID, ...]
    attempt: int
    started_at: datetime | None
    deadline_at: datetime | None
    cancel_requested_at: datetime | None
    cancel_requested_by: str | None
    run_id: str | None
    deliverables: tuple[str, ...]
    error_message: str | None
    tried_before: int

    @property
    def trigger_name(self) -> str:
        """The trigger's name when it fired."""
        return str(self.context.get("trigger", {}).get("name", BY_HAND))


@dataclass(frozen=True)
class Attempt:
    """A row of `execution_attempts`. `is_stale`: its heartbeat is older than the bound that was asked for."""

    execution_id: UUID
    attempt: int
    state: AttemptState
    run_id: str | None
    started_at: datetime | None
    error_message: str | None
    is_stale: bool

    @property
    def is_live(self) -> bool:
        """Whether it is about to work or works."""
        return self.state in (AttemptState.DISPATCHED, AttemptState.RUNNING)


@dataclass(frozen=True)
class Result:
    """A row of `action_results`: how one action stands, over all attempts."""

    index: int
    type: str
    name: str
    state: ResultState
    attempt: int
    summary: str
    outputs: Mapping[str, Any]
    links: tuple[Link, ...]
    error_message: str | None


def to_execution(row: Mapping[str, Any] | RowMapping) -> Execution:
    """The execution of a row of `trigger_executions`."""
    return Execution(
        id=row["id"],
        trigger_id=row["trigger_id"],
        event_id=row["event_id"],
        item_id=row["item_id"],
        subject=row["subject"],
        status=ExecutionState(row["status"]),
        triggered_by=TriggeredBy(row["triggered_by"]),
        created_by=row["created_by"],
        created_at=row["created_at"],
        job_name=row["job_name"],
        steps=tuple(Step(step["type"], step["name"], step.get("config", {})) for step in row["actions"]),
        limits=ResourceLimits.model_validate(row["resource_limits"]),
        context=row["context_snapshot"],
        cause_chain=tuple(row["cause_chain"]),
        attempt=row["attempt"],
        started_at=row["started_at"],
        deadline_at=row["deadline_at"],
        cancel_requested_at=row["cancel_requested_at"],
        cancel_requested_by=row["cancel_requested_by"],
        run_id=row["dagster_run_id"],
        deliverables=tuple(row["deliverables"]),
        error_message=row["error_message"],
        tried_before=int(row["metrics"].get("tried_before", 0)),
    )


def to_attempt(row: Row[Any]) -> Attempt:
    """The attempt of a row that also says `is_stale`."""
    return Attempt(
        execution_id=row.execution_id,
        attempt=row.attempt,
        state=AttemptState(row.state),
        run_id=row.run_id,
        started_at=row.started_at,
        error_message=row.error_message,
        is_stale=row.is_stale,
    )


def to_result(row: Row[Any]) -> Result:
    """The result of a row of `action_results`."""
    return Result(
        index=row.action_index,
        type=row.action_type,
        name=row.name,
        state=ResultState(row.state),
        attempt=row.attempt,
        summary=row.summary,
        outputs=row.outputs,
        links=tuple(Link.model_validate(link) for link in row.links),
        error_message=row.error_message,
    )
