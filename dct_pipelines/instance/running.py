"""What a worker does with a launch: carries the run out with Dagster's own engine, in this process.

Each worker has one Dagster instance and one set of services, with connections that stay open from run to
run. A run that is simply a whole job uses a plan that this process has made before: plans are a function of
the job and its configuration. Everything else (a re-execution, a subset, a resumed run) goes the stock way.

`tests/dagster/test_running.py` holds the contract with the pinned Dagster.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from dagster import DagsterError, DagsterEvent, DagsterInstance, DagsterRun, in_process_executor
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.execution.api import (
    ExecuteRunWithPlanIterable,
    create_execution_plan,
    job_execution_iterator,
)
from dagster._core.execution.context_creation_job import (
    PlanOrchestrationContextManager,
    orchestration_context_event_generator,
)
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.storage.dagster_run import DagsterRunStatus
from dagster._grpc.impl import core_execute_run
from dagster._serdes import deserialize_value
from dagster._utils.interrupts import capture_interrupts

from dct_pipelines.clients.pool.launch import Launch
from dct_pipelines.instance import census, entries
from dct_pipelines.instance.coordinator import QuotaRunCoordinator
from dct_pipelines.instance.storage import PooledRunStorage

PlannedJob = tuple[InMemoryJob, ExecutionPlan]
_log = logging.getLogger(__name__)


class RunWorker:
    """One worker's process. Made after the fork; nothing in it is carried across one."""

    def __init__(
        self,
        repository: ReconstructableRepository,
        project_root: Path,
        plans: Mapping[str, PlannedJob],
    ) -> None:
        self._repository = repository
        self._instance = DagsterInstance.from_config(str(project_root))
        self._plans = plans
        if isinstance(self._instance.run_coordinator, QuotaRunCoordinator):
            self._instance.run_coordinator.rest()

    def work(self, launch: Launch) -> None:
        """Carry out one run. What goes wrong in it is in the run's log; nothing of it is raised."""
        run = self._run_of(launch)
        if run is None:
            _log.warning("run %s is gone or over, or has another process; nothing is done", launch.key)
            return
        with capture_interrupts(), self._recording(run):
            try:
                for _ in self._events(run, is_resumed=run.status is DagsterRunStatus.STARTED):
                    pass
            except (KeyboardInterrupt, Exception):  # noqa: BLE001 (the run's log says why it failed)
                _log.exception("run %s", run.run_id)

    def _run_of(self, launch: Launch) -> DagsterRun | None:
        """The run, if it is still to be done: what the launch says of it may be minutes old."""
        storage = self._instance.run_storage
        if isinstance(storage, PooledRunStorage) and launch.body:
            is_due = census.is_to_be_done(storage, launch.key)
            return deserialize_value(launch.body, DagsterRun) if is_due else None
        run = self._instance.get_run_by_id(launch.key)
        return None if run is None or run.is_finished else run

    def _recording(self, run: DagsterRun) -> AbstractContextManager[None]:
        storage = self._instance.run_storage
        if not isinstance(storage, PooledRunStorage):
            return nullcontext()
        return storage.ledger.recording(run, entries.text_of)

    def _events(self, run: DagsterRun, *, is_resumed: bool) -> Iterable[DagsterEvent]:
        planned = self._plans.get(run.job_name)
        if planned is not None and not is_resumed and _is_whole(run):
            return self._whole(planned, run)
        job = self._repository.get_reconstructable_job(run.job_name)
        return core_execute_run(
            job, run, self._instance, inject_env_vars=False, resume_from_failure=is_resumed
        )

    def _whole(self, planned: PlannedJob, run: DagsterRun) -> Iterator[DagsterEvent]:
        job, plan = planned
        yield from ExecuteRunWithPlanIterable(
            execution_plan=plan,
            iterator=job_execution_iterator,
            execution_context_manager=PlanOrchestrationContextManager(
                context_event_generator=orchestration_context_event_generator,
                job=job,
                execution_plan=plan,
                dagster_run=run,
                instance=self._instance,
                run_config=run.run_config,
                raise_on_error=False,
                executor_defs=None,
                output_capture=None,
                resume_from_failure=False,
            ),
        )


def plans_of(repository: ReconstructableRepository) -> dict[str, PlannedJob]:
    """The plan of each job whose steps all run in the run's own process, by the job's name.

    Left out are jobs that need configuration, and those of assets, whose steps depend on their partitions.
    The definitions are those that are loaded already: Dagster's reconstructable jobs remember one at a time,
    and load everything anew for the next one.
    """
    found = {}
    for job in repository.get_definition().get_all_jobs():
        if job.executor_def.name == in_process_executor.name and not job.asset_layer.executable_asset_keys:
            with suppress(DagsterError):
                found[job.name] = InMemoryJob(job), create_execution_plan(job)
    return found


def _is_whole(run: DagsterRun) -> bool:
    """Whether the run is all of a job with nothing that only its own row could tell."""
    return not (
        run.run_config
        or run.parent_run_id
        or run.step_keys_to_execute
        or run.resolved_op_selection
        or run.asset_selection
        or run.asset_check_selection
    )
