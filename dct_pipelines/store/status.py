"""What `dct status` reads: the queue by reason, what runs, what ended lately."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from dct_pipelines.domain.execution import FINAL
from dct_pipelines.store.executions.filters import IS_HOLDING
from dct_pipelines.store.tables import dynamic_context_triggers, leases, trigger_executions, trigger_versions

_EXECUTION = trigger_executions.c


def executing(connection: Connection, limit: int) -> Sequence[Row[Any]]:
    """Executions that hold a slot, the longest first."""
    statement = (
        select(
            _EXECUTION.id,
            _EXECUTION.status,
            func.coalesce(_EXECUTION.context_snapshot["event"]["about"].astext, _EXECUTION.subject).label(
                "subject"
            ),
            _EXECUTION.job_name,
            _EXECUTION.attempt,
            _EXECUTION.dispatched_at,
            _EXECUTION.started_at,
            _EXECUTION.dagster_run_id,
            dynamic_context_triggers.c.name.label("trigger"),
        )
        .outerjoin(dynamic_context_triggers, dynamic_context_triggers.c.id == _EXECUTION.trigger_id)
        .where(IS_HOLDING)
        .order_by(_EXECUTION.dispatched_at)
        .limit(limit)
    )
    return connection.execute(statement).all()


def ended_since(connection: Connection, since: datetime) -> dict[str, int]:
    """How many executions ended in each final state since then."""
    statement = (
        select(_EXECUTION.status, func.count())
        .where(_EXECUTION.status.in_([state.value for state in FINAL]), _EXECUTION.completed_at >= since)
        .group_by(_EXECUTION.status)
    )
    return {row[0]: row[1] for row in connection.execute(statement)}


def held_leases(connection: Connection) -> Sequence[Row[Any]]:
    """Exclusive keys in use and by which execution."""
    return connection.execute(select(leases).order_by(leases.c.key)).all()


def has_triggers(connection: Connection) -> bool:
    """Whether a version of any trigger is in force."""
    in_force = select(trigger_versions.c.trigger_id).where(trigger_versions.c.to_seq.is_(None))
    return bool(connection.scalar(select(in_force.exists())))
