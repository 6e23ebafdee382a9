"""Whether the database is at this release's revision, without Alembic, which takes a while to load."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sqlalchemy import Connection, text

from dct_pipelines.store import migrations

_IS_THERE = text("SELECT to_regclass('dct.schema_version') IS NOT NULL")
_FOUND = text("SELECT version_num FROM dct.schema_version")


@cache
def newest() -> str:
    """The revision of this release: the last of the numbered files."""
    versions = Path(migrations.__file__).parent / "versions"
    return max(path.name.partition("_")[0] for path in versions.glob("[0-9]*.py"))


def found(connection: Connection) -> str | None:
    """The revision that the database is at; None before the first migration."""
    if not connection.scalar(_IS_THERE):
        return None
    revision: str | None = connection.scalar(_FOUND)
    return revision
