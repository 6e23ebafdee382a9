"""Checks of commits, as we or a CI reported them."""

from __future__ import annotations

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from dct_pipelines.domain.operations import Check
from dct_pipelines.store.tables import checks


def report(connection: Connection, check: Check) -> None:
    """Store it, unless a later result is known."""
    values = check.model_dump()
    statement = insert(checks).values(**values)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["repository_item_id", "commit", "name"],
            set_=values,
            where=checks.c.reported_at <= statement.excluded.reported_at,
        )
    )
