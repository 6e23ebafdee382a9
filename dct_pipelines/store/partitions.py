"""The monthly partitions of `events` and `decisions`: which there are, and dropping them (making: `months`).

Whoever makes or drops one needs the whole table for a moment. They wait for it a fifth of a second at most,
because everybody else waits behind them, and try again later.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    MetaData,
    Table,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    text,
)

from dct_pipelines.store.database import Database
from dct_pipelines.store.tables import decisions, events, trigger_executions

LOCK_WAIT_MS = 200
_EXECUTION = trigger_executions.c
_LISTED = text(
    "SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bound FROM pg_inherits"
    " JOIN pg_class AS c ON c.oid = inhrelid WHERE inhparent = to_regclass(:parent) ORDER BY c.relname"
)
_PAGES = text("SELECT pg_relation_size(to_regclass(:name)) / current_setting('block_size')::int")
_LIVE = text("SELECT pg_stat_get_live_tuples(to_regclass(:name))")
_SINCE, _UNTIL = re.compile(r"FROM \('([^']+)'\)"), re.compile(r"TO \('([^']+)'\)")


@dataclass(frozen=True)
class Payload:
    """A partitioned table; the columns that say to which month, and to which event, a row belongs."""

    table: Table
    moment: str
    event: str

    @property
    def name(self) -> str:
        return self.table.name

    @property
    def place(self) -> str:
        """Its name with the schema's."""
        return str(self.table.fullname)

    def part(self, name: str) -> Table:
        """One of its partitions."""
        return self.table.to_metadata(MetaData(), name=name)

    @property
    def default(self) -> Table:
        """The partition for what has no other: months that were not made, what outlives its month."""
        return self.part(f"{self.name}_default")


PAYLOADS = (
    Payload(events, "observed_at", "id"),
    Payload(decisions, "decided_at", "event_id"),
)
"""Decisions after events: they are kept for the sake of theirs."""


@dataclass(frozen=True)
class Partition:
    """One partition, from one moment to before another; None where there is no bound."""

    name: str
    since: datetime | None
    until: datetime | None

    def is_over(self, moment: datetime) -> bool:
        """Whether nothing in it is of that moment or later."""
        return self.until is not None and self.until <= moment

    def begins_by(self, moment: datetime) -> bool:
        """Whether nothing in it is of before that moment."""
        return self.since is not None and self.since >= moment


@contextmanager
def patiently(database: Database) -> Iterator[Connection]:
    """A connection for questions about whole tables, which take longer than other statements may."""
    with database.connect() as connection:
        connection.execute(text("SET LOCAL statement_timeout = '15min'"))
        yield connection


def listed(connection: Connection, payload: Payload) -> list[Partition]:
    """The partitions of a table, by name."""
    rows = connection.execute(_LISTED, {"parent": payload.place})
    return [Partition(row.name, _moment(_SINCE, row.bound), _moment(_UNTIL, row.bound)) for row in rows]


def missing(connection: Connection, payload: Payload, months: Sequence[datetime]) -> list[datetime]:
    """Those of the months that have no partition to go to but the default one."""
    there = {one.name: one for one in listed(connection, payload)}
    # What the table became when it was partitioned has the months up to then.
    before = there.get(f"{payload.name}_before")
    return [
        month
        for month in months
        if name_of(payload, month) not in there and (before is None or before.is_over(month))
    ]


def in_default(connection: Connection, payload: Payload) -> int:
    """How many rows the default partition has, as the server believes."""
    return int(connection.scalar(_LIVE, {"name": payload.default.fullname}) or 0)


def name_of(payload: Payload, month: datetime) -> str:
    """What the partition of a month is called."""
    return f"{payload.name}_{month:%Y_%m}"


def drop(
    connection: Connection, payload: Payload, partition: Partition, kept: Collection[UUID], since: datetime
) -> int:
    """Drop a partition; rows of the events that are kept go into the default one. Returns how many.

    Kept is besides what executions refer to that were made `since` that was asked for.
    """
    part = payload.part(partition.name)
    be_short(connection)
    connection.execute(text(f"ALTER TABLE {payload.place} DETACH PARTITION dct.{partition.name}"))
    made, its = _EXECUTION.created_at >= since, _EXECUTION.event_id.is_not(None)
    ids = {*kept, *connection.scalars(select(_EXECUTION.event_id).where(made, its))}
    rows = 0
    if ids:
        stays = select(part).where(part.c[payload.event].in_(ids))
        moved = insert(payload.table).from_select([one.name for one in part.c], stays)
        rows = connection.execute(moved).rowcount
    connection.execute(text(f"DROP TABLE dct.{partition.name}"))
    return rows


def analyze(connection: Connection, payload: Payload) -> None:
    """Refresh what the planner knows of the table as a whole, which no autovacuum does."""
    connection.execute(text(f"ANALYZE {payload.place}"))


def clock(connection: Connection) -> datetime:
    """The database's time, by which executions are stamped."""
    now: datetime = connection.scalar(text("SELECT clock_timestamp()"))
    return now


def kept_in(connection: Connection, payload: Payload, partition: Partition, limit: int) -> list[UUID]:
    """The events of which an old partition holds rows that are kept, up to a bound."""
    part = payload.part(partition.name)
    found = select(part.c[payload.event]).where(_is_kept(payload, part)).distinct().limit(limit)
    return list(connection.scalars(found))


def count(connection: Connection, payload: Payload, partition: Partition) -> int:
    """How many rows a partition has."""
    part = payload.part(partition.name)
    return connection.scalar(select(func.count()).select_from(part)) or 0


def count_old(connection: Connection, payload: Payload, partition: Partition, month: datetime) -> int:
    """How many rows of a partition are of before that month and not kept."""
    part = payload.part(partition.name)
    old = select(func.count()).where(*_is_old(payload, part, month))
    return connection.scalar(old) or 0


def has_old(connection: Connection, payload: Payload, partition: Partition, month: datetime) -> bool:
    """Whether there is one."""
    part = payload.part(partition.name)
    return bool(connection.scalar(select(exists().where(*_is_old(payload, part, month)))))


def pages_of(connection: Connection, name: str) -> int:
    """How many pages a table or partition has; its name is given with the schema's."""
    return int(connection.scalar(_PAGES, {"name": name}) or 0)


def page_begin(page: int) -> ColumnElement[Any]:
    """The place before every row of a page."""
    return literal_column(f"'({page},0)'::tid")


def delete_old(
    connection: Connection, payload: Payload, partition: Partition, month: datetime, among: tuple[int, int]
) -> int:
    """Delete what is of before that month and not kept, among pages from one to before another."""
    part = payload.part(partition.name)
    place: ColumnElement[Any] = literal_column(f"{part.fullname}.ctid")
    bounds = place >= page_begin(among[0]), place < page_begin(among[1])
    old = delete(part).where(*bounds, *_is_old(payload, part, month))
    return connection.execute(old).rowcount


def _is_old(payload: Payload, part: Table, month: datetime) -> tuple[ColumnElement[bool], ...]:
    return part.c[payload.moment] < month, ~_is_kept(payload, part)


def _is_kept(payload: Payload, part: Table) -> ColumnElement[bool]:
    """An event that an execution refers to; a decision whose event is there, so that it can be explained."""
    event: Column[Any] = part.c[payload.event]
    return exists().where((_EXECUTION.event_id if payload.table is events else events.c.id) == event)


def _moment(pattern: re.Pattern[str], bound: str) -> datetime | None:
    found = pattern.search(bound)
    return datetime.fromisoformat(found[1]) if found else None


def be_short(connection: Connection) -> None:
    """Wait for a whole table no longer than those behind may wait."""
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_WAIT_MS}ms'"))
