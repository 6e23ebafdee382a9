"""What the engine asks of Dagster, answered by a DagsterInstance. Private names of Dagster stand here only.

tests/dagster/test_gateway.py holds the contract with the pinned minor version.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from uuid import UUID

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.storage.dagster_run import ACTIVE_RUN_STATUSES
from dagster._daemon.controller import get_daemon_statuses
from dagster._grpc.client import DagsterGrpcClient

from dct_pipelines.clients.stack.notes import read_address, read_loaded_jobs
from dct_pipelines.domain import run_tags
from dct_pipelines.domain.gateway import DaemonHealth, RunInfo

RELOAD_TIMEOUT_SECONDS = 45
"""Less than the 60 s that Dagster gives a sensor's tick."""

_log = logging.getLogger(__name__)


class DagsterGateway:
    """The `RunGateway` of one process. The instance is opened when it is first needed.

    `home` is where `dct up` notes its code server's address.
    """

    def __init__(self, home: Path, open_instance: Callable[[], dg.DagsterInstance] = dg.DagsterInstance.get):
        self._home = home
        self._open_instance = open_instance

    @cached_property
    def _instance(self) -> dg.DagsterInstance:
        return self._open_instance()

    def find_runs(self, execution_id: UUID) -> Sequence[RunInfo]:
        """Every run that carries this execution, oldest first."""
        records = self._instance.get_run_records(
            dg.RunsFilter(tags={run_tags.EXECUTION: str(execution_id)}), ascending=True
        )
        return [_info(record) for record in records]

    def get_run(self, run_id: str) -> RunInfo | None:
        """One run."""
        record = self._instance.get_run_record_by_id(run_id)
        return _info(record) if record else None

    def cancel(self, run_id: str) -> bool:
        """Ask the run to stop, also one that still queues; False when nobody could be told."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        try:
            return self._instance.run_coordinator.cancel_run(run_id)
        except (dg.DagsterInvariantViolationError, DagsterUserCodeUnreachableError) as error:
            _log.warning("run %s could not be told to stop: %s", run_id, error)
            return False

    def active_runs(self) -> Sequence[RunInfo]:
        """Runs that hold a slot and carry an execution."""
        records = self._instance.get_run_records(dg.RunsFilter(statuses=ACTIVE_RUN_STATUSES))
        return [info for record in records if (info := _info(record)).execution_id is not None]

    def complete_lost_run(self, run_id: str, message: str) -> None:
        """Mark a run as succeeded whose process did all of it and could not say so."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return
        ended = dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.RUN_SUCCESS.value, job_name=run.job_name, message=message
        )
        self._instance.report_dagster_event(ended, run_id=run_id)

    def fail_lost_run(self, run_id: str, message: str) -> None:
        """Mark a run whose process is gone as failed, or as cancelled when it was being cancelled."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return
        if run.status is dg.DagsterRunStatus.CANCELING:
            self._instance.report_run_canceled(run, message=message)
        else:
            self._instance.report_run_failed(run, message=message)

    def loaded_jobs(self) -> frozenset[str]:
        """Names of the jobs that the daemon's code server had when it last dispatched."""
        return read_loaded_jobs(self._home)

    def daemons(self) -> Sequence[DaemonHealth]:
        """Dagster's daemons that this instance needs; one that only had an error is alive."""
        statuses = get_daemon_statuses(
            self._instance, self._instance.get_required_daemon_types(), ignore_errors=True
        )
        return [
            DaemonHealth(
                name=name.lower(),
                is_healthy=bool(status.healthy),
                last_seen=_instant(status.last_heartbeat.timestamp if status.last_heartbeat else None),
            )
            for name, status in sorted(statuses.items())
        ]

    def reload(self) -> None:
        """Have `dct up`'s code server load its definitions anew (2 to 10 s).

        Without one nothing is to be done: Dagster's daemon starts a new code server every minute.
        """
        if (address := read_address(self._home)) is None:
            return
        try:
            client = DagsterGrpcClient(socket=str(address.socket))
            client.reload_code(timeout=RELOAD_TIMEOUT_SECONDS)
        except DagsterUserCodeUnreachableError as error:
            _log.warning("the code server did not reload (%s); it is asked again", error)


def gateway_of(home: Path, project_root: Path) -> DagsterGateway:
    """A gateway to the instance of `project_root`'s dagster.yaml, also where DAGSTER_HOME is not set."""
    return DagsterGateway(home, lambda: dg.DagsterInstance.from_config(str(project_root)))


def _info(record: dg.RunRecord) -> RunInfo:
    run = record.dagster_run
    execution, attempt = run.tags.get(run_tags.EXECUTION), run.tags.get(run_tags.ATTEMPT)
    return RunInfo(
        run_id=run.run_id,
        status=run.status.value,
        execution_id=UUID(execution) if execution else None,
        attempt=int(attempt) if attempt else None,
        started_at=_instant(record.start_time),
        ended_at=_instant(record.end_time),
    )


def _instant(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None else None
