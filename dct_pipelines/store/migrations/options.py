"""What Alembic has to know about our schema, the same for every command."""

from __future__ import annotations

from typing import Any

SCHEMA = "dct"


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Whether Alembic looks at this: our schema and all in it, nothing of Dagster's or of others."""
    return kind != "schema" or name == SCHEMA


ALEMBIC_OPTIONS: dict[str, Any] = {
    "version_table": "schema_version",
    "version_table_schema": SCHEMA,
    "include_schemas": True,
    "include_name": is_ours,
}
