"""Partitions of the metric assets: an hour or a day of UTC, once it is over."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import dagster as dg

from dct_pipelines.domain.metrics import Grain, Span

LATE = {Grain.HOUR: 2, Grain.DAY: 1}
"""So many buckets before the last one are computed again: facts come late, and executions end later still."""

SLICE = {Grain.HOUR: timedelta(days=1), Grain.DAY: timedelta(days=31)}
"""What is in memory together."""


def partitions_of(grain: Grain, since: date) -> dg.TimeWindowPartitionsDefinition:
    """The partitions of a grain from that day on."""
    begin = datetime(since.year, since.month, since.day, tzinfo=UTC)
    if grain is Grain.HOUR:
        return dg.HourlyPartitionsDefinition(start_date=begin, timezone="UTC")
    return dg.DailyPartitionsDefinition(start_date=begin, timezone="UTC")


def key_of(grain: Grain, bucket: datetime) -> str:
    """The partition of a bucket."""
    return bucket.strftime("%Y-%m-%d-%H:%M" if grain is Grain.HOUR else "%Y-%m-%d")


def span_of(grain: Grain, window: dg.TimeWindow) -> Span:
    """The span of the partitions that a run is for, however many."""
    return Span(grain, window.start.astimezone(UTC), window.end.astimezone(UTC))


def slices(span: Span) -> list[Span]:
    """The span in parts of whole days, so that the rows of a year need not be in memory at once."""
    parts, since = [], span.since
    while since < span.until:
        until = min(Grain.DAY.begin(since) + SLICE[span.grain], span.until)
        parts.append(Span(span.grain, since, until))
        since = until
    return parts


def facts_since(deleted_before: datetime | None, kept_days: int, grain: Grain, at: datetime) -> datetime:
    """The first bucket of which no fact can have been deleted for its age.

    The setting says what may go by now, `deleted_before` what went while it may have been another.
    """
    since = at - timedelta(days=kept_days)
    return grain.begin(max(since, deleted_before or since)) + grain.length
