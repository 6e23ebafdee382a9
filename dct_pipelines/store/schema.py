"""Bring our schemas to this release, compare them with the models, and keep their indexes in order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.exc import DBAPIError

from dct_pipelines.domain.errors import SchemaMismatch
from dct_pipelines.store import migrations
from dct_pipelines.store.catalog import Catalog, catalog_of, read_catalog
from dct_pipelines.store.database import Database
from dct_pipelines.store.differences import differences
from dct_pipelines.store.indexes import Repair, repairs
from dct_pipelines.store.migrations.options import ALEMBIC_OPTIONS, SCHEMA
from dct_pipelines.store.tables import metadata
from dct_pipelines.store.tables.metrics import metric_metadata

MIGRATION_LOCK = 7_266_100
"""Key of the advisory lock that lets one process at a time migrate, whichever machine it is on."""
OPTIMIZE_LOCK = 7_266_101
MODELS = (metadata, metric_metadata)
"""A schema each."""
RESTORE_AGAIN = "run `dct restore FILE` again, and with --replace if there was something before"
CUT_OFF = f"the tables do not say which revision they are: a restore was cut off; {RESTORE_AGAIN}"
_IS_CUT_OFF = text("""
SELECT to_regclass('dct.trigger_executions') IS NOT NULL OR to_regnamespace('dct_replaced') IS NOT NULL
    OR to_regnamespace('dagster_replaced') IS NOT NULL OR to_regnamespace('metrics_replaced') IS NOT NULL
""")
"""Asked where there is no revision: tables that wait for theirs, or what a restore has set aside."""
NOTHING_THERE = "the database has none of our tables: run `dct db migrate`"


def migrate(database: Database) -> list[str]:
    """Apply the migrations that are missing, in one transaction; return the revisions applied, oldest first.

    Any number of processes may call this at once: the first does the work, the others wait and find it done.
    Raises `SchemaMismatch` if the database belongs to a newer release.
    """
    with database.begin() as connection:
        return upgrade(connection)


def upgrade(connection: Connection) -> list[str]:
    """`migrate` within the caller's transaction."""
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
    before = current_revision(connection)
    if before is None and is_cut_off(connection):
        raise SchemaMismatch(CUT_OFF)
    if connection.scalar(text("SELECT to_regnamespace(:schema) IS NULL"), {"schema": SCHEMA}):
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
    config = alembic_config(connection)
    try:
        command.upgrade(config, "head")
        applied = ScriptDirectory.from_config(config).iterate_revisions("head", before or "base")
        return [revision.revision for revision in applied][::-1]
    except CommandError as error:
        raise SchemaMismatch(
            f"the database is at revision {before}, which this release does not know ({error}); "
            "install the release that made it, or a later one"
        ) from error


def come_back(connection: Connection, revision: str) -> list[str]:
    """Say at which revision restored tables are, and bring them to this release, all in one transaction."""
    insert = text("INSERT INTO dct.schema_version (version_num) VALUES (:revision)")
    connection.execute(insert, {"revision": revision})
    return upgrade(connection)


def knows(revision: str) -> bool:
    """Whether this release can bring tables of that revision to its own."""
    try:
        return ScriptDirectory.from_config(alembic_config(None)).get_revision(revision) is not None
    except CommandError:
        return False


def is_cut_off(connection: Connection) -> bool:
    """Where there is no revision: whether that is what a restore has left that was cut off."""
    return bool(connection.scalar(_IS_CUT_OFF))


def verify(database: Database, models: Sequence[MetaData] = MODELS) -> list[str]:
    """Return one sentence for each difference between the database and this release; none, empty."""
    with database.begin() as connection:
        revision, head = current_revision(connection), head_revision()
        if revision is None:
            return [CUT_OFF if is_cut_off(connection) else NOTHING_THERE]
        behind = f"the database is at revision {revision}, this release at {head}: run `dct db migrate`"
        found = [
            difference
            for one in models
            for difference in differences(*_catalogs(connection, one), str(one.schema))
        ]
    return [*([behind] if revision != head else []), *found]


def optimize(database: Database, models: Sequence[MetaData] = MODELS) -> list[str]:
    """Build missing indexes, rebuild broken and changed ones, and refresh the planner's statistics.

    Writers go on meanwhile. Returns what was done, and what could not be, one sentence each.
    """
    with database.begin() as connection:
        catalogs = {str(one.schema): _catalogs(connection, one) for one in models}
    tables = [
        f"{schema}.{table}"
        for schema, (actual, expected) in catalogs.items()
        for table in sorted(actual.tables & expected.tables)
    ]
    if not tables:
        return [NOTHING_THERE]
    with database.connect() as pooled:
        connection = pooled.execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()  # so that its settings and its lock end with it
        if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": OPTIMIZE_LOCK}):
            return ["another process is optimizing the database already"]
        connection.execute(text("SET statement_timeout = 0"))
        done = [
            _done(connection, repair)
            for schema, (actual, expected) in catalogs.items()
            for repair in repairs(actual, expected, schema)
        ]
        for table in tables:
            connection.execute(text(f"ANALYZE {table}"))
    return [*done, f"refreshed the statistics of {len(tables)} tables"]


def current_revision(connection: Connection) -> str | None:
    """Return the revision that the database is at; None before the first migration."""
    return MigrationContext.configure(connection, opts=ALEMBIC_OPTIONS).get_current_revision()


@cache
def head_revision() -> str | None:
    """Return the revision of this release."""
    return ScriptDirectory.from_config(alembic_config(None)).get_current_head()


def alembic_config(connection: Connection | None) -> Config:
    """Return what Alembic's commands need; `None` for those that only read the files."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _catalogs(connection: Connection, models: MetaData) -> tuple[Catalog, Catalog]:
    """Return what the database holds and what the models say, in that order."""
    actual = read_catalog(connection, str(models.schema)).without(ALEMBIC_OPTIONS["version_table"])
    return actual, catalog_of(models, connection)


def _done(connection: Connection, repair: Repair) -> str:
    try:
        for statement in repair.statements:
            connection.execute(text(statement))
    except DBAPIError as error:
        return f"could not do this: {repair.sentence} ({error.orig})"
    return repair.sentence
