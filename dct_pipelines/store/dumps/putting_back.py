"""Putting a dump back: what was there is set aside, and comes back if anything goes wrong.

Until the tables say which revision they are, no process works on them: a restore that is cut off leaves a
database that every command refuses, not one that starts work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from sqlalchemy import Connection, text

from dct_pipelines.domain.backups import Dependant, Grant, TablePrint
from dct_pipelines.domain.counting import counted
from dct_pipelines.domain.errors import BackupUnusable, InvalidInput
from dct_pipelines.store import revision
from dct_pipelines.store.database import Database
from dct_pipelines.store.dumps.beside import dependants, grants
from dct_pipelines.store.dumps.programs import Server, server_of
from dct_pipelines.store.dumps.taking import PATIENT, PLAIN, SCHEMAS, fingerprint
from dct_pipelines.store.dumps.ways import Way, way_to

CONTENT = (
    "dct.dynamic_context_triggers",
    "dct.connections",
    "dct.context_library",
    "dct.events",
    "dct.trigger_executions",
    "dct.environments",
    "dct.workspaces",
    "dagster.runs",
)
"""What a deployment that is used has rows in."""
ASIDE = "_replaced"
END_MILLISECONDS = 60_000
"""For so long a session may take to end."""
_END = text(
    "SELECT pg_terminate_backend(pid, :wait) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = :name"
)


@dataclass(frozen=True)
class Replaced:
    """What a restore would replace: rows by table, of those that a used deployment has rows in."""

    rows: Mapping[str, int]

    def __str__(self) -> str:
        return ", ".join(f"{counted(count, 'row')} of {table}" for table, count in self.rows.items() if count)


def content(database: Database) -> Replaced:
    """What is there that somebody could miss; after a restore that was cut off, what it set aside."""
    with database.connect() as connection:
        found = {}
        suffix = ASIDE if _was_cut_off(connection) else ""
        for table in (name.replace(".", f"{suffix}.") for name in CONTENT):
            if connection.scalar(text("SELECT to_regclass(:table) IS NOT NULL"), {"table": table}):
                found[table] = connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0  # noqa: S608
    return Replaced(found)


def beside(database: Database) -> tuple[tuple[Dependant, ...], tuple[Grant, ...]]:
    """What of others would go with what is there, and what they were granted on it."""
    with database.connect() as connection:
        suffix = ASIDE if _was_cut_off(connection) else ""
        places = [f"{name}{suffix}" for name in SCHEMAS]
        return dependants(connection, [*SCHEMAS, *places]), grants(connection, places, suffix)


def others(database: Database) -> list[str]:
    """Names of the programs that are connected besides this one."""
    with database.connect() as connection:
        statement = text(
            "SELECT DISTINCT COALESCE(NULLIF(application_name, ''), 'unnamed') FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_type = 'client backend'"
            " AND application_name <> current_setting('application_name') ORDER BY 1"
        )
        return list(connection.scalars(statement))


def require_programs(database: Database) -> None:
    """InvalidInput where a program is missing that restores into this server: what to install."""
    way_to(_server(database))


@contextmanager
def put_back(
    database: Database,
    dump: IO[bytes],
    tables: Mapping[str, TablePrint],
    schemas: tuple[str, ...],
    way: Way | None = None,
) -> Iterator[None]:
    """Restore the dump and compare it with what its tables held; the block completes the restore.

    Whatever fails, here or in the block, leaves the database as it was. `BackupUnusable` says what it was.
    The way is the one that the server needs unless another is given.
    """
    server = _server(database)
    way = way or way_to(server)
    aside = _set_aside(database)
    try:
        way(server, dump)
        _compare(database, tables, schemas)
        yield
    except BaseException:
        _end_sessions(database, server)
        _bring_back(database, aside)
        raise
    _forget(database, aside)


def _server(database: Database) -> Server:
    with database.connect() as connection:
        return server_of(connection, is_embedded=database.embedded is not None)


def _compare(database: Database, tables: Mapping[str, TablePrint], schemas: tuple[str, ...]) -> None:
    with database.begin() as connection:
        for statement in (*PATIENT, *PLAIN):
            connection.execute(text(statement))
        found = fingerprint(connection, schemas, lambda _table, _rows: None)
    wrong = sorted(name for name in tables.keys() | found.keys() if tables.get(name) != found.get(name))
    if wrong:
        told = ", ".join(
            f"{name}: {counted(found[name].rows, 'row') if name in found else 'no table'} instead of "
            f"{tables[name].rows if name in tables else 'none'}"
            for name in wrong[:10]
        )
        raise BackupUnusable(f"what was restored is not what the backup says of itself ({told})")


def _set_aside(database: Database) -> dict[str, str]:
    """Rename what is there; the names that it has then, by its own.

    What a restore that was cut off has set aside is what was there; only what it made itself is dropped.
    """
    with database.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        was_cut_off = _was_cut_off(connection)
        for name in SCHEMAS:
            if was_cut_off:
                connection.execute(text(f"DROP SCHEMA IF EXISTS {name} CASCADE"))
            elif _exists(connection, name):
                connection.execute(text(f"ALTER SCHEMA {name} RENAME TO {name}{ASIDE}"))
        return {name.removesuffix(ASIDE): name for name in left_aside(connection)}


def left_aside(connection: Connection) -> list[str]:
    """The schemas that a restore has set aside, and neither brought back nor dropped."""
    return [f"{name}{ASIDE}" for name in SCHEMAS if _exists(connection, f"{name}{ASIDE}")]


def _was_cut_off(connection: Connection) -> bool:
    """Whether a restore has set something aside and did not come to its end.

    InvalidInput where there is a whole deployment beside it: which of the two is missed only people know.
    """
    left = left_aside(connection)
    if left and revision.found(connection) is not None:
        raise InvalidInput(
            f"there is a deployment here, and beside it what an earlier restore has set aside "
            f"({', '.join(left)}): drop that when nothing of it is missed "
            f"(`DROP SCHEMA {', '.join(left)} CASCADE`), and try again"
        )
    return bool(left)


def _end_sessions(database: Database, server: Server) -> None:
    """A program that was killed leaves its session to do what it was told last, which may be the commit."""
    with database.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, :wait) FROM pg_stat_activity WHERE application_name = :name"
            ),
            {"wait": END_MILLISECONDS, "name": server.session},
        )


def _bring_back(database: Database, aside: Mapping[str, str]) -> None:
    with database.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        for name in SCHEMAS:
            connection.execute(text(f"DROP SCHEMA IF EXISTS {name} CASCADE"))
        for name, place in aside.items():
            connection.execute(text(f"ALTER SCHEMA {place} RENAME TO {name}"))


def _forget(database: Database, aside: Mapping[str, str]) -> None:
    with database.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        for place in aside.values():
            connection.execute(text(f"DROP SCHEMA IF EXISTS {place} CASCADE"))


def _exists(connection: Connection, schema: str) -> bool:
    return bool(connection.scalar(text("SELECT to_regnamespace(:name) IS NOT NULL"), {"name": schema}))
