"""Hands over what waited: released holds, retries, executions that no tick of a listener brings along.

It also has the code location load anew when an execution's job is not there yet.
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from dct_pipelines.bootstrap import App
from dct_pipelines.clients.stack.notes import write_loaded_jobs
from dct_pipelines.engine.dispatch import DispatchReport
from dct_pipelines.sensors.ticks import (
    HAIR_SECONDS,
    LOOP_SECONDS,
    MAX_REQUESTS,
    RESOURCE,
    Answer,
    answer,
    names_of,
    ticking,
)


def dispatch_sensor(jobs: Sequence[dg.JobDefinition]) -> dg.SensorDefinition:
    """The sensor `dispatcher`."""
    return dg.SensorDefinition(
        name="dispatcher",
        description="Hands over executions whose reason to wait is gone, and has new jobs loaded.",
        evaluation_fn=ticking(_Dispatch(names_of(jobs))),
        jobs=jobs,
        minimum_interval_seconds=LOOP_SECONDS - HAIR_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={RESOURCE},
    )


class _Dispatch:
    """One tick. A reload replaces this code server, so it is asked for only when no request is on its way."""

    def __init__(self, loaded: frozenset[str]) -> None:
        self._loaded = loaded
        self._is_reload_due = False

    def __call__(self, app: App) -> Answer:
        if self._is_reload_due:
            return self._reload(app)
        write_loaded_jobs(app.settings.home, self._loaded)
        if app.dispatcher.is_done_directly():
            report = DispatchReport(missing_jobs=app.dispatcher.missing_jobs(self._loaded))
        else:
            report = app.dispatcher.dispatch(self._loaded, MAX_REQUESTS)
        if report.missing_jobs and report.missing_jobs & app.buildable_jobs():
            self._is_reload_due = True
            if not report.orders:
                return self._reload(app)
        return answer("nothing is ready to start", report)

    def _reload(self, app: App) -> Answer:
        self._is_reload_due = False
        if app.gateway is not None:
            app.gateway.reload()
        return dg.SkipReason("executions wait for new jobs, which are being loaded")
