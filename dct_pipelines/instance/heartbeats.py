"""Which of Dagster's daemons are alive, by their rows alone: opening Dagster's instance takes seconds.

`tests/dagster/test_heartbeats.py` compares it with what Dagster says itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from dct_pipelines.domain.gateway import DaemonHealth
from dct_pipelines.store.database import Database

ALIVE_WITHIN = timedelta(seconds=180)
"""They give a sign of life every thirty seconds, and a busy machine is late."""
_IS_THERE = text("SELECT to_regclass('dagster.daemon_heartbeats') IS NOT NULL")
_LAST = text(
    "SELECT daemon_type, timestamp FROM dagster.daemon_heartbeats WHERE daemon_id = "
    "(SELECT daemon_id FROM dagster.daemon_heartbeats ORDER BY timestamp DESC LIMIT 1) ORDER BY daemon_type"
)
"""Those of the process that was heard last: another configuration may have had others."""


@dataclass(frozen=True)
class DaemonHeartbeats:
    """Answers `daemons()` as the gateway does; none before a daemon has ever run."""

    database: Database

    def daemons(self) -> Sequence[DaemonHealth]:
        """Dagster's daemons, and whether each gave a sign of life of late."""
        with self.database.connect() as connection:
            rows = connection.execute(_LAST).all() if connection.scalar(_IS_THERE) else []
        now = datetime.now(UTC)
        seen = {str(row[0]).lower(): row[1].replace(tzinfo=UTC) for row in rows}
        return [DaemonHealth(name, now - last < ALIVE_WITHIN, last) for name, last in seen.items()]


def forget(database: Database) -> None:
    """Say that no daemon of Dagster lives: those that ended would be believed in for minutes."""
    with database.begin() as connection:
        if connection.scalar(_IS_THERE):
            connection.execute(text("DELETE FROM dagster.daemon_heartbeats"))
