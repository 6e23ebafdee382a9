"""A restored deployment in the database: that it is one, what is held in it, and letting that go.

The flag stands in the row that orders events, so that every event is decided either before work may start
again or after it, and intake has read it with the lock that it takes anyway.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, delete, func, insert, null, select, text, update

from dct_pipelines.domain.execution import HOLDING, ExecutionState
from dct_pipelines.domain.incidents import IncidentState
from dct_pipelines.domain.restored import HELD_UNTIL, UNDATED, Restored, Uncertain, Unread, was_open
from dct_pipelines.domain.words import ResultState, WaitReason
from dct_pipelines.store import incidents, wakeups
from dct_pipelines.store.order import lock_order
from dct_pipelines.store.tables import (
    action_results,
    activity,
    alert_messages,
    connections,
    dynamic_context_triggers,
    events,
    intake_order,
    leases,
    trigger_executions,
)
from dct_pipelines.store.watching import standing

_E = trigger_executions.c
_IS_HELD = (_E.status == ExecutionState.WAITING, _E.not_before == HELD_UNTIL)
"""By its pause: one that was released waits for the same reason, as long as nothing may start."""
_RESTORED = select(
    intake_order.c.restored_at, intake_order.c.restored_to, intake_order.c.restored_from
).where(intake_order.c.restored_at.is_not(None))
LOST = "the deployment was restored from a backup"
_OPEN = (*HOLDING, ExecutionState.WAITING)
"""What would go on by itself. What awaits an approval or a deliverable goes on when somebody brings that."""


def is_paused(connection: Connection) -> bool:
    """Whether nothing may start, because the deployment was restored and nobody has looked yet."""
    return connection.execute(_RESTORED).first() is not None


def state(connection: Connection) -> Restored | None:
    """Which backup the deployment comes from, as long as nothing may start; else None."""
    row = connection.execute(_RESTORED).one_or_none()
    return None if row is None else Restored(backup_id=row[2], as_of=row[1], at=row[0])


def take_time(connection: Connection) -> None:
    """Let the statements of this transaction take as long as they need: nobody else is here yet."""
    connection.execute(text("SET LOCAL statement_timeout = 0"))


def begin(connection: Connection, restored: Restored) -> int:
    """Pause the deployment, and hold what was open in the backup; how many that were.

    Its attempts are lost: their runs were those of the original. What it had locked is free, and which
    processes of it were alive is forgotten. Nobody is told of its incidents: the original has done that, or
    does.
    """
    lock_order(connection)
    connection.execute(
        update(intake_order).values(
            restored_at=restored.at, restored_to=restored.as_of, restored_from=restored.backup_id
        )
    )
    connection.execute(delete(leases))
    connection.execute(_END_ATTEMPTS, {"message": LOST})
    connection.execute(_END_DEPLOYMENTS, {"message": LOST})
    _be_silent(connection, restored.at)
    held = 0
    for status in _OPEN:
        values = {
            "status": ExecutionState.WAITING,
            "not_before": HELD_UNTIL,
            "wait_reason": WaitReason.RESTORED,
            "wait_detail": was_open(status),
            "deadline_at": null(),
        }
        # what an earlier turn has put back to waiting is held already
        its = (_E.status == status, _E.not_before.is_distinct_from(HELD_UNTIL))
        held += connection.execute(update(trigger_executions).where(*its).values(values)).rowcount
    connection.execute(
        update(connections).values(next_due_at=null(), not_before=null(), consecutive_failures=0)
    )
    for table, statement in _OF_PROCESSES.items():
        if connection.scalar(text("SELECT to_regclass(:table) IS NOT NULL"), {"table": table}):
            connection.execute(text(statement))
    return held


def held(connection: Connection, limit: int | None = None) -> list[Uncertain]:
    """What is held as uncertain, in the order of the events."""
    statement = (
        select(
            _E.id,
            _E.created_at,
            _E.attempt,
            _E.wait_detail,
            dynamic_context_triggers.c.name.label("trigger"),
            func.coalesce(_E.context_snapshot["event"]["about"].astext, _E.subject).label("about"),
            events.c.kind,
            events.c.occurred_at,
            events.c.observed_at,
        )
        .outerjoin(dynamic_context_triggers, dynamic_context_triggers.c.id == _E.trigger_id)
        .outerjoin(events, events.c.id == _E.event_id)
        .where(*_IS_HELD)
        .order_by(_E.line_order, _E.created_at, _E.id)
        .limit(limit)
    )
    rows = connection.execute(statement).all()
    done, begun = _results(connection, [row.id for row in rows])
    return [
        Uncertain(
            id=row.id,
            trigger=row.trigger,
            about=row.about,
            created_at=row.created_at,
            happened_at=None if row.kind in UNDATED else row.occurred_at,
            seen_at=row.observed_at,
            attempt=row.attempt,
            why=row.wait_detail or "",
            done=tuple(done.get(row.id, ())),
            begun=tuple(begun.get(row.id, ())),
        )
        for row in rows
    ]


def held_ids(connection: Connection) -> list[UUID]:
    """The executions that are held, in the order of the events."""
    statement = select(_E.id).where(*_IS_HELD).order_by(_E.line_order, _E.created_at, _E.id)
    return list(connection.scalars(statement))


def count_held(connection: Connection) -> int:
    """How many are held."""
    return connection.scalar(select(func.count()).where(*_IS_HELD)) or 0


def release(connection: Connection, execution_ids: Collection[UUID], by: str) -> list[UUID]:
    """Let these go on as soon as anything may start; those that were held are returned."""
    values = {"not_before": None, "wait_reason": None, "wait_detail": None}
    statement = (
        update(trigger_executions)
        .where(*_IS_HELD, _E.id.in_(execution_ids))
        .values(values)
        .returning(_E.id, _E.trigger_id, _E.item_id)
    )
    rows = connection.execute(statement).all()
    if rows:
        connection.execute(insert(activity), [_released(row, by) for row in rows])
        wakeups.notify(connection)
    return [row.id for row in rows]


def unread(connection: Connection, since: datetime) -> list[Unread]:
    """Connections that were not read, or not to their end, since the deployment was restored."""
    return [
        Unread(connection=row.name, items=row.items, detail=_in_the_way(row))
        for row in standing.standings(connection)
        if row.items and not _is_read(row, since)
    ]


def end(connection: Connection) -> None:
    """Let work start again. Events that are stored from here on fire as always."""
    lock_order(connection)
    connection.execute(
        update(intake_order).values(restored_at=null(), restored_to=null(), restored_from=null())
    )
    wakeups.notify(connection)


def _be_silent(connection: Connection, now: datetime) -> None:
    """End incidents without a word, and give up the messages that were on their way."""
    live = incidents.live(connection)
    incidents.forget(connection, [one.id for one in live if one.state is IncidentState.SUSPECTED])
    incidents.resolve(connection, incidents.ids(live), now)
    unsent = (alert_messages.c.sent_at.is_(None), alert_messages.c.dropped_at.is_(None))
    connection.execute(update(alert_messages).where(*unsent).values(dropped_at=now, last_error=LOST))


def _is_read(row: Row[Any], since: datetime) -> bool:
    moments = (row.read_up_to, row.last_ok_at)
    if not row.is_enabled or row.unreadable or any(one is None or one < since for one in moments):
        return False
    return row.next_due_at is None or bool(row.next_due_at > row.last_ok_at)


def _in_the_way(row: Row[Any]) -> str | None:
    if not row.is_enabled:
        return f"it is paused: `dct connection resume {row.name}`"
    if row.health_detail:
        return str(row.health_detail)
    return f"{row.unreadable} of its items cannot be read" if row.unreadable else None


def _results(
    connection: Connection, execution_ids: Sequence[UUID]
) -> tuple[dict[UUID, list[str]], dict[UUID, list[str]]]:
    """By execution the names of the actions that are settled, and of those that have begun and are not."""
    result = action_results.c
    statement = (
        select(result.execution_id, result.name, result.state)
        .where(result.execution_id.in_(execution_ids))
        .order_by(result.action_index)
    )
    done: dict[UUID, list[str]] = {}
    begun: dict[UUID, list[str]] = {}
    for row in connection.execute(statement):
        kept = done if ResultState(row.state).is_settled else begun
        kept.setdefault(row.execution_id, []).append(row.name)
    return done, begun


def _released(row: Row[Any], by: str) -> dict[str, Any]:
    return {
        "kind": "execution_released",
        "execution_id": row.id,
        "trigger_id": row.trigger_id,
        "item_id": row.item_id,
        "data": {"by": by},
    }


_END_ATTEMPTS = text(
    "UPDATE dct.execution_attempts SET state = 'lost', ended_at = clock_timestamp(), error_message = :message"
    " WHERE state IN ('dispatched', 'running')"
)
_END_DEPLOYMENTS = text(
    "UPDATE dct.deployments SET state = 'failed', ended_at = clock_timestamp(), summary = :message"
    " WHERE state = 'running'"
)
_OF_PROCESSES = {
    "dagster.runs": (
        "UPDATE dagster.runs SET status = 'CANCELED'"
        " WHERE status IN ('QUEUED', 'NOT_STARTED', 'MANAGED', 'STARTING', 'STARTED', 'CANCELING')"
    ),
    "dagster.daemon_heartbeats": "DELETE FROM dagster.daemon_heartbeats",
    "dagster.job_ticks": "DELETE FROM dagster.job_ticks WHERE status = 'STARTED'",
    "dagster.pending_steps": "DELETE FROM dagster.pending_steps",
    "dagster.concurrency_slots": "UPDATE dagster.concurrency_slots SET run_id = NULL, step_key = NULL",
}
"""What Dagster keeps of the original's processes. Its daemon would start runs that were queued, and go on
with ticks that were under way; it takes the status of a run from this column.
"""
