"""Dagster's daemon as `dct up` runs it: `python -m dct_pipelines.instance.daemon --workspace FILE`.

All of Dagster's daemons as they are, but for the one that takes runs from the queue: it also hands our
executions over directly, is woken when some are committed, and looks after the runs of the warm pool. With
plain `dagster-daemon run` everything works too; then executions go by sensors and RunRequests.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.workspace.context import IWorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._daemon.controller import create_daemons_from_instance, daemon_controller_from_instance
from dagster._daemon.daemon import DaemonIterator, DagsterDaemon, SpanMarker
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._daemon.utils import DaemonErrorCapture
from dagster._utils.interrupts import capture_interrupts, setup_interrupt_handlers

from dct_pipelines.bootstrap import App, build
from dct_pipelines.clients import logs
from dct_pipelines.domain.errors import DctError
from dct_pipelines.domain.quotas import UNLIMITED, most_runs
from dct_pipelines.instance import census
from dct_pipelines.instance.coordinator import METRICS_AT_ONCE, QuotaRunCoordinator
from dct_pipelines.instance.gateway import DagsterGateway
from dct_pipelines.instance.handover import HandOver, Pace, Turn
from dct_pipelines.instance.launcher import WarmRunLauncher, with_pool
from dct_pipelines.instance.quieter import be_quieter
from dct_pipelines.instance.retention import RetentionDaemon, watched_over
from dct_pipelines.instance.storage import PooledRunStorage
from dct_pipelines.instance.watch import PoolWatch
from dct_pipelines.settings import load_settings
from dct_pipelines.store.lane import Lane

BUSY_SECONDS = 0.1
"""Between two turns while executions wait for slots: short work frees many in that time."""
IDLE_SECONDS = 1.0
"""Between two turns otherwise, unless somebody says that executions wait."""
RESTING_SECONDS = 2.0
"""The same while nothing is at work, whose end or death could be missed: only pauses can be over then."""
WATCH_SECONDS = 1.0
HEARTBEAT_TOLERANCE_SECONDS = 1800


class QueueDaemon(QueuedRunCoordinatorDaemon):
    """Takes from Dagster's queue and from ours."""

    def __init__(self, instance: dg.DagsterInstance, storage: PooledRunStorage, app: App, lane: Lane) -> None:
        super().__init__(interval_seconds=IDLE_SECONDS)
        self._instance, self._storage = instance, storage
        self._app = app
        self._lane = lane
        self._hand_over = HandOver(instance, storage, app)
        self._watch = PoolWatch(instance, storage, app)
        self._watched_at = -WATCH_SECONDS
        self._has_lane = False
        self._pace = Pace()
        self._is_at_work = False

    def core_loop(
        self, workspace_process_context: IWorkspaceProcessContext[Any], shutdown_event: threading.Event
    ) -> DaemonIterator:
        """Turn after turn; what goes wrong in one is logged, and the next one tries again."""
        while not shutdown_event.is_set():
            yield SpanMarker.START_SPAN
            try:
                turn = yield from self._turn(workspace_process_context)
                calm = IDLE_SECONDS if turn.handed_over or self._is_at_work else RESTING_SECONDS
                self._wait(BUSY_SECONDS if turn.is_more else calm, shutdown_event)
            except Exception as error:  # noqa: BLE001 (a queue that stops for one fault stops everything)
                yield self._note(error)
                shutdown_event.wait(IDLE_SECONDS)
            yield SpanMarker.END_SPAN

    def _turn(self, context: IWorkspaceProcessContext[Any]) -> Any:
        had_lane, self._has_lane = self._has_lane, False
        has_lane = self._lane.take()
        if has_lane and not had_lane:
            # Whoever had it before may have dispatched what it then could not make a run of.
            self._app.reconciler.sweep(start_within_seconds=0)
        self._has_lane = has_lane
        if not has_lane:
            # Whoever has it takes from Dagster's queue, too: two at it would begin a run twice.
            return Turn()
        found = census.count(self._storage)
        if found.queued:
            self._start_metrics(context, found)
            yield from self.run_iteration(context)
            found = census.count(self._storage)
        self._is_at_work = found.active > 0
        workspace = context.create_request_context()
        if (found.active or found.metrics) and time.monotonic() - self._watched_at >= WATCH_SECONDS:
            self._watched_at = time.monotonic()
            self._watch.look(workspace)
        warm = with_pool(self._instance)
        slots = self._slots(warm)
        free = slots - found.active
        if self._pace.is_due(free, slots):
            self._pace.note(self._hand_over.turn(workspace, free, warm))
        yield None
        return self._pace.last

    def _start_metrics(self, context: IWorkspaceProcessContext[Any], found: census.Census) -> None:
        """Begin a run of metrics whatever the quota of executions says: it is none of them."""
        if not found.queued_metrics or found.metrics >= METRICS_AT_ONCE:
            return
        run_id = census.next_of_metrics(self._storage)
        run = None if run_id is None else self._instance.get_run_by_id(run_id)
        if run is not None:
            limits = self._instance.get_concurrency_config()
            self._dequeue_run(self._instance, context.create_request_context(), run, limits, None)

    def _slots(self, warm: WarmRunLauncher | None) -> int:
        """How many runs there may be now, by the quota and by what there are processes for."""
        coordinator = self._instance.run_coordinator
        here = UNLIMITED
        if isinstance(coordinator, QuotaRunCoordinator):
            here = coordinator.most_here(has_pool=warm is not None)
        return most_runs(self._app.quotas.in_force(), here)

    def _wait(self, seconds: float, shutdown_event: threading.Event) -> None:
        if self._has_lane:
            if self._lane.wait(seconds):
                self._pace.tell()
        else:
            shutdown_event.wait(seconds)

    def _note(self, error: Exception) -> Any:
        if isinstance(error, DctError) and error.transient:
            self._logger.warning("the queue waits: %s", error)
            return None
        return DaemonErrorCapture.process_exception(
            exc_info=sys.exc_info(),
            logger=self._logger,
            log_message="A turn of the queue went wrong; the next one tries again",
        )

    def __exit__(self, *error: Any) -> None:
        self._lane.leave()
        super().__exit__(*error)  # type: ignore[no-untyped-call]


def daemons(instance: dg.DagsterInstance, app: App) -> Sequence[DagsterDaemon[Any]]:
    """Dagster's own, with our queue in place of its one, and one that deletes old runs."""
    storage = instance.run_storage
    assert isinstance(storage, PooledRunStorage)  # noqa: S101 (dagster.yaml of `dct up` names it)
    return [
        RetentionDaemon(storage, app.settings.run_retention_days, app.settings.metrics_retention_days),
        *_with_our_queue(instance, storage, app),
    ]


def _with_our_queue(
    instance: dg.DagsterInstance, storage: PooledRunStorage, app: App
) -> Sequence[DagsterDaemon[Any]]:
    return [
        QueueDaemon(instance, storage, app, Lane(app.settings))
        if isinstance(daemon, QueuedRunCoordinatorDaemon)
        else daemon
        for daemon in create_daemons_from_instance(instance)
    ]


def main() -> None:
    """Run until told to end."""
    parser = argparse.ArgumentParser(prog="dct-daemon", description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True, help="a workspace.yaml")
    asked = parser.parse_args()
    setup_interrupt_handlers()
    be_quieter()
    settings = load_settings()
    logs.install(settings.logs_json)
    with capture_interrupts(), dg.DagsterInstance.from_config(str(settings.project_root)) as instance:
        app = build(settings, DagsterGateway(settings.home, lambda: instance)).ready()
        target = WorkspaceFileTarget(paths=[os.fspath(asked.workspace)])
        with (
            daemon_controller_from_instance(
                instance,
                workspace_load_target=target,
                heartbeat_tolerance_seconds=HEARTBEAT_TOLERANCE_SECONDS,
                gen_daemons=lambda opened: daemons(opened, app),
                log_format="json" if settings.logs_json else "colored",
                log_level="warning",  # ticks are in the UI; a line for each is most of an idle daemon's work
            ) as controller,
            suppress(KeyboardInterrupt),
        ):
            logs.install(settings.logs_json)  # Dagster has set up its own meanwhile
            watched_over()
            controller.check_daemon_loop()


if __name__ == "__main__":
    main()
