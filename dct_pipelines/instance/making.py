"""Makes the Dagster runs of what was dispatched, many in one transaction, about to start.

A run by a RunRequest costs a call to the code server and some ten statements, most of them to find out again
what is the same for every run of the job. Here that is found out once for each job and code server: the
job's and plan's snapshots are stored, and one run of it is kept as the pattern of all others.

`tests/dagster/test_making.py` holds the contract with the pinned Dagster.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import dagster as dg
from dagster import DagsterEvent, DagsterEventType, DagsterRunStatus, EventLogEntry
from dagster._core.instance.runs.run_domain import RunDomain
from dagster._core.remote_representation.code_location import CodeLocation
from dagster._core.remote_representation.external import RemoteJob
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as EventLogs
from dagster._core.storage.runs.schema import RunsTable as Runs
from dagster._core.storage.runs.schema import RunTagsTable as RunTags
from dagster._core.storage.tags import CODE_LOCATION_TAG
from dagster._core.utils import make_new_run_id
from dagster._core.workspace.context import BaseWorkspaceRequestContext
from dagster._serdes import serialize_value
from sqlalchemy import insert

from dct_pipelines.engine.dispatch import DispatchOrder
from dct_pipelines.instance.storage import PooledRunStorage

LOCATION = "dct_pipelines"
_log = logging.getLogger(__name__)


class MadeRun(NamedTuple):
    """A run that is stored, and the text that it is stored as."""

    run: dg.DagsterRun
    body: str


class RunMaker:
    """Makes runs of the code location `dct_pipelines`. Used by one thread."""

    def __init__(self, instance: dg.DagsterInstance, storage: PooledRunStorage) -> None:
        self._instance = instance
        self._storage = storage
        self._server = ""
        self._jobs: Mapping[str, RemoteJob] = {}
        self._patterns: dict[str, dg.DagsterRun] = {}

    def loaded_jobs(self, workspace: BaseWorkspaceRequestContext) -> frozenset[str]:
        """Names of the jobs that the code server has now.

        While it cannot be reached, those of which runs can be made without it, because some were made before.
        """
        if not workspace.has_code_location(LOCATION):
            return frozenset(self._patterns)
        location = workspace.get_code_location(LOCATION)
        if (server := _identity(location)) != self._server:
            (repository,) = location.get_repositories().values()
            self._jobs = {job.name: job for job in repository.get_all_jobs()}
            self._server, self._patterns = server, {}
        return frozenset(self._jobs)

    def make(
        self, workspace: BaseWorkspaceRequestContext, orders: Sequence[DispatchOrder], tags: Mapping[str, str]
    ) -> list[MadeRun]:
        """Store one run for each order, STARTING, with its tags and `tags`; all of them or none.

        Left out are orders for a job that the code server cannot plan: others do not wait for it.
        """
        now = datetime.now(UTC)
        patterns = {name: self._known(workspace, name) for name in {order.job_name for order in orders}}
        runs = [
            pattern._replace(run_id=make_new_run_id(), tags={**pattern.tags, **tags, **order.tags})
            for order in orders
            if (pattern := patterns[order.job_name]) is not None
        ]
        if not runs:
            return []
        rows = [self._row(run, now) for run in runs]
        starting = [_starting(run, now) for run in runs]
        with self._storage.transaction() as connection:
            connection.execute(insert(Runs), rows)
            connection.execute(
                insert(RunTags),
                [
                    {"run_id": run.run_id, "key": key, "value": value}
                    for run in runs
                    for key, value in run.tags_for_storage().items()
                ],
            )
            connection.execute(insert(EventLogs), starting)
        return [MadeRun(run, row["run_body"]) for run, row in zip(runs, rows, strict=True)]

    def _known(self, workspace: BaseWorkspaceRequestContext, job_name: str) -> dg.DagsterRun | None:
        """The pattern of the job's runs; None when it has none and cannot get one now."""
        if job_name not in self._patterns:
            try:
                location = workspace.get_code_location(LOCATION)
                self._patterns[job_name] = self._pattern(location, self._jobs[job_name])
            except dg.DagsterError:
                _log.exception(
                    "no run of %s can be made; the sweep gives its executions another attempt", job_name
                )
        return self._patterns.get(job_name)

    def _pattern(self, location: CodeLocation, job: RemoteJob) -> dg.DagsterRun:
        """A run of the job that is not stored; its snapshots are."""
        plan = location.get_execution_plan(job, {}, None, None, instance=self._instance)
        return RunDomain(self._instance).construct_run_with_snapshots(
            job_name=job.name,
            run_id=make_new_run_id(),
            run_config={},
            resolved_op_selection=None,
            step_keys_to_execute=None,
            status=DagsterRunStatus.STARTING,
            tags={**job.run_tags, CODE_LOCATION_TAG: location.name},
            root_run_id=None,
            parent_run_id=None,
            job_snapshot=job.job_snapshot,
            execution_plan_snapshot=plan.execution_plan_snapshot,
            parent_job_snapshot=job.parent_job_snapshot,
            remote_job_origin=job.get_remote_origin(),
            job_code_origin=job.get_python_origin(),
            asset_selection=None,
        )

    def _row(self, run: dg.DagsterRun, now: datetime) -> dict[str, Any]:
        stamps = {"update_timestamp": now.replace(tzinfo=None)}
        return {**self._storage._get_run_insertion_values(run, now.replace(tzinfo=None)), **stamps}


def _identity(location: CodeLocation) -> str:
    """Which process serves the location: another one may have loaded other definitions."""
    return str(getattr(location, "server_id", None) or id(location))


def _starting(run: dg.DagsterRun, now: datetime) -> dict[str, object]:
    """The row of the event that says that the run is about to start."""
    event = DagsterEvent(event_type_value=DagsterEventType.RUN_STARTING.value, job_name=run.job_name)
    entry = EventLogEntry(  # type: ignore[no-untyped-call]
        error_info=None,
        user_message="",
        level=20,
        run_id=run.run_id,
        timestamp=now.timestamp(),
        job_name=run.job_name,
        dagster_event=event,
    )
    return {
        "run_id": run.run_id,
        "event": serialize_value(entry),
        "dagster_event_type": DagsterEventType.RUN_STARTING.value,
        "timestamp": now.replace(tzinfo=None),
    }
