"""What a trace tells of executions that have ended: their event, decision, attempts and actions."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from dct_pipelines.domain.tracing import ActionFacts, AttemptFacts, Ended, EventFacts

_ENDED = text("""
SELECT
    e.id, e.event_id, e.job_name, e.status, e.triggered_by, e.priority, e.created_at, e.completed_at,
    e.error_message, t.name AS trigger, t.trigger_type, v.kind, v.subject, v.occurred_at, v.observed_at,
    c.name AS connection, d.decided_at,
    NOT EXISTS (
        SELECT FROM dct.trigger_executions AS o
        WHERE o.event_id = e.event_id AND (o.completed_at, o.id) < (e.completed_at, e.id)
    ) AS is_first
FROM dct.trigger_executions AS e
LEFT JOIN dct.dynamic_context_triggers AS t ON t.id = e.trigger_id
LEFT JOIN dct.events AS v ON v.id = e.event_id
LEFT JOIN dct.connections AS c ON c.id = v.connection_id
LEFT JOIN dct.decisions AS d ON d.event_id = e.event_id AND d.trigger_id = e.trigger_id
WHERE e.completed_at > :since AND e.completed_at <= :until
ORDER BY e.completed_at, e.id
""")
"""Of several executions of one event the first one to end tells of the event, also when it is sent again."""
_ATTEMPTS = text("""
SELECT execution_id, attempt, state, run_id, dispatched_at, started_at, ended_at, error_message
FROM dct.execution_attempts WHERE execution_id = ANY(CAST(:ids AS uuid[])) ORDER BY attempt
""")
_ACTIONS = text("""
SELECT execution_id, action_index, action_type, name, state, attempt, started_at, ended_at, error_message
FROM dct.action_results WHERE execution_id = ANY(CAST(:ids AS uuid[])) ORDER BY action_index
""")


def ended(connection: Connection, since: datetime, until: datetime) -> list[Ended]:
    """The executions that ended after `since` and not after `until`."""
    rows = connection.execute(_ENDED, {"since": since, "until": until}).all()
    asked = {"ids": [str(row.id) for row in rows]}
    attempts: defaultdict[UUID, list[AttemptFacts]] = defaultdict(list)
    for row in connection.execute(_ATTEMPTS, asked):
        attempts[row.execution_id].append(
            AttemptFacts(
                attempt=row.attempt,
                state=row.state,
                run_id=row.run_id,
                dispatched_at=row.dispatched_at,
                started_at=row.started_at,
                ended_at=row.ended_at,
                error=row.error_message,
            )
        )
    actions: defaultdict[UUID, list[ActionFacts]] = defaultdict(list)
    for row in connection.execute(_ACTIONS, asked):
        actions[row.execution_id].append(
            ActionFacts(
                index=row.action_index,
                type=row.action_type,
                name=row.name,
                state=row.state,
                attempt=row.attempt,
                started_at=row.started_at,
                ended_at=row.ended_at,
                error=row.error_message,
            )
        )
    return [
        Ended(
            id=row.id,
            trigger=row.trigger,
            trigger_type=row.trigger_type,
            job_name=row.job_name,
            status=row.status,
            triggered_by=row.triggered_by,
            priority=row.priority,
            created_at=row.created_at,
            completed_at=row.completed_at,
            error=row.error_message,
            event=_event(row),
            attempts=tuple(attempts[row.id]),
            actions=tuple(actions[row.id]),
        )
        for row in rows
    ]


def _event(row: Row[Any]) -> EventFacts | None:
    if row.event_id is None or row.kind is None:
        return None
    return EventFacts(
        id=row.event_id,
        kind=row.kind,
        subject=row.subject,
        connection=row.connection or "",
        occurred_at=row.occurred_at,
        observed_at=row.observed_at,
        is_told_here=row.is_first,
        decided_at=row.decided_at,
    )
