"""Bring schema `dct` to this release, compare it with the models, and keep its indexes in order."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from dct_pipelines.domain.errors import SchemaMismatch
from dct_pipelines.store import migrations
from dct_pipelines.store.database import Database
from dct_pipelines.store.migrations.options import ALEMBIC_OPTIONS, SCHEMA

MIGRATION_LOCK = 7_266_100
"""Key of the advisory lock that lets one process at a time migrate, whichever machine it is on."""


def migrate(database: Database) -> list[str]:
    """Apply the migrations that are missing, in one transaction; return the revisions applied, oldest first.

    Any number of processes may call this at once: the first does the work, the others wait and find it done.
    Raises `SchemaMismatch` if the database belongs to a newer release.
    """
    with database.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        before = current_revision(connection)
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


def current_revision(connection: Connection) -> str | None:
    """Return the revision that the database is at; None before the first migration."""
    return MigrationContext.configure(connection, opts=ALEMBIC_OPTIONS).get_current_revision()


def head_revision() -> str | None:
    """Return the revision of this release."""
    return ScriptDirectory.from_config(alembic_config(None)).get_current_head()


def alembic_config(connection: Connection | None) -> Config:
    """Return what Alembic's commands need; `None` for those that only read the files."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
