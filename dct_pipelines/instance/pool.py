"""One pool of connections under the three storages of Dagster, in a schema of its own.

dagster-postgres 0.29.27 opens a connection for every statement (about a hundred for one run), and in the web
server three pools of one. Source: `dagster_postgres/run_storage/run_storage.py`,
`PostgresRunStorage.__init__`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache

from sqlalchemy import Connection, Engine, text

from dct_pipelines.settings import Settings
from dct_pipelines.store.engine import Session, StoreSettings, open_engine

SCHEMA = "dagster"
CREATION_LOCK = 7_266_200
"""Key of the advisory lock under which one process makes Dagster's tables; Dagster itself takes none."""
APPLICATION = "dct-dagster"


@lru_cache(maxsize=8)
def shared_pool(_process: int, settings: Settings) -> DagsterPool:
    """The pool of this process for these settings.

    Dagster opens an instance for each tick of a sensor and closes it again; its pool stays, for the next one.
    `_process` is our own id: a forked child must not use its parent's connections.
    """
    return DagsterPool(settings)


class DagsterPool:
    """Holds the engine that the storages share, and replaces it when the web server asks for other limits."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        self._limits = (0, 16)
        self.engine = self._open(*self._limits)
        self.is_made = False
        """Whether Dagster's tables have been seen, which then stay."""
        self.known: set[str] = set()
        """What else of the schema has been seen."""
        self._done_at: dict[str, float] = {}

    def limit(self, statement_timeout_ms: int, max_overflow: int) -> None:
        """Open a pool with these limits; asking again for the same, as each storage does, changes nothing."""
        if self._limits != (statement_timeout_ms, max_overflow):
            self._limits = (statement_timeout_ms, max_overflow)
            replaced, self.engine = self.engine, self._open(*self._limits)
            replaced.dispose()

    def is_due(self, what: str, every_seconds: float) -> bool:
        """Whether this process has not done that for so long; when it is, it counts as done now."""
        now = time.monotonic()
        if now - self._done_at.get(what, -every_seconds) < every_seconds:
            return False
        self._done_at[what] = now
        return True

    @contextmanager
    def creating(self, tables: Iterable[str]) -> Iterator[list[str]]:
        """Yield which of Dagster's `tables` are missing; if any, hold the lock and have the schema there.

        On a connection of its own, because the pool's first one must find the schema: SQLAlchemy asks then,
        once, which schema is the default.
        """
        session = Session("public", APPLICATION, 0)
        aside = open_engine(self._settings, session, pool_size=1, isolation_level="AUTOCOMMIT")
        with aside.connect() as connection:
            connection.detach()  # closed at the end, and the lock with it
            if _missing(connection, tables):
                connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": CREATION_LOCK})
                connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            yield _missing(connection, tables)

    def _open(self, statement_timeout_ms: int, max_overflow: int) -> Engine:
        return open_engine(
            self._settings,
            Session(SCHEMA, APPLICATION, statement_timeout_ms),
            isolation_level="AUTOCOMMIT",
            pool_size=4,
            max_overflow=max_overflow,
        )


def _missing(connection: Connection, tables: Iterable[str]) -> list[str]:
    exists = text("SELECT to_regclass(:name) IS NOT NULL")
    return [table for table in tables if not connection.scalar(exists, {"name": f"{SCHEMA}.{table}"})]
