"""What a scrape reads about how things stand: few statements, each answered by an index or a small table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

from dct_pipelines.domain.execution import FINAL, ExecutionState

_OPEN = text("""
SELECT status, count(*) AS count FROM dct.trigger_executions WHERE status = ANY(:open) GROUP BY status
""")
_MOMENTS = text("""
SELECT
    (SELECT next_seq - 1 FROM dct.intake_order) AS events,
    (SELECT observed_at FROM dct.events ORDER BY seq DESC LIMIT 1) AS event,
    (SELECT max(created_at) FROM dct.trigger_executions) AS fired,
    (SELECT max(started_at) FROM dct.trigger_executions) AS started,
    (SELECT max(completed_at) FROM dct.trigger_executions) AS ended,
    (SELECT max(last_polled_at) FROM dct.connections) AS polled,
    pg_database_size(current_database()) AS bytes,
    (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()) AS sessions
""")
_TRIGGERS = text("""
SELECT
    count(*) FILTER (WHERE deleted_at IS NULL AND status = 'active') AS active,
    count(*) FILTER (WHERE deleted_at IS NULL AND status = 'paused') AS paused,
    count(*) FILTER (WHERE deleted_at IS NULL AND status = 'disabled') AS disabled,
    count(*) FILTER (WHERE deleted_at IS NULL AND status = 'error') AS error,
    coalesce(sum(execution_count), 0) AS fired,
    coalesce(sum(failure_count), 0) AS failed
FROM dct.dynamic_context_triggers
""")
"""Deleted triggers keep their counts, so the sums never fall."""
_BUSIEST = text("""
SELECT name, trigger_type, execution_count, failure_count, last_triggered
FROM dct.dynamic_context_triggers WHERE deleted_at IS NULL
ORDER BY execution_count DESC, name LIMIT :limit
""")
_CONNECTIONS = text("""
SELECT name, kind, health, consecutive_failures, last_ok_at, next_due_at, not_before
FROM dct.connections WHERE is_enabled ORDER BY created_at, name LIMIT :limit
""")
_HAS_INCIDENTS = text("SELECT to_regclass('dct.incidents') IS NOT NULL")
_INCIDENTS = text("""
SELECT rule, state, count(*) AS count FROM dct.incidents WHERE state <> 'resolved'
GROUP BY rule, state ORDER BY rule, state
""")
_OPEN_STATES = [state.value for state in ExecutionState if state not in FINAL]


def open_by_state(connection: Connection) -> dict[str, int]:
    """How many executions are in each state that is not final; states without one are there with 0."""
    found = {row.status: row._mapping["count"] for row in connection.execute(_OPEN, {"open": _OPEN_STATES})}
    return {state: found.get(state, 0) for state in _OPEN_STATES}


def moments(connection: Connection) -> Row[Any]:
    """When things happened last, how many events there were in all, and the database's size and sessions."""
    return connection.execute(_MOMENTS).one()


def triggers(connection: Connection) -> Row[Any]:
    """How many live triggers have which status; all firings and failures there ever were."""
    return connection.execute(_TRIGGERS).one()


def busiest(connection: Connection, limit: int) -> Sequence[Row[Any]]:
    """The live triggers that have fired most."""
    return connection.execute(_BUSIEST, {"limit": limit}).all()


def connections(connection: Connection, limit: int) -> Sequence[Row[Any]]:
    """The enabled connections, the oldest first."""
    return connection.execute(_CONNECTIONS, {"limit": limit}).all()


def incidents(connection: Connection) -> Sequence[Row[Any]]:
    """How many incidents are not over, by rule and state; none in a database that knows of none."""
    if not connection.scalar(_HAS_INCIDENTS):
        return ()
    return connection.execute(_INCIDENTS).all()
