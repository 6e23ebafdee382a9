"""Metrics of facts in memory: three tables, one of them computed from another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dct_pipelines.clients.parquet import buckets
from dct_pipelines.domain.errors import InvalidInput
from dct_pipelines.domain.metrics import (
    ColumnType,
    Grain,
    MetricColumn,
    MetricTable,
    Refreshed,
    Span,
)

TRIGGER = MetricColumn("trigger", ColumnType.TEXT, "The trigger's name", is_key=True)
TABLES = {
    table.name: table
    for table in (
        MetricTable(
            "execution_metrics",
            "Executions that ended, by trigger",
            (
                TRIGGER,
                MetricColumn("executions", ColumnType.INTEGER, "That ended", unit="executions"),
                MetricColumn("success_percent", ColumnType.NUMBER, "Of them completed", unit="%"),
                MetricColumn("longest_seconds", ColumnType.NUMBER, "The longest", unit="s", is_nullable=True),
                MetricColumn("last_ended_at", ColumnType.INSTANT, "When the last ended", is_nullable=True),
            ),
            plotted=("executions", "success_percent", "longest_seconds"),
            counts="executions",
        ),
        MetricTable(
            "resource_utilization",
            "What was in use of each quota",
            (
                MetricColumn("resource", ColumnType.TEXT, "What the quota is of", is_key=True),
                MetricColumn("used_percent", ColumnType.NUMBER, "In use", unit="%"),
            ),
            plotted=("used_percent",),
            in_every_bucket=True,
        ),
        MetricTable(
            "slow_triggers",
            "The slowest triggers of a day",
            (TRIGGER, MetricColumn("longest_seconds", ColumnType.NUMBER, "The longest", unit="s")),
            grains=(Grain.DAY,),
            sources=("execution_metrics",),
        ),
    )
}


@dataclass(frozen=True)
class Fact:
    """An execution that ended; one that is still at work took no time yet."""

    trigger: str
    ended_at: datetime
    seconds: float | None = 1.0
    completed: bool = True


class FakeMetrics:
    """Computes from `facts`, wrongly if it `double_counts`, and not what is `broken`.

    `refreshes` are the spans that were asked for.
    """

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.used_percent = 50.0
        self.double_counts = False
        self.broken: set[str] = set()
        self.deleted: datetime | None = None
        self.refreshes: list[tuple[str, Span]] = []
        self._rows: dict[tuple[str, Grain], dict[datetime, list[dict[str, Any]]]] = {}

    @property
    def tables(self) -> Mapping[str, MetricTable]:
        return TABLES

    def refresh(self, table: str, span: Span) -> Refreshed:
        self._known(table)
        if table in self.broken:
            raise InvalidInput(f"{table} cannot be computed; mend it")
        self.refreshes.append((table, span))
        kept = self._rows.setdefault((table, span.grain), {})
        for bucket in [bucket for bucket in kept if span.since <= bucket < span.until]:
            del kept[bucket]
        written = 0
        found = self._by_bucket(span)
        if TABLES[table].in_every_bucket:
            found = {bucket: found.get(bucket, []) for bucket in buckets(span)}
        for bucket, facts in found.items():
            kept[bucket] = [
                {"grain": span.grain.value, "bucket": bucket, "computed_at": datetime.now(UTC)} | row
                for row in self._compute(table, span.grain, bucket, facts)
            ]
            written += len(kept[bucket])
        return Refreshed(table, span, written, 0.001)

    def rows(self, table: str, span: Span) -> list[dict[str, Any]]:
        self._known(table)
        kept = self._rows.get((table, span.grain), {})
        return [dict(row) for at in sorted(kept) if span.since <= at < span.until for row in kept[at]]

    def counted(self, span: Span) -> Mapping[datetime, int]:
        counts = Counter(span.grain.begin(fact.ended_at) for fact in self.facts)
        return {at: count for at, count in counts.items() if span.since <= at < span.until}

    def without_rows(self, table: str, span: Span) -> list[datetime]:
        self._known(table)
        kept = self._rows.get((table, span.grain), {})
        return [bucket for bucket in buckets(span) if not kept.get(bucket)]

    def first_bucket(self, grain: Grain) -> datetime | None:
        of_all = [
            at
            for (name, own), kept in self._rows.items()
            if own is grain and TABLES[name].in_every_bucket
            for at in kept
            if kept[at]
        ]
        return min(of_all, default=None)

    def lose(self, span: Span) -> None:
        """All rows of these buckets, as a restore to an earlier time does."""
        for (_, grain), kept in self._rows.items():
            for bucket in [bucket for bucket in kept if span.since <= bucket < span.until]:
                if grain is span.grain:
                    del kept[bucket]

    def deleted_before(self) -> datetime | None:
        return self.deleted

    def first_fact(self) -> datetime | None:
        return min((fact.ended_at for fact in self.facts), default=None)

    def _by_bucket(self, span: Span) -> dict[datetime, list[Fact]]:
        found: dict[datetime, list[Fact]] = {}
        for fact in self.facts:
            if span.since <= fact.ended_at < span.until:
                found.setdefault(span.grain.begin(fact.ended_at), []).append(fact)
        return found

    def _compute(self, table: str, grain: Grain, bucket: datetime, facts: list[Fact]) -> list[dict[str, Any]]:
        if table == "resource_utilization":
            return [{"resource": "executions", "used_percent": self.used_percent}]
        if table == "slow_triggers":
            source = self._rows.get(("execution_metrics", grain), {}).get(bucket, [])
            return [{name: row[name] for name in ("trigger", "longest_seconds")} for row in source]
        rows = []
        for trigger in sorted({fact.trigger for fact in facts}):
            own = [fact for fact in facts if fact.trigger == trigger]
            took = [fact.seconds for fact in own if fact.seconds is not None]
            rows.append(
                {
                    "trigger": trigger,
                    "executions": len(own) * (2 if self.double_counts else 1),
                    "success_percent": 100 * sum(fact.completed for fact in own) / len(own),
                    "longest_seconds": max(took, default=None),
                    "last_ended_at": max(fact.ended_at for fact in own),
                }
            )
        return rows

    def _known(self, table: str) -> None:
        if table not in TABLES:
            raise InvalidInput(f"{table} is no metric table; there are {', '.join(TABLES)}")
