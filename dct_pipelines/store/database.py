"""The database as the rooms above see it: a transaction, a connection, and errors of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Connection, Engine, Row, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.pool import QueuePool

from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.store.embedded import EmbeddedPostgres
from dct_pipelines.store.engine import Session, StoreSettings, embedded_server, open_engine
from dct_pipelines.store.failures import explain
from dct_pipelines.store.in_hand import InHand

__all__ = ["Connection", "Database", "Row"]
"""`Connection` and `Row` are what services pass on to repositories and get back: no driver of their own."""

OVERFLOW = 2
"""Times the pool's size that may be opened on top of it under load."""
POOL_WAIT_SECONDS = 30


class Database:
    """One process's pool of connections to schema `dct`; threads share it, forked children must not.

    Nothing happens before the first use. Every error that means "the database is not there now" is raised as
    `DatabaseUnavailable` (transient), a refused URL as `InvalidSetting`; what concerns one statement stays
    SQLAlchemy's, or the driver's where that is spoken to (`store.prepared`).
    """

    def __init__(self, engine: Engine, embedded: EmbeddedPostgres | None) -> None:
        self.engine = engine
        self.embedded = embedded
        self.in_hand = InHand(self._taken)

    @classmethod
    def open(
        cls,
        settings: StoreSettings,
        *,
        application: str = "dct",
        pool_wait_seconds: float = POOL_WAIT_SECONDS,
    ) -> Database:
        """Make the pool for `settings`; `application` names the process in `pg_stat_activity`."""
        engine = open_engine(
            settings,
            Session("public", application, settings.statement_timeout_seconds * 1000),
            pool_size=settings.database_pool_size,
            max_overflow=OVERFLOW * settings.database_pool_size,
            pool_timeout=pool_wait_seconds,
        )
        event.listen(engine, "handle_error", _in_our_words)
        return cls(engine, embedded_server(settings))

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction: committed at the end of the block, rolled back by any exception."""
        with self.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection for reading; what was not committed is rolled back at the end of the block."""
        with self._taken() as connection:
            yield connection

    def at_once(self) -> AbstractContextManager[Connection]:
        """A connection on which each statement is a transaction of its own, which spares two round trips."""
        return self.in_hand.connection()

    def dispose(self) -> None:
        """Close the pool; the next use opens it again."""
        self.in_hand.release()
        self.engine.dispose()

    def _taken(self) -> Connection:
        pool = self.engine.pool
        if isinstance(pool, QueuePool) and pool.checkedout() >= pool.size() * (1 + OVERFLOW):
            self.in_hand.release()
        try:
            return self.engine.connect()
        except PoolExhausted as error:
            raise DatabaseUnavailable(
                "all database connections of this process stay busy; raise DCT_DATABASE_POOL_SIZE"
            ) from error


def _in_our_words(context: ExceptionContext) -> BaseException | None:
    if context.is_pre_ping:
        return None
    return explain(context.original_exception, disconnected=context.is_disconnect)
