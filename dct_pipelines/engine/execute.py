"""The executor: what the ops of a run, the command line and the API call. Its parts stand beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from dct_pipelines import registry
from dct_pipelines.domain.action import ActionType
from dct_pipelines.domain.at_work import AtWork, working_on
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.domain.gateway import RunGateway
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.quotas import Quotas
from dct_pipelines.engine.attempts import Attempts, Manual, Refused
from dct_pipelines.engine.close import Closer
from dct_pipelines.engine.control import Control
from dct_pipelines.engine.heartbeat import Heartbeats
from dct_pipelines.engine.identity import SKIPPED, ActionReport, Claim, CloseReport, RunIdentity
from dct_pipelines.engine.leases import Leases
from dct_pipelines.engine.perform import Performer, PortsFor
from dct_pipelines.engine.recording import Recorder
from dct_pipelines.engine.slots import Slots
from dct_pipelines.engine.times import Times
from dct_pipelines.store.database import Database

__all__ = [
    "ActionReport",
    "Claim",
    "CloseReport",
    "Executor",
    "PortsFor",
    "RunIdentity",
    "SKIPPED",
    "Times",
]


class Executor:
    """Carries executions out. One a process: it holds the heartbeats of what this process works on.

    `ports_for(execution, find_event)` builds what an action may touch; `gateway` may be None where Dagster
    cannot be asked, then only heartbeats tell whether another run still works. `quotas` are those of the
    settings.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        ports_for: PortsFor,
        gateway: RunGateway | None = None,
        *,
        quotas: Quotas,
        times: Times | None = None,
        action_type: Callable[[str], ActionType[Any]] = registry.action,
    ) -> None:
        times = times or Times()
        self._heartbeats = Heartbeats(database, times)
        self._attempts = Attempts(database, gateway, self._heartbeats, times)
        self._closer = Closer(database, self._attempts, ports_for)
        self._control = Control(database, gateway)
        self._performer = Performer(
            database,
            self._attempts,
            Leases(database, times),
            Slots(database, quotas, times),
            Recorder(database, times),
            clock,
            ports_for,
            action_type,
        )

    def claim(
        self,
        run: RunIdentity,
        manual_actions: Sequence[Mapping[str, Any]] | None = None,
        created_by: str = "local",
    ) -> Claim:
        """The first step of a run: take the execution, or make a manual one of `{type, name?, config}`.

        Never raises because another run holds it: then the claim is a no-op and says why.
        """
        manual = Manual(manual_actions, created_by) if manual_actions is not None else None
        with working_on(AtWork(run.execution_id, run.attempt) if run.execution_id else None):
            taken = self._attempts.take(run, manual)
        execution = taken.execution
        if isinstance(taken, Refused):
            return Claim(execution.id, execution.attempt, is_noop=True, because=taken.because)
        held = f"attempt {execution.attempt} of execution {execution.id} is this run"
        return Claim(execution.id, execution.attempt, is_noop=False, because=held)

    def perform(
        self,
        run: RunIdentity,
        index: int,
        log: Callable[[str], None],
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> ActionReport:
        """Do the action at `index` of the execution, unless it is settled.

        What goes wrong is recorded, the execution moved on by its policy, and the error raised: an
        ActionFailed (also ExecutionCancelled, ExecutionTimedOut), LeaseBusy, another DctError of the action,
        or StaleAttempt when the run lost the execution meanwhile.
        """
        return self._performer.perform(run, index, log, is_cancelled)

    def close(self, run: RunIdentity) -> CloseReport:
        """The last step of a run: verify the deliverables and end the execution, completed or failed.

        Does not raise for a failed one: `because` names what was not done or is missing, for the caller to
        show the run as failed too.
        """
        return self._closer.close(run)

    def release(self, run: RunIdentity) -> None:
        """Give no more signs of life for this run: it is over, however it ended."""
        self._heartbeats.release_run(run.run_id)

    def stop(self) -> None:
        """The process is about to end: give no more signs of life for anything."""
        self._heartbeats.stop()

    def beat(self) -> None:
        """Give a sign of life now; the process's own thread does it every few seconds by itself."""
        self._heartbeats.beat()

    def cancel(self, execution_id: UUID, by: str) -> ExecutionState:
        """Stop an execution (`engine.control`)."""
        return self._control.cancel(execution_id, by)

    def retry(self, execution_id: UUID, by: str) -> ExecutionState:
        """Take a failed or cancelled execution up again (`engine.control`)."""
        return self._control.retry(execution_id, by)
