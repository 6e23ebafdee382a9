"""Endings for those who tell others of them: in a real database, some seconds ago."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert, text

from dct_pipelines.store import endings, tables
from dct_pipelines.store.database import Database

LONG_AGO = text("""
UPDATE dct.trigger_executions SET completed_at = completed_at - interval '5 s'
WHERE completed_at > clock_timestamp() - interval '5 s'
""")
BACK = text(
    "UPDATE dct.telemetry_cursors SET through = clock_timestamp() - interval '1 h' WHERE name = :name"
)


def begin(database: Database, cursor: str) -> None:
    """Let the cursor begin an hour ago."""
    with database.begin() as connection:
        endings.through(connection, cursor)
        connection.execute(BACK, {"name": cursor})


def settle(database: Database) -> None:
    """Let everything that has ended have ended some seconds earlier."""
    with database.begin() as connection:
        connection.execute(LONG_AGO)


def ended(database: Database, ago: float, status: str = "completed", **columns: Any) -> UUID:
    """An execution that ended so many seconds ago, after it had waited 2 s and worked for 3 s."""
    execution_id = uuid4()
    at = {
        name: text(f"now() - interval '{ago + before} s'")
        for name, before in (
            ("created_at", 5),
            ("first_dispatched_at", 3.5),
            ("started_at", 3),
            ("completed_at", 0),
        )
    }
    values = {"triggered_by": "replay", "created_by": "tests", "job_name": "job", "actions": []}
    with database.begin() as connection:
        row = {"id": execution_id, "status": status, "context_snapshot": {}, "resource_limits": {}}
        connection.execute(insert(tables.trigger_executions).values(**values | row | at | columns))
    return execution_id
