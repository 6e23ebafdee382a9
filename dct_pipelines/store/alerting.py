"""What the rules of alerts look at, one statement a rule, each over an index: they are asked every minute."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

_ENDED = text("""
SELECT
    e.trigger_id, count(*) AS ended, count(*) FILTER (WHERE e.status = 'failed') AS failed,
    count(*) FILTER (WHERE e.status = 'failed' AND e.error_message ~ '(^|: )timed out: ') AS timed_out,
    (array_agg(e.error_message ORDER BY e.completed_at DESC) FILTER (WHERE e.status = 'failed'))[1] AS error,
    mode() WITHIN GROUP (ORDER BY e.connection_id) FILTER (WHERE e.status = 'failed') AS connection_id
FROM dct.trigger_executions AS e
WHERE e.completed_at > :since AND e.status IN ('completed', 'failed') AND e.trigger_id IS NOT NULL
GROUP BY e.trigger_id
""")
_TRIGGERS = text("""
SELECT trigger.id, trigger.name, version.spec -> 'alerts' AS alerts
FROM dct.dynamic_context_triggers AS trigger
LEFT JOIN dct.trigger_versions AS version
    ON version.trigger_id = trigger.id AND version.to_seq IS NULL
WHERE trigger.id = ANY(CAST(:ids AS uuid[]))
""")
_CONNECTIONS = text("""
SELECT
    id, name, kind, health_detail, health_since, consecutive_failures, last_ok_at, not_before, updated_at,
    CAST(config ->> 'poll_interval_seconds' AS double precision) AS interval_seconds,
    GREATEST(COALESCE(next_due_at, updated_at), not_before) AS due_at
FROM dct.connections WHERE is_enabled
ORDER BY name
""")
_UNREADABLE = text("""
SELECT
    item.name AS item, connection.name AS connection, connection.kind, cursor.detail,
    cursor.consecutive_failures
FROM dct.item_cursors AS cursor
JOIN dct.context_library AS item ON item.id = cursor.item_id AND item.deleted_at IS NULL
JOIN dct.connections AS connection ON connection.id = item.connection_id AND connection.is_enabled
WHERE cursor.state = 'unreadable'
ORDER BY connection.name, item.name
""")


def ended(connection: Connection, since: datetime) -> Sequence[Row[Any]]:
    """By trigger: executions that ended since then, how many failed, and how many took too long."""
    return connection.execute(_ENDED, {"since": since}).all()


def triggers(connection: Connection, ids: Collection[UUID]) -> dict[UUID, Row[Any]]:
    """Names of triggers, and what their manifests say of alerts; None where they say nothing."""
    if not ids:
        return {}
    rows = connection.execute(_TRIGGERS, {"ids": [str(one) for one in ids]})
    return {row.id: row for row in rows}


def connections(connection: Connection) -> Sequence[Row[Any]]:
    """Every connection that is switched on: its failures in a row, since when it is, or will be, due, and
    when it was read last.

    `interval_seconds` is None where its definition does not say how often it is read.
    """
    return connection.execute(_CONNECTIONS).all()


def unreadable(connection: Connection) -> Sequence[Row[Any]]:
    """Items that could not be read when they were last tried, of connections that are switched on.

    `consecutive_failures` is 0 for one that is read by one question together with others: there the provider
    has said that it is not there, and is not asked again each time.
    """
    return connection.execute(_UNREADABLE).all()
