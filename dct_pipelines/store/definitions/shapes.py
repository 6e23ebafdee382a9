"""The shapes of triggers, each of which is one Dagster job. A row stays as long as history refers to it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from dct_pipelines.store.tables import shapes


def ensure(connection: Connection, job_name: str, actions: Sequence[str]) -> bool:
    """Store the shape, or note that it is used again; whether it is new."""
    is_new = connection.scalar(select(shapes.c.job_name).where(shapes.c.job_name == job_name)) is None
    statement = insert(shapes).values(job_name=job_name, actions=list(actions))
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["job_name"], set_={"last_used_at": func.clock_timestamp()}
        )
    )
    return is_new


def every(connection: Connection) -> dict[str, tuple[str, ...]]:
    """Action types of every shape by its job's name."""
    rows = connection.execute(select(shapes.c.job_name, shapes.c.actions).order_by(shapes.c.job_name))
    return {row.job_name: tuple(row.actions) for row in rows}
