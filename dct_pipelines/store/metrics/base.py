"""What the statements of all metric tables share: parameters, buckets, durations, and words for columns."""

from __future__ import annotations

from dataclasses import dataclass

from dct_pipelines.domain.execution import OPEN
from dct_pipelines.domain.metrics import ColumnType, MetricColumn, MetricTable
from dct_pipelines.store.executions.rows import BY_HAND

ALL = "all"
NONE = "(none)"
"""Stands for no provider, no reason, no action."""

SINCE = "CAST(:since AS timestamptz)"
UNTIL = "CAST(:until AS timestamptz)"
STEP = "CAST(:step AS interval)"
BUCKETS = f"""
buckets AS (
    SELECT bucket FROM generate_series({SINCE}, {UNTIL} - {STEP}, {STEP}) AS bucket
    WHERE bucket <= clock_timestamp()
)
"""  # noqa: S608 - of constants
"""The buckets of the span that have begun: zeros say that nothing happened, no row that nobody looked."""
TRIGGER = f"COALESCE(trigger.name, '{BY_HAND}')"
TRIGGER_TYPE = f"COALESCE(trigger.trigger_type, '{BY_HAND}')"
ENDED = f"""
e.completed_at >= {SINCE} AND e.completed_at < {UNTIL} AND e.status IN ('completed', 'failed', 'cancelled')
"""
"""Executions that ended in the span, each where it ended last: one that was tried again counts once."""
_OPEN = ", ".join(f"'{state}'" for state in OPEN)
_LONG = "'01:00:00'::interval"
"""As in the index of what took longer."""
TOUCHED = f"""
e.created_at < {UNTIL}
AND (
    e.status IN ({_OPEN}) OR e.created_at >= {SINCE}
    OR e.completed_at >= {SINCE}
    AND (e.completed_at < {UNTIL} + {_LONG} OR e.completed_at - e.created_at > {_LONG})
)
"""
"""Executions that may have waited or worked within the span. Each way to be one has its index: the few that
took long are looked for by themselves, so that an hour long ago costs no more than the last one."""


@dataclass(frozen=True)
class Metric:
    """A table and the statement that selects its columns, beside `bucket`, for a span.

    Parameters: `since`, `until`, `step` (the length of a bucket), `ageing_step` (seconds), and the quotas
    `executions`, `agents`, `workspaces`, NULL where none counts.
    """

    table: MetricTable
    statement: str


def bucket_of(at: str) -> str:
    """The bucket of a moment within the span."""
    return f"date_bin({STEP}, {at}, {SINCE})"


def number_of(at: str) -> str:
    """Which bucket of the span that is, counted from 0."""
    return f"CAST(floor(date_part('epoch', {at} - {SINCE}) / date_part('epoch', {STEP})) AS bigint)"


def seconds(since: str, until: str) -> str:
    """From one moment to another; negative where clocks disagree, NULL where one is not known."""
    return f"date_part('epoch', {until} - {since})"


def clamped(duration: str) -> str:
    """No less than no time. GREATEST would make 0 of NULL."""
    return f"CASE WHEN {duration} < 0 THEN 0 ELSE {duration} END"


def percentiles(duration: str, *shares: float) -> str:
    """The array of these percentiles, interpolated, of durations that are known."""
    listed = ", ".join(map(str, shares))
    return f"percentile_cont(ARRAY[{listed}]) WITHIN GROUP (ORDER BY {clamped(duration)})"


def key(name: str, description: str) -> MetricColumn:
    """A column that tells rows of a bucket apart."""
    return MetricColumn(name, ColumnType.TEXT, description, is_key=True)


def word(name: str, description: str, *, nullable: bool = False) -> MetricColumn:
    """A text."""
    return MetricColumn(name, ColumnType.TEXT, description, is_nullable=nullable)


def count(name: str, description: str, unit: str, *, nullable: bool = False) -> MetricColumn:
    """A whole number."""
    return MetricColumn(name, ColumnType.INTEGER, description, unit, is_nullable=nullable)


def number(name: str, description: str, unit: str) -> MetricColumn:
    """A number that is NULL where there is nothing to compute it from."""
    return MetricColumn(name, ColumnType.NUMBER, description, unit, is_nullable=True)


def instant(name: str, description: str) -> MetricColumn:
    """A moment, or NULL."""
    return MetricColumn(name, ColumnType.INSTANT, description, is_nullable=True)
