"""What the doctor asks the database: the server's own state, and what stands still in our tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select, text

from dct_pipelines.domain.words import TriggerStatus
from dct_pipelines.store.tables import dynamic_context_triggers

_SERVER = text("""
SELECT
    current_setting('server_version') AS version,
    current_setting('server_version_num')::int / 10000 AS major,
    pg_database_size(current_database()) AS bytes,
    clock_timestamp() AS now,
    current_setting('max_connections')::int AS max_connections,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
    (SELECT max(age(datfrozenxid)) FROM pg_database) AS xid_age
""")
_LONGEST = text("""
SELECT pid, xact_start, application_name FROM pg_stat_activity
WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
    AND backend_type = 'client backend'
ORDER BY xact_start LIMIT 1
""")
_DEAD = text("""
SELECT schemaname || '.' || relname AS name, n_dead_tup AS dead, n_live_tup AS live
FROM pg_stat_user_tables WHERE schemaname IN ('dct', 'dagster', 'metrics')
""")
_NOT_STARTED = text("""
SELECT execution_id FROM dct.execution_attempts
WHERE state = 'dispatched' AND dispatched_at < clock_timestamp() - :seconds * interval '1 s'
ORDER BY dispatched_at
""")
_SILENT = text("""
SELECT execution_id FROM dct.execution_attempts
WHERE state = 'running' AND heartbeat_at < clock_timestamp() - :seconds * interval '1 s'
ORDER BY heartbeat_at
""")
_JOBS = text("""
WITH RECURSIVE jobs AS (
    (SELECT job_name FROM dct.trigger_executions WHERE status = 'waiting' ORDER BY job_name LIMIT 1)
    UNION ALL
    SELECT (
        SELECT job_name FROM dct.trigger_executions
        WHERE status = 'waiting' AND job_name > jobs.job_name ORDER BY job_name LIMIT 1
    ) FROM jobs WHERE jobs.job_name IS NOT NULL
)
SELECT job_name FROM jobs WHERE job_name IS NOT NULL
""")
_OURS = re.compile(r"dct(-[a-z]+)*:\d+$|dct program ")
"""What sessions of ours are called: `Session`, and the programs that dump and restore."""
_OLDEST = text("SELECT (SELECT observed_at FROM dct.events ORDER BY seq LIMIT 1)")


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server. `longest_*` are about the transaction that is open longest, if there is one."""

    version: str
    major: int
    bytes: int
    now: datetime
    connections: int
    max_connections: int
    xid_age: int
    longest_pid: int | None
    longest_since: datetime | None
    longest_by: str | None

    @property
    def is_longest_ours(self) -> bool:
        """Whether a process of ours, or a program that one has called, has opened that transaction."""
        return bool(_OURS.match(self.longest_by or ""))


@dataclass(frozen=True)
class DeadRows:
    """How many rows of a table are dead, and how many are not, as the server believes."""

    table: str
    dead: int
    live: int


def server(connection: Connection) -> Server:
    """The server of this connection."""
    row = connection.execute(_SERVER).one()
    longest = connection.execute(_LONGEST).one_or_none()
    return Server(
        **row._mapping,
        longest_pid=longest.pid if longest is not None else None,
        longest_since=longest.xact_start if longest is not None else None,
        longest_by=longest.application_name if longest is not None else None,
    )


def dead_rows(connection: Connection) -> list[DeadRows]:
    """Each table of ours and of Dagster's."""
    return [DeadRows(row.name, row.dead, row.live) for row in connection.execute(_DEAD)]


def not_started(connection: Connection, seconds: float) -> list[UUID]:
    """Executions that were handed to Dagster that long ago, and no run has taken up."""
    return list(connection.scalars(_NOT_STARTED, {"seconds": seconds}))


def silent(connection: Connection, seconds: float) -> list[UUID]:
    """Executions whose run has given no sign of life for that long."""
    return list(connection.scalars(_SILENT, {"seconds": seconds}))


def jobs_waited_for(connection: Connection) -> frozenset[str]:
    """The jobs that waiting executions need."""
    return frozenset(connection.scalars(_JOBS))


def triggers_in_error(connection: Connection) -> Sequence[Row[Any]]:
    """Names of triggers that cannot work, and why, as it is stored."""
    trigger = dynamic_context_triggers.c
    statement = select(trigger.name, trigger.status_detail).where(
        trigger.status == TriggerStatus.ERROR, trigger.deleted_at.is_(None)
    )
    return connection.execute(statement.order_by(trigger.name)).all()


def oldest_event(connection: Connection) -> datetime | None:
    """When the oldest event that is kept was seen."""
    moment: datetime | None = connection.scalar(_OLDEST)
    return moment
