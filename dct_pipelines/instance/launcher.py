"""The run launcher of `dagster.yaml`: hands runs to the warm pool of `dct up`, not to a new process each.

Where no pool is, a run goes to Dagster's default launcher, slowly and with a warning, so that plain
`dagster-daemon run` works as well. Other launchers (Kubernetes, Docker) stand in its place in a deployment's
own `dagster.yaml`; nothing else in this project depends on this one.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import replace
from typing import Any

import dagster as dg
from dagster._config.config_schema import UserConfigSchema
from dagster._core.launcher import DefaultRunLauncher, LaunchRunContext, RunLauncher
from dagster._core.launcher.base import CheckRunHealthResult, ResumeRunContext, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG, MAX_RUNTIME_SECONDS_TAG
from dagster._core.workspace.context import BaseWorkspaceRequestContext
from dagster._serdes import ConfigurableClass, ConfigurableClassData, serialize_value

from dct_pipelines.clients.pool.caller import Pools
from dct_pipelines.clients.pool.launch import Launch, LaunchState
from dct_pipelines.domain import run_tags
from dct_pipelines.domain.errors import PoolUnreachable
from dct_pipelines.settings import load_settings

WARM = "warm"
"""Marks the runs that a pool was asked to do, for whoever looks after them."""
PROCESS = "process"
"""Marks those that got a process each, also when a pool was asked before."""
RETURNS_WITHIN_SECONDS = 15.0
"""A pool that is noted and does not answer is being started again; after so long nobody waits for it."""
LOOK_EVERY_SECONDS = 0.25
_log = logging.getLogger(__name__)


class WarmRunLauncher(RunLauncher[dg.DagsterInstance], ConfigurableClass):
    """Launches in the warm pool, and without one as Dagster does by default."""

    def __init__(self, inst_data: ConfigurableClassData | None = None, pools: Pools | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._inst_data = inst_data
        self.pools = pools or Pools(load_settings().home)
        self._default: RunLauncher[dg.DagsterInstance] = DefaultRunLauncher()
        self._has_warned = False

    def register_instance(self, instance: dg.DagsterInstance) -> None:
        super().register_instance(instance)
        self._default.register_instance(instance)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Have a worker take the run, or a process of its own where no pool is."""
        run = context.dagster_run
        if not self.pools.are_noted:
            self._launch_by_default(context, "none is noted for this home")
            return
        self._instance.add_run_tags(run.run_id, {run_tags.LAUNCHER: WARM})
        until = time.monotonic() + RETURNS_WITHIN_SECONDS
        while True:
            try:
                self.pools.launch([launch_of(run)])
            except PoolUnreachable as error:
                if time.monotonic() > until:
                    self._launch_by_default(context, str(error))
                    return
                time.sleep(LOOK_EVERY_SECONDS)
            else:
                self._has_warned = False
                return

    def terminate(self, run_id: str) -> bool:
        """Ask whoever has the run to stop it; a run that still waits for a worker is cancelled at once."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        if has_own_process(run):
            return self._default.terminate(run_id)
        self._instance.report_run_canceling(run)
        try:
            was = self.pools.stop(run_id)
        except PoolUnreachable as error:
            _log.warning("run %s could not be told to stop: %s", run_id, error)
            return False
        if was is LaunchState.RUNNING:
            return True
        # Nobody works on it, and nobody will: whoever would begin it sees that it is over.
        self._instance.report_run_canceled(run)
        return was is LaunchState.QUEUED

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """What the pools know of the run. `PoolUnreachable` while one of them does not answer.

        Dagster fails a run whose health is unknown, so nothing is claimed of runs that no pool was given,
        and a pool that is away for a moment is an error of this question, not of the run.
        """
        if run.tags.get(run_tags.LAUNCHER) != WARM:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "it has a process of its own")
        health = self.pools.health([run.run_id])
        if health.states[run.run_id] in (LaunchState.QUEUED, LaunchState.RUNNING):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        how = health.ended.get(run.run_id, "no worker has it")
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, how)

    @property
    def supports_resume_run(self) -> bool:
        return True

    def resume_run(self, context: ResumeRunContext) -> None:
        """Have another worker go on with a run whose worker is gone."""
        self.pools.launch([replace(launch_of(context.dagster_run), again=True)])

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> WarmRunLauncher:
        return cls(inst_data, **config_value)

    def _launch_by_default(self, context: LaunchRunContext, because: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            _log.warning(
                "runs get a process each, which costs seconds, because there is no warm worker pool (%s); "
                "`dct up` keeps one",
                because,
            )
        # Said first, and over what it said before or had from the run that it repeats: it is no pool's now.
        self._instance.add_run_tags(context.dagster_run.run_id, {run_tags.LAUNCHER: PROCESS})
        self._default.launch_run(context)


def with_pool(instance: dg.DagsterInstance) -> WarmRunLauncher | None:
    """The launcher, if it is ours and a pool is noted. The note may change between two questions."""
    launcher: Any = instance.run_launcher
    return launcher if isinstance(launcher, WarmRunLauncher) and launcher.pools.are_noted else None


def launch_or_fail(
    instance: dg.DagsterInstance, workspace: BaseWorkspaceRequestContext, run: dg.DagsterRun
) -> None:
    """Launch by whatever launcher there is; what it refuses ends as failed, and others go on."""
    try:
        instance.run_launcher.launch_run(LaunchRunContext(dagster_run=run, workspace=workspace))
    except Exception as error:  # noqa: BLE001 (whatever a launcher of another kind raises)
        _log.exception("run %s could not be launched", run.run_id)
        instance.report_run_failed(run, f"it could not be launched: {error}")


def has_own_process(run: dg.DagsterRun) -> bool:
    """Whether the run was launched by default. Dagster's own mark goes on to a run that repeats it."""
    return GRPC_INFO_TAG in run.tags and run.tags.get(run_tags.LAUNCHER) != WARM


def launch_of(run: dg.DagsterRun, body: str | None = None) -> Launch:
    """The launch of a run, with all that its worker has to know: `body` is the run as Dagster stores it."""
    return Launch(
        key=run.run_id,
        body=serialize_value(run) if body is None else body,
        limit_seconds=_limit_of(run),
        alone=any(run.tags.get(tag) == "true" for tag in (run_tags.UNTRUSTED, run_tags.METRICS)),
    )


def _limit_of(run: dg.DagsterRun) -> float | None:
    """How long it may run. Anybody can write the tag by hand; what is no span of time limits nothing."""
    try:
        seconds = float(run.tags.get(MAX_RUNTIME_SECONDS_TAG, ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
