"""Looks after the runs that a pool was given: each is known there, or launched again, or declared lost.

A pool's memory ends with its process, and so do a worker's run and a message on its way. What was never begun
is launched again, which does no harm: a pool takes a run once, and an execution's claim is fenced. What had
begun is lost, unless it has ended meanwhile: then its status was written before its pool could forget it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import dagster as dg
from dagster._core.storage.dagster_run import DagsterRunStatus
from dagster._core.workspace.context import BaseWorkspaceRequestContext
from sqlalchemy.exc import SQLAlchemyError

from dct_pipelines.bootstrap import App
from dct_pipelines.clients.pool.caller import Health
from dct_pipelines.clients.pool.launch import LaunchState
from dct_pipelines.domain import run_tags
from dct_pipelines.domain.errors import DatabaseUnavailable, PoolUnreachable
from dct_pipelines.instance import census
from dct_pipelines.instance.launcher import WARM, WarmRunLauncher, launch_of, launch_or_fail
from dct_pipelines.instance.storage import PooledRunStorage

ALIVE = (LaunchState.QUEUED, LaunchState.RUNNING)
_log = logging.getLogger(__name__)


class PoolWatch:
    """Compares Dagster's active runs with what the pools know. Used by the queue's thread."""

    def __init__(self, instance: dg.DagsterInstance, storage: PooledRunStorage, app: App) -> None:
        self._instance = instance
        self._storage = storage
        self._app = app

    def look(self, workspace: BaseWorkspaceRequestContext) -> int:
        """One look; returns how many runs it launched again or declared lost."""
        launcher = self._instance.run_launcher
        if not isinstance(launcher, WarmRunLauncher):
            return 0
        active = census.active_with_tag(self._storage, run_tags.LAUNCHER, WARM)
        if not active:
            return 0
        try:
            health = launcher.pools.health(run_id for run_id, _ in active)
        except PoolUnreachable:
            return self._without_pool(launcher, workspace, [run_id for run_id, _ in active])
        missing = [run_id for run_id, _ in active if health.states[run_id] not in ALIVE]
        lost = [run_id for run_id in missing if self._try_to_settle(launcher, workspace, run_id, health)]
        if lost:
            # Their executions get the next attempt now, not at the next sweep.
            self._app.reconciler.sweep()
        return len(missing)

    def _try_to_settle(
        self,
        launcher: WarmRunLauncher,
        workspace: BaseWorkspaceRequestContext,
        run_id: str,
        health: Health,
    ) -> bool:
        """The same as `_settle`, but one run that cannot be settled now keeps nobody from the others."""
        try:
            return self._settle(launcher, workspace, run_id, health)
        except (DatabaseUnavailable, SQLAlchemyError):
            raise
        except PoolUnreachable as error:
            _log.warning("run %s is launched as soon as the worker pool is back: %s", run_id, error)
        except Exception:  # noqa: BLE001 (whatever it is, it is about this run only)
            _log.exception("run %s cannot be settled now", run_id)
        return False

    def _settle(
        self,
        launcher: WarmRunLauncher,
        workspace: BaseWorkspaceRequestContext,
        run_id: str,
        health: Health,
    ) -> bool:
        """Whether the run was lost. Read again: a run that ended was written down before it was forgotten."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        if run.status is DagsterRunStatus.STARTING and run_id not in health.ended:
            launcher.pools.launch([launch_of(run)])
            return False
        how = health.ended.get(run_id) or "no worker has it any more"
        if self._instance.run_will_resume(run_id):
            _log.warning("run %s goes on in another worker: %s", run_id, how)
            attempt = self._instance.count_resume_run_attempts(run_id) + 1
            self._instance.resume_run(run_id, workspace, attempt)
            return False
        _log.warning("run %s is lost: %s", run_id, how)
        self._app.reconciler.settle_lost(run_id, how)
        return True

    def _without_pool(
        self, launcher: WarmRunLauncher, workspace: BaseWorkspaceRequestContext, run_ids: Sequence[str]
    ) -> int:
        """While no pool is there, what was never begun is begun in the default way; see `launch_run`."""
        if launcher.pools.are_noted:
            return 0
        for run_id in run_ids:
            run = self._instance.get_run_by_id(run_id)
            if run is not None and run.status is DagsterRunStatus.STARTING:
                launch_or_fail(self._instance, workspace, run)
        return 0
