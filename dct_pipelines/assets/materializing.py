"""One materialization: compute a span of a table, write its files, look at what came out.

Knows the port and the files, and of Dagster only the words of metadata and checks; `build` hands it over.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg

from dct_pipelines.assets.checks import Findings, Slice
from dct_pipelines.assets.figures import Figures, figures_by_bucket
from dct_pipelines.assets.missing import Stock
from dct_pipelines.assets.partitions import key_of, slices
from dct_pipelines.assets.shown import plot, preview
from dct_pipelines.clients.parquet import MetricFiles, buckets
from dct_pipelines.domain.metrics import Grain, MetricsPort, MetricTable, Span

PLOTTED = {Grain.HOUR: 72, Grain.DAY: 60}
"""Buckets in a plot."""
ROW_COUNT = "dagster/partition_row_count"
SHOWN = 72
"""Of a longer backfill only the newest partitions get figures of their own: Dagster keeps them all."""


@dataclass(frozen=True)
class Made:
    """What a materialization gave: metadata of all its partitions, and of single ones by their key."""

    metadata: Mapping[str, Any]
    by_partition: Mapping[str, Mapping[str, Any]]
    checks: list[dg.AssetCheckResult]


def materialize(
    metrics: MetricsPort, home: Path, table: MetricTable, span: Span, facts_since: datetime
) -> Made:
    """Refresh the span once, and bring rows, files, figures and checks in line with it.

    What lies before `facts_since` stays as it was computed: facts that are gone cannot be counted again.
    """
    begun = time.monotonic()
    old, fresh = _split(span, facts_since)
    files = MetricFiles(home, table, span.grain)
    # First: rows that are there stand for the files as well, when alerts ask how far metrics have come.
    files.try_room()
    refreshed = metrics.refresh(table.name, fresh) if fresh is not None else None
    findings = Findings(table)
    row_counts: Counter[datetime] = Counter()
    known: dict[datetime, Figures] = {}
    rows: list[dict[str, Any]] = []
    size = 0
    for whole, is_fresh in ((old, False), (fresh, True)):
        for part in slices(whole) if whole is not None else ():
            around = metrics.rows(table.name, files.whole(part))
            size += files.write(part, around)
            rows = [row for row in around if part.since <= row["bucket"] < part.until]
            counted = metrics.counted(part) if table.counts and is_fresh else None
            findings.look(Slice(table, part, rows, counted))
            row_counts.update(row["bucket"] for row in rows)
            known |= figures_by_bucket(table, rows)
    missing = Stock(metrics, home, span.grain, facts_since).gaps(table, span)
    findings.look(Slice(table, span, (), missing=missing))
    shown = list(buckets(span))[-SHOWN:]
    by_partition: dict[str, dict[str, Any]] = {
        key_of(span.grain, bucket): {ROW_COUNT: row_counts[bucket]} | known.get(bucket, {})
        for bucket in shown
    }
    newest = [row for row in rows if row["bucket"] == shown[-1]]
    by_partition[key_of(span.grain, shown[-1])] |= _pictures(metrics, table, span, known, newest) | {
        "partitions": len(list(buckets(span))),
        "rows of all": row_counts.total(),
        "bytes of all": size,
        "seconds of the database": round(refreshed.seconds, 3) if refreshed is not None else 0.0,
        "seconds in all": round(time.monotonic() - begun, 3),
    }
    metadata = {"path": dg.MetadataValue.path(files.directory)}
    return Made(metadata, by_partition, findings.results())


def _split(span: Span, at: datetime) -> tuple[Span | None, Span | None]:
    """The parts of a span before and from that bucket on."""
    if at <= span.since:
        return None, span
    if at >= span.until:
        return span, None
    return Span(span.grain, span.since, at), Span(span.grain, at, span.until)


def _pictures(
    metrics: MetricsPort,
    table: MetricTable,
    span: Span,
    known: Mapping[datetime, Figures],
    newest: list[dict[str, Any]],
) -> dict[str, Any]:
    """The preview of the newest partition and the lines up to it, for which the span may be too short."""
    since = span.until - PLOTTED[span.grain] * span.grain.length
    drawn = {bucket: figures for bucket, figures in known.items() if bucket >= since}
    if since < span.since and table.plotted:
        for part in slices(Span(span.grain, since, span.since)):
            drawn |= figures_by_bucket(table, metrics.rows(table.name, part))
    shown: dict[str, Any] = {"preview": dg.MetadataValue.md(preview(table, newest))} if newest else {}
    if picture := plot(table.name, span.grain, drawn):
        shown["over time"] = dg.MetadataValue.md(picture)
    return shown
