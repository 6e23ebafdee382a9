"""What is measured: the tables of schema `metrics`, their columns and units, and what one is asked for.

A table holds one row for each bucket of time and each combination of its keys. Buckets begin at whole hours,
or at midnight, of UTC; the row of an hour and that of a day are both computed from the facts, never from each
other, because percentiles do not add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

SCHEMA = "metrics"
"""Of the tables in the database, and the first part of the keys of their assets."""


class Grain(StrEnum):
    """How long a bucket lasts."""

    HOUR = "hour"
    DAY = "day"

    @property
    def length(self) -> timedelta:
        """The span of one bucket; of UTC, so that every day has 24 hours."""
        return timedelta(hours=1) if self is Grain.HOUR else timedelta(days=1)

    def begin(self, at: datetime) -> datetime:
        """The begin of the bucket that holds this moment."""
        whole = at.replace(minute=0, second=0, microsecond=0)
        return whole if self is Grain.HOUR else whole.replace(hour=0)


class ColumnType(StrEnum):
    """Types of columns, as a reader of any tool understands them."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    INSTANT = "instant"


@dataclass(frozen=True)
class MetricColumn:
    """One column. `unit` is that of its numbers, e.g. `s`, `%`, `executions`; empty for keys and texts."""

    name: str
    type: ColumnType
    description: str
    unit: str = ""
    is_key: bool = False
    is_nullable: bool = False


@dataclass(frozen=True)
class MetricTable:
    """A table of schema `metrics`: beside its own columns each has `grain`, `bucket` and `computed_at`."""

    name: str
    description: str
    columns: tuple[MetricColumn, ...]
    plotted: tuple[str, ...] = ()
    """Columns that are worth a line over time, the most telling first."""
    grains: tuple[Grain, ...] = (Grain.HOUR, Grain.DAY)
    counts: str = ""
    """The column that, added up over a bucket's `of_whole` rows, is what `MetricsPort.counted` says of it."""
    sources: tuple[str, ...] = ()
    """The tables of this schema that it is computed from, at the same grain."""
    whole: tuple[tuple[str, str], ...] = ()
    """Keys and their values in the rows that stand for a whole bucket; none: all its rows together do."""
    in_every_bucket: bool = False
    """Whether each bucket has rows, whatever happened in it: one without any was never computed."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that tell the rows of one bucket apart."""
        return tuple(column.name for column in self.columns if column.is_key)

    def of_whole(self, rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The rows that may be added up: each fact is in one of them, where others show it once more."""
        return [row for row in rows if all(row[key] == value for key, value in self.whole)]


@dataclass(frozen=True)
class Span:
    """A half-open range of time of whole buckets of a grain, in UTC."""

    grain: Grain
    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        for at in (self.since, self.until):
            if at.utcoffset() != timedelta(0) or self.grain.begin(at) != at:
                raise ValueError(f"{at} is not the begin of a {self.grain} of UTC")
        if self.since >= self.until:
            raise ValueError(f"{self.since} is not before {self.until}")


@dataclass(frozen=True)
class Refreshed:
    """What a refresh wrote."""

    table: str
    span: Span
    rows: int
    seconds: float


class MetricsPort(Protocol):
    """Computes metric tables and reads them back."""

    @property
    def tables(self) -> Mapping[str, MetricTable]:
        """Every table by its name, each after those that it is computed from."""

    def refresh(self, table: str, span: Span) -> Refreshed:
        """Compute the rows of these buckets anew, in one transaction: as often as wanted, with one result."""

    def rows(self, table: str, span: Span) -> list[dict[str, Any]]:
        """The rows of these buckets, by bucket and keys; every column, `bucket` aware and of UTC."""

    def counted(self, span: Span) -> Mapping[datetime, int]:
        """How many executions ended in each bucket, counted from their rows, by nothing that `refresh` uses.

        Buckets without any are left out.
        """

    def without_rows(self, table: str, span: Span) -> list[datetime]:
        """The buckets of the span of which the table has no row, the oldest first.

        They were not computed, if the table is one that has rows `in_every_bucket`.
        """

    def first_bucket(self, grain: Grain) -> datetime | None:
        """The oldest bucket of which any table that has rows `in_every_bucket` has some."""

    def first_fact(self) -> datetime | None:
        """When the oldest execution that is still there was made: what came before has no metrics."""

    def deleted_before(self) -> datetime | None:
        """The latest moment before which facts were ever deleted for their age; None: none were."""
