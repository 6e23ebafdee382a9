"""Taking a dump: everything is read in one snapshot, by `pg_dump` and by the fingerprint beside it.

It takes the weakest lock there is on each table, so that nobody who reads or writes waits for it; only a
change of the tables themselves does, and maintenance leaves a month for the next day that it cannot drop.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg2
from sqlalchemy import Connection, text

from dct_pipelines.domain.backups import TablePrint
from dct_pipelines.domain.errors import DatabaseUnavailable, SchemaMismatch
from dct_pipelines.store import revision
from dct_pipelines.store.database import Database
from dct_pipelines.store.dumps.programs import Server, server_of, talking

SCHEMAS = ("dct", "dagster", "metrics")
"""Ours, Dagster's, and what metrics are kept in; whichever of them there are."""
UNTOLD = "dct.schema_version"
"""Its content stands in the manifest: tables without it are usable by nobody, until a restore is complete."""
CHUNK_BYTES = 1024 * 1024
PATIENT = (
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
)
LOCKED_SOON = "SET LOCAL lock_timeout = '60s'"
"""Who changes a table for longer is told of, and not waited for."""
PLAIN = (
    "SET LOCAL TIME ZONE 'UTC'",
    "SET LOCAL DateStyle = 'ISO'",
    "SET LOCAL IntervalStyle = 'postgres'",
    "SET LOCAL extra_float_digits = 1",
    "SET LOCAL bytea_output = 'hex'",
)
"""So that a row is the same text wherever it is asked for."""
_TABLES = text("""
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = ANY(:schemas) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY 1
""")
_THERE = text("SELECT nspname FROM pg_namespace WHERE nspname = ANY(:schemas) ORDER BY nspname")


@dataclass(frozen=True)
class Snapshot:
    """One moment of the database, for as long as the block of `snapshot` lasts."""

    connection: Connection
    server: Server
    key: str
    as_of: datetime
    revision: str
    schemas: tuple[str, ...]

    def dump(self) -> Generator[bytes, None, None]:
        """The dump, in pieces, compressed. Raises when `pg_dump` did not end well."""
        chosen = [f"--schema={name}" for name in self.schemas]
        how = [
            "--format=custom",
            "--compress=gzip:1",
            "--no-owner",
            "--no-privileges",
            f"--snapshot={self.key}",
            f"--exclude-table-data={UNTOLD}",
        ]
        command = self.server.command("pg_dump", *how, *chosen)
        with talking(
            command, self.server.variables(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None  # noqa: S101 (it is a pipe)
            while piece := process.stdout.read(CHUNK_BYTES):
                yield piece

    def fingerprint(self, tell: Callable[[str, int], None]) -> dict[str, TablePrint]:
        """What each table holds; `tell` hears each table's name and its rows."""
        return fingerprint(self.connection, self.schemas, tell)

    def cancel(self) -> None:
        """End the statement that another thread is waiting for, if there is one."""
        driver: Any = self.connection.connection.dbapi_connection
        with suppress(psycopg2.Error):
            driver.cancel()


@contextmanager
def snapshot(database: Database) -> Iterator[Snapshot]:
    """Hold one moment of the database. SchemaMismatch when there is nothing of ours in it.

    The tables are locked before that moment begins, as weakly as whoever reads them does: else one of their
    partitions could be dropped between the moment and the lock of `pg_dump`, which still sees it.
    """
    with database.connect() as asking:
        tables = asking.scalars(_TABLES, {"schemas": list(SCHEMAS)}).all()
    with database.connect() as pooled:
        connection = pooled.execution_options(isolation_level="REPEATABLE READ")
        connection.detach()  # so that its settings end with it
        with connection.begin():
            for statement in (*PATIENT, *PLAIN, LOCKED_SOON):
                connection.execute(text(statement))
            if tables:
                _lock(connection, tables)
            key, as_of = connection.execute(text("SELECT pg_export_snapshot(), now()")).one()
            found = revision.found(connection)
            if found is None:
                raise SchemaMismatch("the database has none of our tables; there is nothing to back up")
            schemas = tuple(connection.scalars(_THERE, {"schemas": list(SCHEMAS)}))
            server = server_of(connection, is_embedded=database.embedded is not None)
            yield Snapshot(connection, server, key, as_of, found, schemas)


def _lock(connection: Connection, tables: Sequence[str]) -> None:
    try:
        connection.execute(text(f"LOCK TABLE {', '.join(tables)} IN ACCESS SHARE MODE"))
    except DatabaseUnavailable as error:
        told = "tables are being changed by somebody (maintenance, a migration): back up again after that"
        raise DatabaseUnavailable(told) from error


def fingerprint(
    connection: Connection, schemas: tuple[str, ...], tell: Callable[[str, int], None]
) -> dict[str, TablePrint]:
    """How many rows each table of these schemas has, and a sum over all of them."""
    prints: dict[str, TablePrint] = {}
    for table in connection.scalars(_TABLES, {"schemas": list(schemas)}).all():
        if table == UNTOLD:
            continue
        row = connection.execute(
            text(
                "SELECT count(*) AS rows, COALESCE(sum(hashtextextended(t::text, 0)), 0)::text AS checksum "  # noqa: S608
                f"FROM {table} AS t"
            )
        ).one()
        prints[table] = TablePrint(rows=row.rows, checksum=row.checksum)
        tell(table, row.rows)
    return prints
