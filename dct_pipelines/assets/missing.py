"""Which buckets of a table have to be made: to compute, or to write out once more.

A bucket is there when its file says so and the table has its rows. Either may be lost: files by a power cut,
a disk that was full, or a restore into another home; rows by a restore to the time before they were computed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from pathlib import Path

from dct_pipelines.clients.parquet import MetricFiles, buckets
from dct_pipelines.domain.metrics import Grain, MetricsPort, MetricTable, Span


@dataclass(frozen=True)
class Stock:
    """What there is of one grain. Before `facts_since` nothing can be computed: facts are deleted by age."""

    metrics: MetricsPort
    home: Path
    grain: Grain
    facts_since: datetime
    _without: dict[tuple[str, Span], set[datetime]] = field(default_factory=dict)

    def first(self) -> datetime | None:
        """The oldest bucket that anybody knows of: by a fact, a row or a file."""
        known = [self.metrics.first_bucket(self.grain)]
        if (fact := self.metrics.first_fact()) is not None:
            known.append(self.grain.begin(fact))
        for table in self._tables():
            extent = MetricFiles(self.home, table, self.grain).extent()
            known.append(extent.since if extent is not None else None)
        return min((bucket for bucket in known if bucket is not None), default=None)

    def missing(self, table: MetricTable, span: Span) -> list[datetime]:
        """The buckets of the span that this table lacks, the oldest first.

        Old ones lack their file only, and only if they have rows: what was never computed stays so.
        """
        unfiled = MetricFiles(self.home, table, self.grain).missing(span)
        old = [bucket for bucket in unfiled if bucket < self.facts_since]
        if old:
            lost = self._without_rows(table, Span(self.grain, old[0], old[-1] + self.grain.length))
            old = [bucket for bucket in old if bucket not in lost]
        if span.until <= self.facts_since:
            return old
        fresh = Span(self.grain, max(span.since, self.facts_since), span.until)
        lacking = self._without_rows(table, fresh).union(unfiled)
        return old + [bucket for bucket in buckets(fresh) if bucket in lacking]

    def gaps(self, table: MetricTable, made: Span) -> list[datetime]:
        """What is missing between the oldest and the newest bucket that have a file.

        A table that is empty in quiet times lacks nothing of what it was `made` for just now, whatever others
        lack yet.
        """
        extent = MetricFiles(self.home, table, self.grain).extent()
        missing = self.missing(table, extent) if extent is not None else []
        if table.in_every_bucket:
            return missing
        return [bucket for bucket in missing if not made.since <= bucket < made.until]

    def _without_rows(self, table: MetricTable, span: Span) -> set[datetime]:
        """The buckets that were not computed, by rows. Of a table that is empty when nothing happened, others
        tell: those in which no table has rows."""
        if table.in_every_bucket:
            return self._empty(table.name, span)
        steady = [self._empty(one.name, span) for one in self._tables() if one.in_every_bucket]
        return reduce(set.intersection, steady) if steady else set()

    def _empty(self, name: str, span: Span) -> set[datetime]:
        if (name, span) not in self._without:
            self._without[name, span] = set(self.metrics.without_rows(name, span))
        return self._without[name, span]

    def _tables(self) -> Collection[MetricTable]:
        return [table for table in self.metrics.tables.values() if self.grain in table.grains]
