"""Runs as a worker of the pool carries them out, in the test's own process: no fork, no socket."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.execution.api import create_execution_plan
from dagster._core.instance.runs.run_domain import RunDomain
from dagster._core.snap import snapshot_from_execution_plan
from dagster._core.utils import make_new_run_id

from dct_pipelines.instance.launcher import launch_of
from dct_pipelines.instance.running import RunWorker, plans_of
from dct_pipelines.instance.warm import load_repository

__all__ = ["Workshop", "kinds"]


class Workshop:
    """A worker over the definitions of a module, and runs for it."""

    def __init__(self, project: Path, module: str) -> None:
        self.repository: ReconstructableRepository = load_repository(module, project)
        self.worker = RunWorker(self.repository, project, plans_of(self.repository))
        self.instance: dg.DagsterInstance = self.worker._instance

    def make(self, job_name: str, tags: Mapping[str, str] | None = None) -> dg.DagsterRun:
        """A run of the whole job, as the daemon makes it: about to start."""
        job = self.repository.get_definition().get_job(job_name)
        plan = create_execution_plan(job)
        run = RunDomain(self.instance).construct_run_with_snapshots(
            job_name=job_name,
            run_id=make_new_run_id(),
            run_config={},
            resolved_op_selection=None,
            step_keys_to_execute=None,
            status=dg.DagsterRunStatus.STARTING,
            tags=dict(tags or {}),
            root_run_id=None,
            parent_run_id=None,
            job_snapshot=job.get_job_snapshot(),
            execution_plan_snapshot=snapshot_from_execution_plan(plan, job.get_job_snapshot_id()),
            parent_job_snapshot=None,
            asset_selection=None,
        )
        self.instance.run_storage.add_run(run)
        return run

    def do(self, run: dg.DagsterRun) -> dg.DagsterRun:
        """Carry it out as a launch; the run as the database then has it."""
        self.worker.work(launch_of(run))
        found = self.instance.get_run_by_id(run.run_id)
        assert found is not None
        return found

    def close(self) -> None:
        """Close the worker's connections."""
        self.instance.dispose()


def kinds(instance: dg.DagsterInstance, run_id: str) -> list[tuple[str, str | None]]:
    """The run's events in order: their type (`log` for a line of a step), and the step."""
    found = []
    for entry in instance.all_logs(run_id):
        what = entry.dagster_event.event_type_value if entry.dagster_event is not None else "log"
        found.append((what, entry.step_key))
    return found
