"""One sensor for each kind of connection: reads what is due, decides, and hands over what fired."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import dagster as dg

from dct_pipelines.bootstrap import App
from dct_pipelines.sensors.ticks import (
    HAIR_SECONDS,
    RESOURCE,
    Answer,
    hand_over,
    names_of,
    ticking,
)

PATIENCE_SECONDS = 4.0
"""A connection that takes longer is read on in the background, so that the others' next tick is not late.

One that is busy is read again within it."""
UNUSED_INTERVAL_SECONDS = 300
"""For a kind of which there is no connection yet; the first one has the definitions loaded anew."""
HEARD_SECONDS = 45
"""Dagster gives a tick 60 s. What is handed over later nobody hears, and only the sweep finds it again."""


def listener_sensor(
    kind: str,
    summary: str,
    jobs: Sequence[dg.JobDefinition],
    interval_seconds: int,
    monotonic: Callable[[], float] = time.monotonic,
) -> dg.SensorDefinition:
    """The sensor `<kind>_listener`, running unless an operator stops it."""
    loaded = names_of(jobs)

    def listen(app: App) -> Answer:
        begun = monotonic()
        seen = app.turn(PATIENCE_SECONDS).read(kind)
        if monotonic() - begun > HEARD_SECONDS:
            return dg.SkipReason(f"{seen}; that took so long that the dispatcher hands over what fired")
        return hand_over(app, str(seen), loaded)

    return dg.SensorDefinition(
        name=f"{kind}_listener",
        description=summary,
        evaluation_fn=ticking(listen),
        jobs=jobs,
        minimum_interval_seconds=interval_seconds - HAIR_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={RESOURCE},
    )
