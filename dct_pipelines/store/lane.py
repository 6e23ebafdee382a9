"""The direct lane: one process at a time hands executions over without waiting for a sensor's turn.

Whoever has the lane holds a lock of the database's session and listens on it; both end with the session,
however the process dies. The sensors look whether somebody has it, and then leave dispatching alone.
"""

from __future__ import annotations

import contextlib
import select
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.store.engine import Session, StoreSettings, open_engine
from dct_pipelines.store.wakeups import EXECUTIONS

LANE_LOCK = 7_266_013
_HELD = text(
    "SELECT EXISTS (SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database "
    "WHERE datname = current_database() AND locktype = 'advisory' AND granted "
    "AND classid = 0 AND objid = :key AND objsubid = 1)"
)


def is_taken(connection: Connection) -> bool:
    """Whether a process hands executions over directly now."""
    return bool(connection.scalar(_HELD, {"key": LANE_LOCK}))


class Lane:
    """The lane as one process sees it. Used by one thread."""

    def __init__(self, settings: StoreSettings) -> None:
        session = Session("public", "dct-lane", 0)
        self._engine = open_engine(settings, session, pool_size=1, isolation_level="AUTOCOMMIT")
        self._connection: Connection | None = None

    def take(self) -> bool:
        """Whether this process has the lane now; `DatabaseUnavailable` when nobody can tell."""
        try:
            if self._connection is not None:
                self._connection.execute(text("SELECT 1"))
                return True
            connection = self._engine.connect()
            if connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LANE_LOCK}):
                connection.execute(text(f"LISTEN {EXECUTIONS}"))
                self._connection = connection
                return True
            connection.close()
        except SQLAlchemyError as error:
            self.leave()
            raise DatabaseUnavailable(f"the lane's session ended ({error}); it is opened again") from error
        return False

    def wait(self, seconds: float) -> bool:
        """Wait until somebody says that executions wait, at most so long; whether somebody did."""
        if self._connection is None:
            return False
        raw: Any = self._connection.connection.dbapi_connection
        with contextlib.suppress(OSError, ValueError):
            select.select([raw], [], [], seconds)
        try:
            raw.poll()
        except Exception as error:
            self.leave()
            raise DatabaseUnavailable(f"the lane's session ended ({error}); it is opened again") from error
        heard = bool(raw.notifies)
        raw.notifies.clear()
        return heard

    def leave(self) -> None:
        """Give the lane back, at once where the session still answers."""
        if self._connection is not None:
            with contextlib.suppress(SQLAlchemyError, DatabaseUnavailable):
                self._connection.execute(text("SELECT pg_advisory_unlock_all()"))
            with contextlib.suppress(SQLAlchemyError):
                self._connection.invalidate()
            with contextlib.suppress(SQLAlchemyError):
                self._connection.close()
        self._connection = None
        self._engine.dispose()
