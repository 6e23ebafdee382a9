"""Brings executions and runs together again: a sweep every 10 s, and at once when a run failed.

The sweep alone is enough; Dagster's run status only makes it sooner.
"""

from __future__ import annotations

import dagster as dg

from dct_pipelines.bootstrap import App
from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.sensors.ticks import HAIR_SECONDS, LOOP_SECONDS, RESOURCE, Answer, ticking

SWEEP_SECONDS = 10


def reconcile_sensor() -> dg.SensorDefinition:
    """The sensor `reconciler`: finds runs that died, were cancelled, or never started."""

    def sweep(app: App) -> Answer:
        return dg.SkipReason(str(app.reconciler.sweep()))

    return dg.SensorDefinition(
        name="reconciler",
        description="Finds executions whose run died, was cancelled or never started, and settles them.",
        evaluation_fn=ticking(sweep),
        minimum_interval_seconds=SWEEP_SECONDS - HAIR_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={RESOURCE},
    )


def run_ended_sensor(status: dg.DagsterRunStatus) -> dg.RunStatusSensorDefinition:
    """A sensor that sweeps as soon as a run of this location ended with `status`."""
    return dg.RunStatusSensorDefinition(
        name=f"run_{status.value.lower()}",
        description=f"Settles the execution of a run as soon as Dagster calls it {status.value}.",
        run_status=status,
        run_status_sensor_fn=sweep_now,
        minimum_interval_seconds=LOOP_SECONDS - HAIR_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={RESOURCE},
    )


def sweep_now(context: dg.RunStatusSensorContext) -> dg.SkipReason | None:
    """Sweep because a run ended."""
    try:
        getattr(context.resources, RESOURCE).app.reconciler.sweep()
    except DatabaseUnavailable as error:
        return dg.SkipReason(f"the next sweep will see it: {error}")
    return None
