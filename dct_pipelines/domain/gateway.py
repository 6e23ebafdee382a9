"""What the engine asks of Dagster. The adapter is `instance/gateway.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True)
class RunInfo:
    """A Dagster run as the engine sees it. `status` is Dagster's, e.g. `STARTED`."""

    run_id: str
    status: str
    execution_id: UUID | None
    attempt: int | None
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def is_over(self) -> bool:
        """Whether the run will do nothing more."""
        return self.status in ("SUCCESS", "FAILURE", "CANCELED")


@dataclass(frozen=True)
class DaemonHealth:
    """One of Dagster's daemons; `last_seen` is its last heartbeat."""

    name: str
    is_healthy: bool
    last_seen: datetime | None


class Daemons(Protocol):
    """Who knows which of Dagster's daemons are alive."""

    def daemons(self) -> Sequence[DaemonHealth]:
        """Dagster's daemons that this deployment needs, and whether each is alive."""


class RunGateway(Daemons, Protocol):
    """What the engine asks of Dagster. The adapter is `instance/gateway.py`."""

    def find_runs(self, execution_id: UUID) -> Sequence[RunInfo]:
        """Every run that carries this execution, oldest first."""

    def get_run(self, run_id: str) -> RunInfo | None:
        """One run."""

    def cancel(self, run_id: str) -> bool:
        """Ask the run to stop; True when somebody was told."""

    def active_runs(self) -> Sequence[RunInfo]:
        """Runs of executions that Dagster takes for at work or about to be; each holds one of its slots."""

    def fail_lost_run(self, run_id: str, message: str) -> None:
        """Mark a run whose process is gone as failed, so that the UI never shows it running for ever."""

    def complete_lost_run(self, run_id: str, message: str) -> None:
        """Mark a run as succeeded whose process ended well and could not tell Dagster so."""

    def loaded_jobs(self) -> frozenset[str]:
        """Names of the jobs of the code location as the daemon sees it now."""

    def reload(self) -> None:
        """Ask the code location to load its definitions anew."""
