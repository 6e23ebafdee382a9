"""The endings of executions in their order, for those who tell others of them: each after a cursor of its
own.

An ending carries the moment at which it was written, not at which it was committed. So that none is passed
by, a cursor goes only as far as no transaction that still writes can have begun before.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, text

_SAFE = text("""
SELECT least(
    clock_timestamp() - interval '1 s',
    greatest(
        (SELECT coalesce(min(xact_start), clock_timestamp()) FROM pg_stat_activity
         WHERE backend_xid IS NOT NULL AND datname = current_database() AND pid <> pg_backend_pid()),
        clock_timestamp() - interval '10 min'
    )
)
""")
"""A writer is known by its transaction id, which it has a moment after the stamp: hence the second. The
server ends sessions that idle in a transaction for 5 minutes; nothing holds everybody up for longer than
ten."""
_BEGIN = text("""
INSERT INTO dct.telemetry_cursors (name, through) VALUES (:name, :through) ON CONFLICT (name) DO NOTHING
""")
_THROUGH = text("SELECT through FROM dct.telemetry_cursors WHERE name = :name")
_TAKE = text("SELECT through FROM dct.telemetry_cursors WHERE name = :name FOR UPDATE SKIP LOCKED")
_UNTIL = text("""
SELECT count(*) AS found, max(completed_at) AS last FROM (
    SELECT completed_at FROM dct.trigger_executions
    WHERE completed_at > :since AND completed_at <= :safe ORDER BY completed_at LIMIT :limit
) AS next
""")
_ADVANCE = text("""
UPDATE dct.telemetry_cursors SET through = :until WHERE name = :name AND through = :since
""")


def through(connection: Connection, name: str) -> datetime:
    """How far this cursor is; it begins at the first question, with nothing that was before."""
    found: datetime | None = connection.scalar(_THROUGH, {"name": name})
    if found is None:
        connection.execute(_BEGIN, {"name": name, "through": connection.scalar(_SAFE)})
        found = connection.scalar(_THROUGH, {"name": name})
        assert found is not None  # noqa: S101 (just written)
    return found


def take(connection: Connection, name: str) -> datetime | None:
    """The cursor, locked until the end of the transaction; None while somebody else has it."""
    found: datetime | None = connection.scalar(_TAKE, {"name": name})
    return found


def until(connection: Connection, since: datetime, limit: int) -> datetime | None:
    """How far the next `limit` endings reach (and all of the same moment); None when there are none yet."""
    safe = connection.scalar(_SAFE)
    row = connection.execute(_UNTIL, {"since": since, "safe": safe, "limit": limit}).one()
    last: datetime | None = row.last
    return last


def advance(connection: Connection, name: str, since: datetime, to: datetime) -> bool:
    """Go on from `since`; False, and nothing is changed, when the cursor is no longer there."""
    return connection.execute(_ADVANCE, {"name": name, "since": since, "until": to}).rowcount == 1
