"""The job `maintenance` and its daily schedule: a step for each of the engine's.

Its runs are no executions: they carry none of the tags that quotas count by, and take one run slot in the
small hours. What a step did is its metadata, as plain text: titles of workspaces come from outside.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import dagster as dg

from dct_pipelines.domain import run_tags
from dct_pipelines.engine.maintenance import STEPS, StepReport
from dct_pipelines.jobs.build import NO_DAGSTER_RETRIES
from dct_pipelines.jobs.ops import AFTER, RESOURCE, app_of

MAINTENANCE = "maintenance"
DAILY = "17 3 * * *"
"""A quarter past three, UTC, off the full hour at which everybody else's schedules begin."""
LONGEST_SECONDS = 12 * 3600
FAILED = "failed"
FAILED_TAG = "dct/maintenance_failed"
"""Followed by a step: it failed in this run."""


def maintenance_job() -> dg.JobDefinition:
    """The job: the steps one after the other, each as `dct maintenance run` runs it."""
    steps = [_op(name, is_first=not place) for place, name in enumerate(STEPS)]
    steps.append(_judge())
    dependencies: dict[str, dict[str, Any]] = {steps[0].name: {}}
    for before, step in pairwise(steps):
        dependencies[step.name] = {AFTER: dg.DependencyDefinition(before.name)}
    graph = dg.GraphDefinition(
        name=MAINTENANCE,
        description="Deletes what is old, archives idle workspaces, warns of what expires.",
        node_defs=steps,
        dependencies=dependencies,
    )
    tags = {"dagster/max_runtime": str(LONGEST_SECONDS), run_tags.MAINTENANCE: "true"}
    return graph.to_job(executor_def=dg.in_process_executor, tags=NO_DAGSTER_RETRIES | tags)


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
    """One step. What fails keeps no other step from its work: the last one says what failed."""

    def op(context):  # type: ignore[no-untyped-def]
        try:
            report = app_of(context).maintenance.run(name)
        except Exception as error:
            context.log.error("this step failed, the others go on: %s", error, exc_info=error)
            context.add_output_metadata({FAILED: dg.MetadataValue.text(str(error))})
            context.instance.add_run_tags(context.run_id, {f"{FAILED_TAG}/{name}": "true"})
            return
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


def _judge() -> dg.OpDefinition:
    def judge(context):  # type: ignore[no-untyped-def]
        tags = context.instance.get_run_by_id(context.run_id).tags
        failed = [name for name in STEPS if f"{FAILED_TAG}/{name}" in tags]
        if failed:
            raise dg.Failure(f"failed: {', '.join(failed)}; each step's log says why", allow_retries=False)

    judge.__annotations__ = {"return": None}
    return dg.op(
        name="judge",
        description="Fails when one of the steps has.",
        ins={AFTER: dg.In(dg.Nothing)},
        out=dg.Out(dg.Nothing),
    )(judge)


def metadata_of(report: StepReport) -> dict[str, Any]:
    """What a step shows: how much went of which table, or what it did else, and what is to be said."""
    shown: dict[str, Any] = {f"deleted from {table}": count for table, count in report.deleted.items()}
    if report.did:
        shown["did"] = dg.MetadataValue.text(report.did)
    told = [*report.warnings, *report.notes]
    return shown | ({"told": dg.MetadataValue.text("\n".join(told))} if told else {})
