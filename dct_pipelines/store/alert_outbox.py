"""Messages about incidents on their way: written with the incident, sent until they arrive.

A message is claimed by pushing its next attempt into the future, and sent outside of any transaction. Whoever
dies in between leaves it to the next attempt, which carries the same id. A channel is what a destination has
before its colon: its messages come and go together, because it is what answers or does not.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select, text, update

from dct_pipelines.domain.alerts import AlertMessage
from dct_pipelines.store.tables import alert_messages

log = logging.getLogger(__name__)
_M = alert_messages.c
_CHANNELS = text("""
SELECT split_part(destination, ':', 1) AS channel FROM dct.alert_messages
WHERE sent_at IS NULL AND dropped_at IS NULL AND next_attempt_at <= :now
GROUP BY channel ORDER BY min(attempts), min(created_at)
""")
_CLAIM = text("""
UPDATE dct.alert_messages SET attempts = attempts + 1, next_attempt_at = :again
WHERE id = (
    SELECT id FROM dct.alert_messages AS due
    WHERE sent_at IS NULL AND dropped_at IS NULL AND next_attempt_at <= :now
    AND split_part(destination, ':', 1) = :channel AND NOT EXISTS (
        SELECT FROM dct.alert_messages AS first
        WHERE due.kind = 'incidents_resolved' AND first.kind = 'incidents_opened'
            AND first.destination = due.destination AND first.incident_ids && due.incident_ids
            AND first.sent_at IS NULL AND first.dropped_at IS NULL
    )
    ORDER BY attempts, created_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING *
""")
"""The end of an incident is not told before its beginning was. What was tried least goes first: one that
never arrives does not stand in the way of those after it."""
_STALE = text("""
SELECT id FROM dct.alert_messages
WHERE sent_at IS NULL AND dropped_at IS NULL AND next_attempt_at <= :now AND attempts > 0
    AND created_at <= :before AND split_part(destination, ':', 1) = :channel
ORDER BY created_at, id FOR UPDATE SKIP LOCKED
""")
_TROUBLE = text("""
SELECT
    split_part(destination, ':', 1) AS channel,
    count(*) FILTER (WHERE sent_at IS NULL AND dropped_at IS NULL) AS waiting,
    min(created_at) FILTER (WHERE sent_at IS NULL AND dropped_at IS NULL) AS since,
    count(dropped_at) AS given_up, count(sent_at) AS unconfirmed,
    (array_agg(last_error ORDER BY attempts DESC, created_at DESC)
        FILTER (WHERE last_error IS NOT NULL AND sent_at IS NULL))[1] AS why,
    (array_agg(last_error ORDER BY sent_at DESC) FILTER (WHERE sent_at IS NOT NULL))[1] AS doubt
FROM dct.alert_messages
WHERE (sent_at IS NULL AND dropped_at > :remembered_since AND attempts > 0)
    OR (sent_at IS NULL AND dropped_at IS NULL AND created_at <= :before)
    OR (sent_at > :remembered_since AND last_error IS NOT NULL)
GROUP BY channel ORDER BY channel
""")
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


def channels_due(connection: Connection, now: datetime) -> list[str]:
    """The channels that have something to tell now, first those whose messages were tried least."""
    return list(connection.scalars(_CHANNELS, {"now": now}))


def claim(connection: Connection, channel: str, now: datetime, again: datetime) -> AlertMessage | None:
    """The message of the channel that is due and was tried least; nobody else gets it before `again`.

    One that this release cannot read, because another wrote it, is given up, and stops none of the others.
    """
    due = {"channel": channel, "now": now, "again": again}
    while (row := connection.execute(_CLAIM, due).one_or_none()) is not None:
        try:
            return AlertMessage(
                id=row.id,
                kind=row.kind,
                destination=row.destination,
                at=row.created_at,
                attempts=row.attempts,
                **row.message,
            )
        except (TypeError, ValueError):
            log.exception("gave up to tell %s: its message %s cannot be read", row.destination, row.id)
            dropped(connection, row.id, "another release wrote it; see `dct alert list`", now)
    return None


def stale(connection: Connection, channel: str, before: datetime, now: datetime) -> list[UUID]:
    """Messages of the channel that are due, were tried, and were written before then."""
    wanted = {"channel": channel, "before": before, "now": now}
    return list(connection.scalars(_STALE, wanted))


def trouble(connection: Connection, before: datetime, remembered_since: datetime) -> Sequence[Row[Any]]:
    """By channel what was written before then and waits still, and why.

    And what was given up since then, or may have arrived, and nobody knows; `doubt` says why of that.
    """
    asked = {"before": before, "remembered_since": remembered_since}
    return connection.execute(_TROUBLE, asked).all()


def sent(connection: Connection, message_id: UUID, now: datetime) -> None:
    """It has arrived."""
    connection.execute(update(alert_messages).where(_M.id == message_id).values(sent_at=now, last_error=None))


def unconfirmed(connection: Connection, message_id: UUID, why: str, now: datetime) -> None:
    """It may have arrived, and is not sent again: the end of the same incidents is told all the same."""
    statement = update(alert_messages).where(_M.id == message_id)
    connection.execute(statement.values(sent_at=now, last_error=why))


def failed(connection: Connection, message_id: UUID, why: str, again: datetime) -> None:
    """It may not have arrived; it is tried again then."""
    changed = {"last_error": why, "next_attempt_at": again}
    connection.execute(update(alert_messages).where(_M.id == message_id).values(**changed))


def dropped(connection: Connection, message_id: UUID, why: str | None, now: datetime) -> None:
    """It is given up, and with it what would have told the end of the same incidents.

    `why` None: for the reason that its last attempt gave.
    """
    changed: dict[str, Any] = {"dropped_at": now} | ({"last_error": why} if why is not None else {})
    connection.execute(update(alert_messages).where(_M.id == message_id).values(**changed))
    connection.execute(_DROP_UNTOLD, {"now": now, "dropped": message_id})


def prune(connection: Connection, before: datetime) -> None:
    """Throw away what was written before then, is on its way no more, and whose incidents are all over."""
    connection.execute(_PRUNE, {"before": before})
