"""The jobs that materialize the metrics, and when: each hour and each day, a few minutes after it is over.

A tick asks for the last buckets, for the late facts, and for what is missing before them: whatever stood
still in between is made up for by the next tick, as one range; what some tables lack, for those alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg

from dct_pipelines.assets.build import GROUPS, RESOURCE, asset_key
from dct_pipelines.assets.missing import Stock
from dct_pipelines.assets.partitions import LATE, facts_since, key_of
from dct_pipelines.bootstrap import App
from dct_pipelines.domain import run_tags
from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.domain.metrics import Grain, MetricTable, Span

CRON = {Grain.HOUR: "4 * * * *", Grain.DAY: "14 0 * * *"}
"""After the hour's own end, so that what ended with it is stored; the day waits for its last hour."""
LONGEST_SECONDS = 3600
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
AT_ONCE = 2400
"""Partitions that one run makes up for at most, a hundred days of hours; later ticks ask for the rest."""
Answer = list[dg.RunRequest | dg.SkipReason]


def metric_jobs(tables: Mapping[str, MetricTable]) -> list[Any]:
    """A job for each grain of these tables: its assets, in one process, one after the other."""
    return [
        dg.define_asset_job(
            name=group,
            selection=dg.AssetSelection.groups(group),
            description=f"Computes the metrics by {grain.value}; the partitions of a run are one refresh.",
            tags={
                run_tags.METRICS: "true",
                "dagster/max_runtime": str(LONGEST_SECONDS),
                "dagster/max_retries": "0",
            },
            executor_def=dg.in_process_executor,
        )
        for grain, group in GROUPS.items()
        if grain in _grains(tables)
    ]


def metric_schedules(
    tables: Mapping[str, MetricTable], since: date, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> list[dg.ScheduleDefinition]:
    """The schedules of these jobs, running unless an operator stops them."""
    # Dagster asks itself for this property whenever it describes a schedule; nobody can do anything about it.
    warnings.filterwarnings("ignore", "Property `ScheduleDefinition.environment_vars`", DeprecationWarning)
    return [_schedule(grain, tables, since, now) for grain in GROUPS if grain in _grains(tables)]


def _schedule(
    grain: Grain, tables: Mapping[str, MetricTable], since: date, now: Callable[[], datetime]
) -> dg.ScheduleDefinition:
    earliest = datetime(since.year, since.month, since.day, tzinfo=UTC)

    def ask(context):  # type: ignore[no-untyped-def]
        at = context.scheduled_execution_time.astimezone(UTC)
        if now() - at > grain.length:
            yield dg.SkipReason("a later tick asks for this, too")
            return
        try:
            app: App = getattr(context.resources, RESOURCE).app
            yield from requests(app, grain, tables, earliest, at)
        except DatabaseUnavailable as error:
            yield dg.SkipReason(f"waiting for the database: {error}")

    ask.__annotations__ = {"context": dg.ScheduleEvaluationContext}
    return dg.ScheduleDefinition(
        name=GROUPS[grain],
        description=f"Computes the last {grain.value}, late facts of those before, and what is missing.",
        job_name=GROUPS[grain],
        cron_schedule=CRON[grain],
        execution_timezone="UTC",
        execution_fn=ask,
        required_resource_keys={RESOURCE},
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )


def requests(
    app: App, grain: Grain, tables: Mapping[str, MetricTable], earliest: datetime, at: datetime
) -> Answer:
    """The runs that are due at that moment, each for one range of partitions.

    The first is for all tables. What only some of them lack is asked for those alone: a table that fails for
    a month must not make the others compute that month each hour.
    """
    until = grain.begin(at)
    facts = facts_since(app.metrics.deleted_before(), app.settings.metrics_retention_days, grain, at)
    begin = max(until - (1 + LATE[grain]) * grain.length, earliest, facts)
    if begin >= until:
        return [
            dg.SkipReason(f"metrics begin on {earliest:%Y-%m-%d}, and no {grain.value} since then is over")
        ]
    own = [table for table in tables.values() if grain in table.grains]
    stock = Stock(app.metrics, app.settings.home, grain, facts)
    regular, others = Span(grain, begin, until), []
    first = stock.first()
    if first is not None and (since := max(first, earliest)) < begin:
        for span, lacking in _lacking(stock, own, Span(grain, since, begin)).items():
            if len(lacking) == len(own) and _length(whole := Span(grain, span.since, until)) <= AT_ONCE:
                regular = whole
            else:
                others.append((span, [asset_key(table.name, grain) for table in lacking]))
    key = f"{grain.value} {key_of(grain, until - grain.length)}"
    return [
        dg.RunRequest(run_key=key, tags=_range(regular)),
        *(
            dg.RunRequest(run_key=f"{key} missing {number}", tags=_range(span), asset_selection=assets)
            for number, (span, assets) in enumerate(others)
        ),
    ]


def _lacking(stock: Stock, tables: Sequence[MetricTable], span: Span) -> dict[Span, list[MetricTable]]:
    """What is missing of that span, and the tables that lack it; with the buckets before it whose late facts
    nobody has looked for. Of more than can be made at once it is the newest."""
    grain, found = span.grain, dict[Span, list[MetricTable]]()
    for table in tables:
        if missing := stock.missing(table, span):
            oldest, newest = missing[0], missing[-1]
            if oldest >= stock.facts_since:
                oldest = max(oldest - LATE[grain] * grain.length, stock.facts_since)
            oldest = max(oldest, span.since, newest - (AT_ONCE - 1) * grain.length)
            found.setdefault(Span(grain, oldest, newest + grain.length), []).append(table)
    return found


def _length(span: Span) -> int:
    return (span.until - span.since) // span.grain.length


def _range(span: Span) -> dict[str, str]:
    keys = key_of(span.grain, span.since), key_of(span.grain, span.until - span.grain.length)
    return dict(zip(RANGE, keys, strict=True))


def _grains(tables: Mapping[str, MetricTable]) -> set[Grain]:
    return {grain for table in tables.values() for grain in table.grains}
