"""The tables of schema `metrics`, made of what each metric says of its columns."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Double, MetaData, PrimaryKeyConstraint, Table, Text

from dct_pipelines.domain.metrics import SCHEMA, ColumnType, Grain, MetricColumn, MetricTable
from dct_pipelines.store.metrics.catalog import METRICS
from dct_pipelines.store.tables.base import instant, metadata, one_of

metric_metadata = MetaData(schema=SCHEMA, naming_convention=metadata.naming_convention)
_TYPES: dict[ColumnType, Any] = {
    ColumnType.TEXT: Text(),
    ColumnType.INTEGER: BigInteger(),
    ColumnType.NUMBER: Double(),
    ColumnType.INSTANT: DateTime(timezone=True),
}


def _column(column: MetricColumn) -> Column[Any]:
    unit = f" ({column.unit})" if column.unit else ""
    return Column(
        column.name,
        _TYPES[column.type],
        nullable=column.is_nullable,
        comment=f"{column.description}{unit}",
    )


def _table(table: MetricTable) -> Table:
    return Table(
        table.name,
        metric_metadata,
        Column("grain", Text, nullable=False, comment="how long the bucket is: hour or day"),
        Column("bucket", DateTime(timezone=True), nullable=False, comment="when the bucket begins, of UTC"),
        *map(_column, table.columns),
        instant("computed_at", now=True),
        PrimaryKeyConstraint("grain", "bucket", *table.keys),
        one_of("grain", Grain),
        comment=table.description,
    )


metric_tables = {name: _table(metric.table) for name, metric in METRICS.items()}
"""By name, as in `METRICS`."""
