"""The Dagster code location: one lazy loader, called by Dagster when it loads the location, never at import.

It reads the shapes of triggers in one short read. While the database is away the jobs are those of the last
read, before the first one those that are built in; neither is an error.
"""

from __future__ import annotations

import logging
import warnings

import dagster as dg

from dct_pipelines import registry
from dct_pipelines.assets.alert_checks import alert_assets, alert_checks, evaluations
from dct_pipelines.assets.build import metric_assets
from dct_pipelines.assets.scheduling import metric_jobs, metric_schedules
from dct_pipelines.bootstrap import load_shapes, metric_tables
from dct_pipelines.clients import logs
from dct_pipelines.instance.gateway import DagsterGateway
from dct_pipelines.jobs.build import JobBuilder
from dct_pipelines.jobs.maintenance import maintenance_job, maintenance_schedule
from dct_pipelines.resources.app import DctResource
from dct_pipelines.sensors.alerts import alerts_sensor
from dct_pipelines.sensors.dispatching import dispatch_sensor
from dct_pipelines.sensors.listening import UNUSED_INTERVAL_SECONDS, listener_sensor
from dct_pipelines.sensors.reconciling import reconcile_sensor
from dct_pipelines.sensors.ticks import RESOURCE
from dct_pipelines.settings import Settings, load_settings

_log = logging.getLogger(__name__)


@dg.definitions
def defs() -> dg.Definitions:
    """Jobs of all known shapes, the sensors that keep them busy, and the metrics of what they did."""
    # Dagster passes this parameter to itself whenever a sensor has jobs; nobody can do anything about it.
    warnings.filterwarnings("ignore", "Parameter `owners` of initializer `SensorDef", dg.BetaWarning)
    settings = load_settings()
    logs.install(settings.logs_json)
    known = load_shapes(settings)
    jobs = JobBuilder(registry.actions()).jobs(known.shapes)
    _log.info("%d jobs, of %d stored shapes (%s)", len(jobs), len(known.shapes), known.source)
    interval_seconds = settings.trigger_polling_min_interval_ms // 1000
    used = known.kinds if known.kinds is not None else frozenset(registry.listeners())
    listeners = [
        listener_sensor(
            kind, listener.summary, jobs, interval_seconds if kind in used else UNUSED_INTERVAL_SECONDS
        )
        for kind, listener in sorted(registry.listeners().items())
    ]
    alerts = alerts_sensor(evaluations, settings.alert_interval_seconds)
    tables = metric_tables() if settings.enable_trigger_metrics else {}
    maintenance = maintenance_job()
    return dg.Definitions(
        assets=[*metric_assets(tables, settings.metrics_since), *alert_assets()],
        asset_checks=alert_checks(),
        jobs=[*jobs, *metric_jobs(tables), maintenance],
        schedules=[*metric_schedules(tables, settings.metrics_since), maintenance_schedule(maintenance)],
        sensors=[*listeners, dispatch_sensor(jobs, used), reconcile_sensor(), alerts],
        resources={RESOURCE: DctResource(_gateway)},
        executor=dg.in_process_executor,
    )


def _gateway(settings: Settings) -> DagsterGateway:
    return DagsterGateway(settings.home)
