"""Messages about incidents on their way: written with the incident, sent until they arrive.

A message is claimed by pushing its next attempt into the future, and sent outside of any transaction. Whoever
dies in between leaves it to the next attempt, which carries the same id.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select, text, update

from dct_pipelines.domain.alerts import AlertMessage
from dct_pipelines.store.tables import alert_messages

_M = alert_messages.c
_CLAIM = text("""
UPDATE dct.alert_messages SET attempts = attempts + 1, next_attempt_at = :again
WHERE id = (
    SELECT id FROM dct.alert_messages AS due
    WHERE sent_at IS NULL AND dropped_at IS NULL AND next_attempt_at <= :now AND NOT EXISTS (
        SELECT FROM dct.alert_messages AS first
        WHERE due.kind = 'incidents_resolved' AND first.kind = 'incidents_opened'
            AND first.destination = due.destination AND first.incident_ids && due.incident_ids
            AND first.sent_at IS NULL AND first.dropped_at IS NULL
    )
    ORDER BY created_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING *
""")
"""The end of an incident is not told before its beginning was."""
_DROP_UNTOLD = text("""
UPDATE dct.alert_messages AS due SET dropped_at = :now, last_error = 'its beginning was never told'
WHERE kind = 'incidents_resolved' AND sent_at IS NULL AND dropped_at IS NULL AND EXISTS (
    SELECT FROM dct.alert_messages AS first
    WHERE first.id = :dropped AND first.destination = due.destination
        AND first.incident_ids && due.incident_ids
)
""")
_PRUNE = text("""
DELETE FROM dct.alert_messages AS old
WHERE created_at < :before AND (sent_at IS NOT NULL OR dropped_at IS NOT NULL) AND NOT EXISTS (
    SELECT FROM dct.incidents AS about
    WHERE about.id = ANY(old.incident_ids) AND about.state <> 'resolved'
)
""")
"""To whom the beginning of an incident was told has to be known until its end."""


def put(connection: Connection, messages: Sequence[tuple[AlertMessage, Sequence[UUID]]]) -> None:
    """Put messages into the outbox, each with the incidents that it is about."""
    rows = [
        {
            "id": message.id,
            "kind": message.kind,
            "destination": message.destination,
            "incident_ids": list(about),
            "message": message.model_dump(mode="json", include={"subject", "text", "incidents"}),
            "created_at": message.at,
            "next_attempt_at": message.at,
        }
        for message, about in messages
    ]
    if rows:
        connection.execute(insert(alert_messages), rows)


def told_of(connection: Connection, incident_id: UUID) -> Sequence[Row[Any]]:
    """The messages about an incident, the oldest first."""
    statement = select(alert_messages).where(_M.incident_ids.contains([incident_id]))
    return connection.execute(statement.order_by(_M.created_at, _M.destination)).all()


def destinations_of(connection: Connection, incident_ids: Sequence[UUID]) -> dict[UUID, set[str]]:
    """For each incident whom its beginning was told, or will be."""
    statement = select(_M.destination, _M.incident_ids).where(
        _M.kind == "incidents_opened", _M.incident_ids.overlap(list(incident_ids)), _M.dropped_at.is_(None)
    )
    found: dict[UUID, set[str]] = {}
    for row in connection.execute(statement):
        for incident_id in row.incident_ids:
            found.setdefault(incident_id, set()).add(row.destination)
    return found


def claim(connection: Connection, now: datetime, again: datetime) -> AlertMessage | None:
    """The oldest message that is due; nobody else gets it before `again`."""
    row = connection.execute(_CLAIM, {"now": now, "again": again}).one_or_none()
    if row is None:
        return None
    return AlertMessage(
        id=row.id,
        kind=row.kind,
        destination=row.destination,
        at=row.created_at,
        attempts=row.attempts,
        **row.message,
    )


def sent(connection: Connection, message_id: UUID, now: datetime) -> None:
    """It has arrived."""
    connection.execute(update(alert_messages).where(_M.id == message_id).values(sent_at=now, last_error=None))


def failed(connection: Connection, message_id: UUID, why: str, again: datetime) -> None:
    """It may not have arrived; it is tried again then."""
    changed = {"last_error": why, "next_attempt_at": again}
    connection.execute(update(alert_messages).where(_M.id == message_id).values(**changed))


def dropped(connection: Connection, message_id: UUID, why: str, now: datetime) -> None:
    """It is given up, and with it what would have told the end of the same incidents."""
    changed = {"last_error": why, "dropped_at": now}
    connection.execute(update(alert_messages).where(_M.id == message_id).values(**changed))
    connection.execute(_DROP_UNTOLD, {"now": now, "dropped": message_id})


def prune(connection: Connection, before: datetime) -> None:
    """Throw away what was written before then, is on its way no more, and whose incidents are all over."""
    connection.execute(_PRUNE, {"before": before})
