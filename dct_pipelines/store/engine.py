"""How a process connects: one pool, sessions set up alike, the embedded server started if it is not there."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg2
from pydantic import SecretStr
from pydantic_core import from_json
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from dct_pipelines.store.embedded import EmbeddedPostgres
from dct_pipelines.store.texts import dump_json

EMBEDDED_URL = "postgresql+psycopg2://dct@/dct"
"""Its host is filled in at each connection: it may lie elsewhere after a move."""
IDLE_IN_TRANSACTION_SECONDS = 300
"""A process that hangs inside a transaction must not hold its locks for ever."""
USED_AT = "used_at"
RESTS_SINCE = "rests_since"
"""When a connection that is given back was really used last, where that is a while ago."""
RESTED_SECONDS = 5.0
PATIENCE: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""So that a server that vanished without a word is noticed within a minute; the URL may say otherwise."""

SERVER_PATIENCE = {"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3"}
"""The same the other way round: a client that vanished with its machine must not keep its locks for hours."""


class StoreSettings(Protocol):
    """What this room reads of the settings."""

    @property
    def home(self) -> Path: ...
    @property
    def database_url(self) -> SecretStr | None: ...
    @property
    def statement_timeout_seconds(self) -> int: ...
    @property
    def database_pool_size(self) -> int: ...


@dataclass(frozen=True)
class Session:
    """How each session of a pool is set up. `statement_timeout_ms` 0 is none."""

    search_path: str
    application: str
    statement_timeout_ms: int


def embedded_server(settings: StoreSettings) -> EmbeddedPostgres | None:
    """Return the embedded server of these settings; None if they name a server of one's own."""
    return None if settings.database_url else EmbeddedPostgres(settings.home)


def open_engine(settings: StoreSettings, session: Session, **pool: Any) -> Engine:
    """Make an engine that connects when first used; broken connections are noticed and replaced."""
    url = settings.database_url.get_secret_value() if settings.database_url else EMBEDDED_URL
    engine = create_engine(
        url,
        pool_recycle=3600,
        pool_use_lifo=True,
        json_serializer=dump_json,
        json_deserializer=from_json,
        hide_parameters=True,
        **pool,
    )
    server = embedded_server(settings)
    event.listen(engine, "checkout", _ping_if_in_doubt)
    event.listen(engine, "checkin", _note_use)

    @event.listens_for(engine, "do_connect")
    def connect(
        dialect: Dialect, _entry: ConnectionPoolEntry, arguments: Sequence[Any], named: dict[str, Any]
    ) -> DBAPIConnection:
        named = PATIENCE | named
        connection = (
            _connect(server, dialect, arguments, named) if server else dialect.connect(*arguments, **named)
        )
        _set_up(connection, session)
        return connection

    return engine


def _note_use(_raw: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
    entry.info[USED_AT] = entry.info.pop(RESTS_SINCE, None) or time.monotonic()


def _ping_if_in_doubt(raw: Any, entry: ConnectionPoolEntry, _proxy: object) -> None:
    """Ask a connection whether it lives, if there is reason to doubt it; the pool replaces one that does not.

    A server that ended or was killed has closed its end, which the kernel tells without a round trip. Only a
    server that vanished without a word is not noticed so, hence the ping after a rest.
    """
    used_at = entry.info.get(USED_AT)
    if used_at is None:
        return
    try:
        if is_told_something(raw) or time.monotonic() - used_at > RESTED_SECONDS:
            cursor = raw.cursor()
            cursor.execute("SELECT 1")
            cursor.close()
            raw.rollback()
    except (psycopg2.Error, OSError, ValueError) as error:
        raise InvalidatePoolError("the connection broke while nobody used it") from error


def is_told_something(raw: Any) -> bool:
    """Whether the server has said something that nobody asked for: mostly that it ends."""
    poll = select.poll()
    poll.register(raw, select.POLLIN)
    return bool(poll.poll(0))


def _connect(
    server: EmbeddedPostgres, dialect: Dialect, arguments: Sequence[Any], named: dict[str, Any]
) -> DBAPIConnection:
    """Connect where the server was last; if nothing answers there, have it started and connect again."""
    if known := server.connect_arguments():
        try:
            return dialect.connect(*arguments, **named | known)
        except psycopg2.OperationalError:
            pass
    server.ensure()
    return dialect.connect(*arguments, **named | server.connect_arguments())


def _set_up(connection: Any, session: Session) -> None:
    """Set what every statement relies on, in one round trip.

    The search path is explicit because its default puts the schema named like the user first, and both our
    role and our schema are `dct`. By statements and not by `options`, which connection poolers refuse.
    """
    values = {
        "search_path": session.search_path,
        "application_name": f"{session.application}:{os.getpid()}",
        "statement_timeout": str(session.statement_timeout_ms),
        "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_SECONDS * 1000),
        "timezone": "UTC",
        # Our statements are short. Where sorting is told to be avoided, PostgreSQL before 18 takes them for
        # so dear that it would compile them each time.
        "jit": "off",
        **SERVER_PATIENCE,
    }
    with connection.cursor() as cursor:
        calls = ", ".join(["set_config(%s, %s, false)"] * len(values))
        cursor.execute(f"SELECT {calls}", [part for pair in values.items() for part in pair])
    connection.commit()
