"""What the dispatcher writes: the one compare-and-set, reasons to wait, and the end of pauses.

It waits for no row that somebody else holds: that one is left for the next pass. So whoever holds rows and
wants others never waits for one who waits for him.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, select, text, update

from dct_pipelines.domain.admission import Hold
from dct_pipelines.store.tables import trigger_executions

DISPATCH_LOCK = 7_266_011
WAITS = "status || '' = 'waiting'"
"""That what is found by its id waits: not by the index on `status`, as good as that while nobody waits."""
_EXECUTION = trigger_executions.c


@dataclass(frozen=True)
class Dispatched:
    """An execution that was handed over, with the number of its new attempt."""

    execution_id: UUID
    attempt: int


def try_lock(connection: Connection) -> bool:
    """One dispatcher at a time, until the end of the transaction; another one just comes back later."""
    return bool(connection.scalar(select(func.pg_try_advisory_xact_lock(DISPATCH_LOCK))))


_DISPATCH = text(f"""
WITH free AS (
    SELECT id FROM dct.trigger_executions
    WHERE id = ANY(CAST(:ids AS uuid[])) AND {WAITS} AND cancel_requested_at IS NULL
    FOR UPDATE SKIP LOCKED
), moved AS (
    UPDATE dct.trigger_executions AS e
    SET status = 'dispatched', attempt = e.attempt + 1, dispatched_at = :now,
        first_dispatched_at = COALESCE(e.first_dispatched_at, :now),
        not_before = NULL, wait_reason = NULL, wait_detail = NULL,
        metrics = CASE
            WHEN e.first_dispatched_at IS NULL AND e.wait_reason IS NOT NULL
            THEN e.metrics || jsonb_build_object('waited_for', e.wait_reason) ELSE e.metrics
        END
    FROM free WHERE e.id = free.id
    RETURNING e.id, e.attempt, e.trigger_id
), opened AS (
    INSERT INTO dct.execution_attempts (execution_id, attempt, state)
    SELECT id, attempt, 'dispatched' FROM moved
), told AS (
    INSERT INTO dct.activity (kind, execution_id, trigger_id, data)
    SELECT 'execution_dispatched', id, trigger_id, jsonb_build_object('attempt', attempt) FROM moved
)
SELECT id, attempt FROM moved
""")  # noqa: S608


def dispatch(connection: Connection, execution_ids: Sequence[UUID], now: datetime) -> list[Dispatched]:
    """Compare and set: waiting → dispatched, attempt + 1. Those that are no longer waiting are left out."""
    if not execution_ids:
        return []
    moved = connection.execute(_DISPATCH, {"ids": [str(key) for key in execution_ids], "now": now})
    attempts = {row.id: row.attempt for row in moved}
    return [Dispatched(key, attempts[key]) for key in execution_ids if key in attempts]


_HOLDS = text(f"""
UPDATE dct.trigger_executions AS e SET wait_reason = v.reason, wait_detail = v.detail
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS v(id uuid, reason text, detail text), LATERAL (
    SELECT FROM dct.trigger_executions AS waiting
    WHERE waiting.id = v.id AND waiting.{WAITS} FOR UPDATE SKIP LOCKED
) AS free
WHERE e.id = v.id
""")  # noqa: S608


def store_holds(connection: Connection, holds: Mapping[UUID, Hold]) -> None:
    """Write why executions wait; only those whose reason changed are to be given."""
    if not holds:
        return
    rows = [
        {"id": str(key), "reason": hold.reason.value, "detail": hold.detail} for key, hold in holds.items()
    ]
    connection.execute(_HOLDS, {"rows": json.dumps(rows)})


_PAUSES = text("""
SELECT
    e.id, e.waits_since, e.resource_limits, e.wait_reason = 'debounce' AS is_debounced,
    (
        SELECT last.created_at FROM dct.trigger_executions AS last
        WHERE last.status = 'waiting' AND last.line = e.line
        ORDER BY last.line_order DESC LIMIT 1
    ) AS last_fired_at
FROM dct.trigger_executions AS e
WHERE e.status = 'waiting' AND e.not_before <= :now
ORDER BY e.not_before
LIMIT :most
FOR UPDATE OF e SKIP LOCKED
""")


def ended_pauses(connection: Connection, now: datetime, most: int) -> Sequence[Row[Any]]:
    """At most so many executions whose pause is over, with when their line fired last; they are locked."""
    return connection.execute(_PAUSES, {"now": now, "most": most}).all()


def end_pauses(connection: Connection, execution_ids: Sequence[UUID]) -> None:
    """They are ready: nobody has looked yet what else they wait for."""
    if execution_ids:
        values = {"not_before": None, "wait_reason": None, "wait_detail": None}
        connection.execute(update(trigger_executions).where(_EXECUTION.id.in_(execution_ids)).values(values))


def prolong_pauses(connection: Connection, until: Mapping[UUID, datetime]) -> None:
    """They pause on, for the same reason."""
    for execution_id, moment in until.items():
        connection.execute(
            update(trigger_executions).where(_EXECUTION.id == execution_id).values(not_before=moment)
        )
