"""What every sensor's tick shares: the services, a database that is away, and orders as run requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import dagster as dg

from dct_pipelines.bootstrap import App
from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.engine.dispatch import DispatchReport

RESOURCE = "dct"
MAX_REQUESTS = 200
"""Dagster submits about 30 requests a second after the tick; what is left waits in our table."""
LOOP_SECONDS = 5
"""Dagster's sensor loop turns that often, a hair sooner or later (dagster/_daemon/sensor.py)."""
HAIR_SECONDS = 1
"""Off every interval, or a tick would miss its turn of the loop and come one turn late."""

Answer = dg.SensorResult | dg.SkipReason


def ticking(work: Callable[[App], Answer]) -> Callable[[dg.SensorEvaluationContext], Answer]:
    """A sensor's function: hands the services in; while the database is away it skips and says so.

    Any other error is raised, so that Dagster shows the tick as failed.
    """

    def tick(context: dg.SensorEvaluationContext) -> Answer:
        try:
            return work(getattr(context.resources, RESOURCE).app)
        except DatabaseUnavailable as error:
            return dg.SkipReason(f"waiting for the database: {error}")

    return tick


def names_of(jobs: Sequence[dg.JobDefinition]) -> frozenset[str]:
    """The jobs that this code server has loaded."""
    return frozenset(job.name for job in jobs)


def hand_over(app: App, seen: str, loaded: frozenset[str]) -> Answer:
    """Dispatch what may start and request its runs, unless a daemon does so directly, and sooner."""
    if app.dispatcher.is_done_directly():
        return dg.SkipReason(f"{seen}; the daemon hands over what waits")
    return answer(seen, app.dispatcher.dispatch(loaded, MAX_REQUESTS))


def answer(seen: str, report: DispatchReport) -> Answer:
    """Requests for what was dispatched; when nothing was, what was seen and what waits for which reason."""
    if report.orders:
        requests = [
            dg.RunRequest(run_key=order.run_key, job_name=order.job_name, tags=order.tags)
            for order in report.orders
        ]
        return dg.SensorResult(run_requests=requests)
    waiting = ", ".join(f"{count} {reason}" for reason, count in sorted(report.waiting.items()))
    return dg.SkipReason(f"{seen}; waiting: {waiting}" if waiting else seen)
