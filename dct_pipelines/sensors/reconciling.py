"""Brings executions and runs together again: a sweep every 10 s.

Under `dct up` the daemon sweeps besides as soon as a run of the worker pool is lost (`instance/watch`).
"""

from __future__ import annotations

import dagster as dg

from dct_pipelines.bootstrap import App
from dct_pipelines.sensors.ticks import HAIR_SECONDS, RESOURCE, Answer, ticking

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
