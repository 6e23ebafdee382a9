"""Executions as lists and single pages show them: plain rows, newest first."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.engine import Connection

from dct_pipelines.store.executions.rows import BY_HAND
from dct_pipelines.store.tables import (
    action_results,
    context_library,
    dynamic_context_triggers,
    events,
    execution_attempts,
    trigger_executions,
)

_e = trigger_executions
_LEAST, _MOST = (str(UUID(int=number)) for number in (0, 2**128 - 1))


def _rows() -> Select[Any]:
    return (
        select(
            _e,
            dynamic_context_triggers.c.name.label("trigger_name"),
            context_library.c.name.label("item"),
            _e.c.context_snapshot["event"]["about"].astext.label("about"),
        )
        .outerjoin(dynamic_context_triggers, dynamic_context_triggers.c.id == _e.c.trigger_id)
        .outerjoin(context_library, context_library.c.id == _e.c.item_id)
        .order_by(_e.c.created_at.desc(), _e.c.id)
    )


def latest(
    connection: Connection, *, status: str | None, trigger: str | None, limit: int
) -> list[dict[str, Any]]:
    """The latest executions, of one status or trigger if wanted."""
    statement = _rows().limit(limit)
    if status is not None:
        statement = statement.where(_e.c.status == status)
    if trigger is not None:
        statement = statement.where(dynamic_context_triggers.c.name == trigger)
    return [_summary(row._mapping) for row in connection.execute(statement)]


def show(connection: Connection, execution_id: UUID) -> dict[str, Any] | None:
    """One execution with its attempts and the results of its actions."""
    row = connection.execute(_rows().where(_e.c.id == execution_id)).one_or_none()
    if row is None:
        return None
    attempts = (
        select(execution_attempts)
        .where(execution_attempts.c.execution_id == execution_id)
        .order_by(execution_attempts.c.attempt)
    )
    results = (
        select(action_results)
        .where(action_results.c.execution_id == execution_id)
        .order_by(action_results.c.action_index)
    )
    done = {one.action_index: dict(one._mapping) for one in connection.execute(results)}
    steps = [done.get(i, {"state": "not_started"}) | _planned(step) for i, step in enumerate(row.actions)]
    return _summary(row._mapping) | {
        "event_id": row.event_id,
        "event": row.context_snapshot.get("event"),
        "created_by": row.created_by,
        "deadline_at": row.deadline_at,
        "deliverables": row.deliverables,
        "deliverables_completed": row.deliverables_completed,
        "actions": steps,
        "attempts": [dict(one._mapping) for one in connection.execute(attempts)],
    }


def trigger_names(connection: Connection) -> frozenset[str]:
    """Every name that a trigger has or, if it is deleted, had: executions are found by it."""
    return frozenset(connection.scalars(select(dynamic_context_triggers.c.name).distinct()))


def with_prefix(connection: Connection, table: str, prefix: str) -> list[UUID]:
    """Ids of executions or events that begin like that, at most two: one, or not one."""
    column = {"execution": _e.c.id, "event": events.c.id}[table]
    try:
        first, last = (UUID(prefix + blank[len(prefix) :]) for blank in (_LEAST, _MOST))
    except ValueError:
        return []
    # As a range, which an index leads to; ids are ordered as they are written.
    return list(connection.scalars(select(column).where(column.between(first, last)).limit(2)))


def _planned(step: Any) -> dict[str, Any]:
    return {"type": step["type"], "name": step["name"]}


def _summary(row: Any) -> dict[str, Any]:
    return {
        "id": row["id"],
        "trigger": row["trigger_name"] or BY_HAND,
        "trigger_version": row["trigger_version"],
        "item": row["item"],
        "subject": row["subject"],
        "about": row["about"] or row["subject"],
        "status": row["status"],
        "wait_reason": row["wait_reason"] if row["status"] == "waiting" else None,
        "wait_detail": row["wait_detail"] if row["status"] == "waiting" else None,
        "not_before": row["not_before"],
        "attempt": row["attempt"],
        "priority": row["priority"],
        "triggered_by": row["triggered_by"],
        "job_name": row["job_name"],
        "run_id": row["dagster_run_id"],
        "created_at": row["created_at"],
        "started_at": row["started_at"],
        "completed_at": row["completed_at"],
        "error_message": row["error_message"],
    }
