"""What the dispatcher reads and writes: waiting executions, what runs now, and the one compare-and-set."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, insert, select, text, update

from dct_pipelines.domain.admission import DAY, Hold
from dct_pipelines.domain.execution import HOLDING, AttemptState, ExecutionState
from dct_pipelines.store.tables import (
    activity,
    connections,
    context_library,
    dynamic_context_triggers,
    events,
    execution_attempts,
    shapes,
    trigger_executions,
)

DISPATCH_LOCK = 7_266_011
_EXECUTION = trigger_executions.c
_HOLDING = [state.value for state in HOLDING]


@dataclass(frozen=True)
class Dispatched:
    """An execution that was handed over, with the number of its new attempt."""

    execution_id: UUID
    attempt: int


def try_lock(connection: Connection) -> bool:
    """One dispatcher at a time, until the end of the transaction; another one just comes back later."""
    return bool(connection.scalar(select(func.pg_try_advisory_xact_lock(DISPATCH_LOCK))))


def waiting(connection: Connection) -> Sequence[Row[Any]]:
    """Every waiting execution with what admission needs to know of its trigger, event and connection."""
    trigger, event = dynamic_context_triggers, events
    statement = (
        select(
            _EXECUTION.id,
            _EXECUTION.trigger_id,
            _EXECUTION.trigger_version,
            _EXECUTION.item_id,
            _EXECUTION.subject,
            _EXECUTION.priority,
            _EXECUTION.created_at,
            _EXECUTION.not_before,
            _EXECUTION.job_name,
            _EXECUTION.attempt,
            _EXECUTION.wait_reason,
            _EXECUTION.wait_detail,
            _EXECUTION.actions,
            _EXECUTION.resource_limits,
            trigger.c.status.label("trigger_status"),
            trigger.c.name.label("trigger_name"),
            trigger.c.deleted_at.is_not(None).label("trigger_is_deleted"),
            event.c.seq,
            connections.c.name.label("connection_name"),
            connections.c.health,
            connections.c.health_detail,
        )
        .outerjoin(trigger, trigger.c.id == _EXECUTION.trigger_id)
        .outerjoin(event, event.c.id == _EXECUTION.event_id)
        .outerjoin(context_library, context_library.c.id == _EXECUTION.item_id)
        .outerjoin(connections, connections.c.id == context_library.c.connection_id)
        .where(_EXECUTION.status == ExecutionState.WAITING, _EXECUTION.cancel_requested_at.is_(None))
    )
    return connection.execute(statement).all()


def holding(connection: Connection) -> Sequence[Row[Any]]:
    """Every execution that holds a slot: dispatched, running or compensating."""
    statement = select(
        _EXECUTION.id,
        _EXECUTION.trigger_id,
        _EXECUTION.item_id,
        _EXECUTION.subject,
        _EXECUTION.actions,
        dynamic_context_triggers.c.name.label("trigger_name"),
    ).outerjoin(dynamic_context_triggers, dynamic_context_triggers.c.id == _EXECUTION.trigger_id)
    return connection.execute(statement.where(_EXECUTION.status.in_(_HOLDING))).all()


def starts_of(
    connection: Connection, trigger_ids: Sequence[UUID], now: datetime
) -> dict[UUID, list[datetime]]:
    """When executions of these triggers were first dispatched during the last day."""
    attempt = execution_attempts.c
    statement = (
        select(_EXECUTION.trigger_id, attempt.dispatched_at)
        .join(execution_attempts, attempt.execution_id == _EXECUTION.id)
        .where(
            attempt.attempt == 1, attempt.dispatched_at > now - DAY, _EXECUTION.trigger_id.in_(trigger_ids)
        )
    )
    found: dict[UUID, list[datetime]] = {}
    for row in connection.execute(statement):
        found.setdefault(row.trigger_id, []).append(row.dispatched_at)
    return found


def dispatch(connection: Connection, execution_ids: Sequence[UUID], now: datetime) -> list[Dispatched]:
    """Compare and set: waiting → dispatched, attempt + 1. Those that are no longer waiting are left out."""
    if not execution_ids:
        return []
    moved = connection.execute(
        update(trigger_executions)
        .where(
            _EXECUTION.id.in_(execution_ids),
            _EXECUTION.status == ExecutionState.WAITING,
            _EXECUTION.cancel_requested_at.is_(None),
        )
        .values(
            status=ExecutionState.DISPATCHED,
            attempt=_EXECUTION.attempt + 1,
            dispatched_at=now,
            not_before=None,
            wait_reason=None,
            wait_detail=None,
        )
        .returning(_EXECUTION.id, _EXECUTION.attempt, _EXECUTION.trigger_id)
    ).all()
    if moved:
        connection.execute(
            insert(execution_attempts),
            [
                {"execution_id": row.id, "attempt": row.attempt, "state": AttemptState.DISPATCHED}
                for row in moved
            ],
        )
        connection.execute(
            insert(activity),
            [
                {
                    "kind": "execution_dispatched",
                    "execution_id": row.id,
                    "trigger_id": row.trigger_id,
                    "data": {"attempt": row.attempt},
                }
                for row in moved
            ],
        )
    attempts = {row.id: row.attempt for row in moved}
    return [Dispatched(key, attempts[key]) for key in execution_ids if key in attempts]


def store_holds(connection: Connection, holds: Mapping[UUID, Hold]) -> None:
    """Write why executions wait; only those whose reason changed are to be given."""
    if not holds:
        return
    rows = [
        {"id": str(key), "reason": hold.reason.value, "detail": hold.detail} for key, hold in holds.items()
    ]
    connection.execute(
        text(
            "UPDATE dct.trigger_executions AS e SET wait_reason = v.reason, wait_detail = v.detail "
            "FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS v(id uuid, reason text, detail text) "
            "WHERE e.id = v.id AND e.status = 'waiting'"
        ).bindparams(rows=json.dumps(rows))
    )


def missing_jobs(connection: Connection, loaded: frozenset[str]) -> frozenset[str]:
    """Jobs that shapes or waiting executions need and the code location does not have."""
    waits = _EXECUTION.status.in_([ExecutionState.WAITING, ExecutionState.DISPATCHED])
    wanted = connection.scalars(select(shapes.c.job_name).union(select(_EXECUTION.job_name).where(waits)))
    return frozenset(wanted) - loaded
