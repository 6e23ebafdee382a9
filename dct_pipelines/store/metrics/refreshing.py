"""Puts the rows of metric tables in their place, and reads them back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, select, text

from dct_pipelines.domain.execution import OPEN
from dct_pipelines.domain.metrics import Grain, Span
from dct_pipelines.store.metrics.base import SINCE, STEP, UNTIL, Metric
from dct_pipelines.store.tables import trigger_executions
from dct_pipelines.store.tables.metrics import metric_tables

REFRESH_LOCK = 7_266_020
"""First key of the advisory locks, one a table and grain, that keep two refreshes from mixing. Hours and days
of a table are rows of their own, and go side by side."""
MEMORY = "64MB"
"""Of one sort or hash of the database: most spans fit, and a longer one goes to disk."""
LONGEST_MINUTES = 30
_SETTINGS = text(
    "SELECT set_config('work_mem', :memory, true), set_config('statement_timeout', :timeout, true),"
    " set_config('timezone', 'UTC', true)"
)
_COUNTED = text("""
SELECT date_trunc(:grain, completed_at, 'UTC') AS bucket, count(*) AS executions FROM dct.trigger_executions
WHERE completed_at >= :since AND completed_at < :until AND status <> ALL(:open) GROUP BY 1
""")


def refresh(connection: Connection, metric: Metric, span: Span, values: Mapping[str, Any]) -> int:
    """Compute the rows of the span anew within this transaction; return how many there are.

    Readers see the old rows until the commit. Facts are read as they were when the statement began, and
    nothing of theirs is locked. Buckets that have not begun get no rows, whatever clocks say of the facts.
    """
    table = metric_tables[metric.table.name]
    minutes = {"memory": MEMORY, "timeout": f"{LONGEST_MINUTES}min"}
    connection.execute(_SETTINGS, minutes)
    connection.execute(
        text("SELECT pg_advisory_xact_lock(:space, hashtext(:rows))"),
        {"space": REFRESH_LOCK, "rows": f"{table.name} {span.grain}"},
    )
    connection.execute(delete(table).where(*_within(table, span)))
    names = ", ".join(column.name for column in metric.table.columns)
    statement = (
        f"INSERT INTO {table.fullname} (grain, bucket, {names})"  # noqa: S608 - names of ours
        f" SELECT :grain, bucket, {names} FROM ({metric.statement}) AS computed"
        " WHERE bucket <= clock_timestamp()"
    )
    return connection.execute(text(statement), _parameters(span) | dict(values)).rowcount


def rows(connection: Connection, metric: Metric, span: Span) -> list[dict[str, Any]]:
    """The rows of the span by bucket and keys."""
    table = metric_tables[metric.table.name]
    order = [table.c[name] for name in ("bucket", *metric.table.keys)]
    found = connection.execute(select(table).where(*_within(table, span)).order_by(*order))
    names = tuple(found.keys())
    return [dict(zip(names, row, strict=True)) for row in found]


def counted(connection: Connection, span: Span) -> dict[datetime, int]:
    """How many executions ended in each bucket that has any."""
    found = connection.execute(_COUNTED, _parameters(span) | {"open": list(OPEN)})
    return {row.bucket: row.executions for row in found}


def without_rows(connection: Connection, metric: Metric, span: Span) -> list[datetime]:
    """The buckets of the span without any row. Each is looked up: rows are many more than buckets."""
    table = metric_tables[metric.table.name]
    statement = (
        f"SELECT series.bucket FROM generate_series({SINCE}, {UNTIL} - {STEP}, {STEP}) AS series (bucket)"  # noqa: S608
        " LEFT JOIN LATERAL ("
        f"SELECT true AS is_there FROM {table.fullname} AS kept"
        " WHERE kept.grain = :grain AND kept.bucket = series.bucket LIMIT 1"
        ") AS found ON true WHERE is_there IS NULL ORDER BY series.bucket"
    )
    return list(connection.scalars(text(statement), _parameters(span)))


def first_bucket(connection: Connection, metric: Metric, grain: Grain) -> datetime | None:
    """The oldest bucket that has rows."""
    rows = metric_tables[metric.table.name].c
    oldest: datetime | None = connection.scalar(
        select(func.min(rows.bucket)).where(rows.grain == grain.value)
    )
    return oldest


def first_fact(connection: Connection) -> datetime | None:
    """When the oldest execution was made."""
    oldest: datetime | None = connection.scalar(select(func.min(trigger_executions.c.created_at)))
    return oldest


def _parameters(span: Span) -> dict[str, Any]:
    length = {"step": span.grain.length, "grain": span.grain.value}
    return {"since": span.since, "until": span.until} | length


def _within(table: Any, span: Span) -> tuple[Any, ...]:
    return table.c.grain == span.grain.value, table.c.bucket >= span.since, table.c.bucket < span.until
