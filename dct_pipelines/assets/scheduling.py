"""The jobs that materialize the metrics, and when: each hour and each day, a few minutes after it is over.

A tick asks for the last buckets, for the late facts, and for what is missing before them: whatever stood
still in between is made up for by the next tick, as one range.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg

from dct_pipelines.assets.build import GROUPS, RESOURCE
from dct_pipelines.assets.partitions import LATE, facts_since, key_of
from dct_pipelines.bootstrap import App
from dct_pipelines.clients.parquet import MetricFiles
from dct_pipelines.domain import run_tags
from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.domain.metrics import Grain, MetricTable, Span

CRON = {Grain.HOUR: "4 * * * *", Grain.DAY: "14 0 * * *"}
"""After the hour's own end, so that what ended with it is stored; the day waits for its last hour."""
LONGEST_SECONDS = 3600
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
Answer = dg.RunRequest | dg.SkipReason


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
            return dg.SkipReason("a later tick asks for this, too")
        try:
            app: App = getattr(context.resources, RESOURCE).app
            return request(app, grain, tables, earliest, at)
        except DatabaseUnavailable as error:
            return dg.SkipReason(f"waiting for the database: {error}")

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


def request(
    app: App, grain: Grain, tables: Mapping[str, MetricTable], earliest: datetime, at: datetime
) -> Answer:
    """The run that is due at that moment, for one range of partitions."""
    until = grain.begin(at)
    floor = max(earliest, facts_since(app.settings.metrics_retention_days, grain, at))
    begin = max(until - (1 + LATE[grain]) * grain.length, floor)
    if begin >= until:
        return dg.SkipReason(f"metrics begin on {earliest:%Y-%m-%d}, and no {grain.value} since then is over")
    first_fact = app.metrics.first_fact()
    if first_fact is not None and (first := max(grain.begin(first_fact), floor)) < begin:
        begin = min([begin, *_oldest_missing(app.settings.home, grain, tables, Span(grain, first, begin))])
    keys = key_of(grain, begin), key_of(grain, until - grain.length)
    return dg.RunRequest(run_key=f"{grain.value} {keys[1]}", tags=dict(zip(RANGE, keys, strict=True)))


def _grains(tables: Mapping[str, MetricTable]) -> set[Grain]:
    return {grain for table in tables.values() for grain in table.grains}


def _oldest_missing(home: Any, grain: Grain, tables: Mapping[str, MetricTable], span: Span) -> list[datetime]:
    found = []
    for table in tables.values():
        if grain in table.grains:
            found += MetricFiles(home, table, grain).missing(span)[:1]
    return found
