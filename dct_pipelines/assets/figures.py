"""The few numbers of a bucket that stand for all its rows: what the UI draws over time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from statistics import fmean
from typing import Any

from dct_pipelines.domain.metrics import ColumnType, MetricColumn, MetricTable

Row = Mapping[str, Any]
Figures = dict[str, float]
PERCENT = "%"
BY_RESOURCE = ("resource",)
"""Keys of tables whose rows are told apart by what they are of: agents are not added to workspaces."""


def figures_by_bucket(table: MetricTable, rows: Iterable[Row]) -> dict[datetime, Figures]:
    """The key figures of each bucket that has rows."""
    found: dict[datetime, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["bucket"]].append(row)
    return {bucket: figures(table, some) for bucket, some in found.items()}


def figures(table: MetricTable, rows: Iterable[Row]) -> Figures:
    """One number for each plotted column that has values, named for what was made of them.

    Of a table with rows that stand for a whole bucket only those count.
    """
    rows = table.of_whole(rows)
    columns = [column for name in table.plotted for column in table.columns if column.name == name]
    if table.keys == BY_RESOURCE:
        known = {(column.name, row["resource"]): row[column.name] for column in columns for row in rows}
        return {f"{of} {name}": _round(value) for (name, of), value in known.items() if value is not None}
    named = {}
    for column in columns:
        values = [row[column.name] for row in rows if row[column.name] is not None]
        if values:
            how, value = _together(column, values)
            named[column.name if table.whole or not how else f"{how} {column.name}"] = _round(value)
    return named


def _together(column: MetricColumn, values: list[float]) -> tuple[str, float]:
    """Whole numbers add up; percentages and durations do not."""
    if column.type is ColumnType.INTEGER:
        return "", sum(values)
    return ("mean of", fmean(values)) if column.unit == PERCENT else ("highest", max(values))


def _round(value: float) -> float:
    return value if isinstance(value, int) else round(value, 3)
