"""The quotas in force: those of the settings, overlaid by what operators have set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from dct_pipelines.domain.quotas import Quota, Quotas
from dct_pipelines.store.tables import quotas


@dataclass(frozen=True)
class SetQuota:
    """A quota that somebody set."""

    value: int
    set_by: str
    set_at: datetime


def in_force(connection: Connection, defaults: Quotas) -> Quotas:
    """`defaults` (those of the settings) with what is set instead. Whether quotas are on is the settings'."""
    statement = select(quotas.c.name, quotas.c.value)
    return replace(defaults, **{row.name: row.value for row in connection.execute(statement)})


def set_by_operators(connection: Connection) -> dict[Quota, SetQuota]:
    """What is set, by whom and when."""
    rows = connection.execute(select(quotas))
    return {Quota(row.name): SetQuota(row.value, row.set_by, row.set_at) for row in rows}


def put(connection: Connection, quota: Quota, value: int, by: str) -> None:
    """Set a quota; it is in force with the commit."""
    changed = {"value": value, "set_by": by, "set_at": func.clock_timestamp()}
    statement = insert(quotas).values(name=quota, **changed)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changed))


def remove(connection: Connection, quota: Quota) -> None:
    """Let the setting count again."""
    connection.execute(delete(quotas).where(quotas.c.name == quota))
