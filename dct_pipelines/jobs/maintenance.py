"""The job `maintenance` and its daily schedule: a step for each of the engine's.

Its runs are no executions: they carry none of the tags that quotas count by, and take one run slot in the
small hours. What a step did is its metadata.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import dagster as dg

from dct_pipelines.engine.maintenance import STEPS, StepReport
from dct_pipelines.jobs.build import NO_DAGSTER_RETRIES
from dct_pipelines.jobs.ops import AFTER, RESOURCE, app_of, explained

MAINTENANCE = "maintenance"
DAILY = "17 3 * * *"
"""A quarter past three, UTC, off the full hour at which everybody else's schedules begin."""
LONGEST_SECONDS = 12 * 3600


def maintenance_job() -> dg.JobDefinition:
    """The job: the steps one after the other, each as `dct maintenance run` runs it."""
    steps = [_op(name, is_first=not place) for place, name in enumerate(STEPS)]
    dependencies: dict[str, dict[str, Any]] = {steps[0].name: {}}
    for before, step in pairwise(steps):
        dependencies[step.name] = {AFTER: dg.DependencyDefinition(before.name)}
    graph = dg.GraphDefinition(
        name=MAINTENANCE,
        description="Deletes what is old, archives idle workspaces, warns of what expires.",
        node_defs=steps,
        dependencies=dependencies,
    )
    limit = {"dagster/max_runtime": str(LONGEST_SECONDS)}
    return graph.to_job(executor_def=dg.in_process_executor, tags={**NO_DAGSTER_RETRIES, **limit})


def maintenance_schedule(job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Once a day; what a day was missed the next one does."""
    return dg.ScheduleDefinition(
        name=MAINTENANCE,
        job=job,
        cron_schedule=DAILY,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Keeps the deployment in order.",
    )


def _op(name: str, *, is_first: bool) -> dg.OpDefinition:
    def op(context):  # type: ignore[no-untyped-def]
        with explained():
            report = app_of(context).maintenance.run(name)
        for warning in report.warnings:
            context.log.warning("%s", warning)
        for note in report.notes:
            context.log.info("%s", note)
        context.add_output_metadata(metadata_of(report))

    op.__annotations__ = {"return": None}
    return dg.op(
        name=name,
        description=STEPS[name].summary,
        ins={} if is_first else {AFTER: dg.In(dg.Nothing)},
        out=dg.Out(dg.Nothing),
        required_resource_keys={RESOURCE},
    )(op)


def metadata_of(report: StepReport) -> dict[str, Any]:
    """What a step shows: how much went of which table, and what is to be said."""
    shown: dict[str, Any] = {f"deleted from {table}": count for table, count in report.deleted.items()}
    told = [*report.warnings, *report.notes]
    return shown | ({"told": dg.MetadataValue.md("\n".join(f"- {one}" for one in told))} if told else {})
