"""Dagster's runs as the engine asks for them, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from dct_pipelines.domain.gateway import DaemonHealth, RunInfo


class FakeGateway:
    """Runs that begin and end when the test says so; remembers what it was asked to do."""

    def __init__(self) -> None:
        self.runs: dict[str, RunInfo] = {}
        self.told_to_stop: list[str] = []
        self.marked_as_lost: dict[str, str] = {}
        self.jobs: frozenset[str] = frozenset()
        self.reloads = 0
        self.health: tuple[DaemonHealth, ...] = ()

    def begin(
        self, run_id: str, execution_id: UUID | None, attempt: int | None, status: str = "STARTED"
    ) -> None:
        """A run is there."""
        self.runs[run_id] = RunInfo(run_id, status, execution_id, attempt, None, None)

    def end(self, run_id: str, status: str) -> None:
        """A run is over, with Dagster's word for how."""
        self.runs[run_id] = replace(self.runs[run_id], status=status)

    def find_runs(self, execution_id: UUID) -> Sequence[RunInfo]:
        return [run for run in self.runs.values() if run.execution_id == execution_id]

    def get_run(self, run_id: str) -> RunInfo | None:
        return self.runs.get(run_id)

    def cancel(self, run_id: str) -> bool:
        run = self.runs.get(run_id)
        if run is None or run.is_over:
            return False
        self.told_to_stop.append(run_id)
        return True

    def active_runs(self) -> Sequence[RunInfo]:
        return [run for run in self.runs.values() if not run.is_over and run.execution_id is not None]

    def complete_lost_run(self, run_id: str, message: str) -> None:
        run = self.runs.get(run_id)
        if run is not None and not run.is_over:
            self.end(run_id, "SUCCESS")

    def fail_lost_run(self, run_id: str, message: str) -> None:
        run = self.runs.get(run_id)
        if run is not None and not run.is_over:
            self.marked_as_lost[run_id] = message
            self.end(run_id, "FAILURE")

    def loaded_jobs(self) -> frozenset[str]:
        return self.jobs

    def daemons(self) -> Sequence[DaemonHealth]:
        return self.health

    def reload(self) -> None:
        self.reloads += 1
