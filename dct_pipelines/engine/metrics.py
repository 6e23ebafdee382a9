"""Metrics: computes the tables of schema `metrics` from the facts, and reads them back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dct_pipelines.domain.errors import InvalidInput
from dct_pipelines.domain.metrics import Grain, MetricTable, Refreshed, Span
from dct_pipelines.domain.quotas import Quotas
from dct_pipelines.registry import nearest
from dct_pipelines.store import quotas, upkeep
from dct_pipelines.store.database import Connection, Database
from dct_pipelines.store.metrics import refreshing
from dct_pipelines.store.metrics.base import Metric
from dct_pipelines.store.metrics.catalog import METRICS


def metric_tables() -> dict[str, MetricTable]:
    """What there is to compute, without a database: each table after those that it is computed from."""
    return {name: metric.table for name, metric in METRICS.items()}


@dataclass(frozen=True)
class MetricsService:
    """`MetricsPort` over the database. `quotas` and `ageing_step_seconds` are those of the settings."""

    database: Database
    quotas: Quotas
    ageing_step_seconds: float

    @property
    def tables(self) -> Mapping[str, MetricTable]:
        """Every table by its name, each after those that it is computed from."""
        return metric_tables()

    def refresh(self, table: str, span: Span) -> Refreshed:
        """Compute the rows of these buckets anew; readers see the old ones until all are there."""
        metric = _metric(table)
        if span.grain not in metric.table.grains:
            raise InvalidInput(
                f"{table} is computed by {' or '.join(metric.table.grains)}, not by {span.grain}"
            )
        begun = time.monotonic()
        with self.database.begin() as connection:
            written = refreshing.refresh(connection, metric, span, self._values(connection))
        return Refreshed(table, span, written, time.monotonic() - begun)

    def rows(self, table: str, span: Span) -> list[dict[str, Any]]:
        """The rows of these buckets, by bucket and keys."""
        with self.database.connect() as connection:
            return refreshing.rows(connection, _metric(table), span)

    def counted(self, span: Span) -> Mapping[datetime, int]:
        """How many executions ended in each bucket that has any."""
        with self.database.connect() as connection:
            return refreshing.counted(connection, span)

    def without_rows(self, table: str, span: Span) -> list[datetime]:
        """The buckets of the span of which the table has no row, the oldest first."""
        with self.database.connect() as connection:
            return refreshing.without_rows(connection, _metric(table), span)

    def first_bucket(self, grain: Grain) -> datetime | None:
        """The oldest bucket of which any table that has rows in every bucket has some."""
        with self.database.connect() as connection:
            found = [
                refreshing.first_bucket(connection, metric, grain)
                for metric in METRICS.values()
                if metric.table.in_every_bucket and grain in metric.table.grains
            ]
        return min((bucket for bucket in found if bucket is not None), default=None)

    def first_fact(self) -> datetime | None:
        """When the oldest execution that is still there was made."""
        with self.database.connect() as connection:
            return refreshing.first_fact(connection)

    def deleted_before(self) -> datetime | None:
        """The latest moment before which facts were ever deleted for their age; None: none were."""
        with self.database.connect() as connection:
            return upkeep.last_cutoff(connection)

    def _values(self, connection: Connection) -> dict[str, Any]:
        """What the statements ask for beside the span. No quota counts while quotas are off."""
        found = quotas.in_force(connection, self.quotas)
        limits = (found.executions, found.agents, found.workspaces) if found.enabled else (None, None, None)
        named = dict(zip(("executions", "agents", "workspaces"), limits, strict=True))
        return {"ageing_step": self.ageing_step_seconds} | named


def _metric(table: str) -> Metric:
    if (metric := METRICS.get(table)) is None:
        raise InvalidInput(f"there is no metric table {table!r}; {nearest(table, frozenset(METRICS))}")
    return metric
