"""Hands over what waited: released holds, retries, executions that no tick of a listener brings along.

Under `dct up` the daemon does that directly, and sooner. It also has the code location load anew when an
execution's job is not there yet, or a connection of a kind that there was none of.
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from dct_pipelines import registry
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


def dispatch_sensor(
    jobs: Sequence[dg.JobDefinition], kinds: frozenset[str] = frozenset()
) -> dg.SensorDefinition:
    """The sensor `dispatcher`. `kinds` are those of connections that the definitions were made for."""
    return dg.SensorDefinition(
        name="dispatcher",
        description="Hands over executions whose reason to wait is gone, and has new jobs loaded.",
        evaluation_fn=ticking(_Dispatch(names_of(jobs), kinds)),
        jobs=jobs,
        minimum_interval_seconds=LOOP_SECONDS - HAIR_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={RESOURCE},
    )


class _Dispatch:
    """One tick. A reload replaces this code server, so it is asked for only when no request is on its way."""

    def __init__(self, loaded: frozenset[str], kinds: frozenset[str]) -> None:
        self._loaded = loaded
        self._kinds = kinds
        self._is_reload_due = False

    def __call__(self, app: App) -> Answer:
        if self._is_reload_due:
            return self._reload(app)
        write_loaded_jobs(app.settings.home, self._loaded)
        if app.dispatcher.is_done_directly():
            report = DispatchReport(missing_jobs=app.dispatcher.missing_jobs(self._loaded))
        else:
            report = app.dispatcher.dispatch(self._loaded, MAX_REQUESTS)
        if self._is_outdated(app, report.missing_jobs):
            self._is_reload_due = True
            if not report.orders:
                return self._reload(app)
        return answer("nothing is ready to start", report)

    def _is_outdated(self, app: App, missing_jobs: frozenset[str]) -> bool:
        """Whether definitions that are made now would have a job, or an eager listener, that these lack."""
        if app.kinds_in_use() & registry.listeners().keys() - self._kinds:
            return True
        return bool(missing_jobs and missing_jobs & app.buildable_jobs())

    def _reload(self, app: App) -> Answer:
        self._is_reload_due = False
        if app.gateway is not None:
            app.gateway.reload()
        return dg.SkipReason("new jobs, or listeners of a new kind of connection, are being loaded")
