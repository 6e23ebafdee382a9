"""The last step of a run: are all actions settled, and is what was promised really there?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from dct_pipelines.domain.at_work import working_on
from dct_pipelines.domain.deliverable import Missing, find_missing
from dct_pipelines.domain.errors import DatabaseUnavailable, StaleAttempt
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.domain.ports import ActionPorts, FindEvent
from dct_pipelines.engine.attempts import Attempts, Refused
from dct_pipelines.engine.heartbeat import Hold
from dct_pipelines.engine.identity import CloseReport, RunIdentity
from dct_pipelines.store.database import Database
from dct_pipelines.store.executions import reading
from dct_pipelines.store.executions.rows import Execution
from dct_pipelines.store.executions.transitions import complete, move
from dct_pipelines.store.patience import patiently


@dataclass(frozen=True)
class Closer:
    """Ends executions whose actions are done."""

    database: Database
    attempts: Attempts
    ports_for: Callable[[Execution, FindEvent], ActionPorts]

    def close(self, run: RunIdentity) -> CloseReport:
        """Complete the execution, or fail it with the names of what is missing. Repeatable."""
        held = self.attempts.held(run)
        if held is not None:
            # When it was lost meanwhile, that is found out below.
            with suppress(StaleAttempt), working_on(held.at()):
                return self._close(held)
        taken = self.attempts.take(run)
        if isinstance(taken, Refused):
            return CloseReport(taken.execution.status, because=taken.because, is_noop=True)
        with working_on(taken.at()):
            return self._close(taken)

    def _close(self, hold: Hold) -> CloseReport:
        unsettled = [
            step.name
            for index, step in enumerate(hold.execution.steps)
            if (result := hold.results.get(index)) is None or not result.state.is_settled
        ]
        try:
            if unsettled:
                because = f"not done: {', '.join(unsettled)}; re-execute the run from there"
                return self._end(hold, (), because)
            missing = self._missing(hold)
            because = f"deliverables are missing: {'; '.join(map(str, missing))}" if missing else ""
            return self._end(hold, missing, because)
        finally:
            self.attempts.release(hold)

    def _end(self, hold: Hold, missing: tuple[Missing, ...], because: str) -> CloseReport:
        execution = hold.execution
        to = ExecutionState.FAILED if because else ExecutionState.COMPLETED
        absent = {one.deliverable for one in missing}
        there = [name for name in execution.deliverables if name not in absent]

        def write() -> None:
            with self.database.begin() as connection:
                current = reading.lock(connection, execution.id)
                if current.status is to and current.attempt == execution.attempt:
                    return
                reading.check_holds(current, execution.attempt)
                move(
                    connection,
                    current,
                    to,
                    message=because or None,
                    is_transient=False if because else None,
                    deliverables_completed=None if because and not missing else there,
                )

        if because or not self._is_completed_at_once(execution, there):
            patiently(write, self.attempts.times.record_wait_seconds)
        return CloseReport(to, tuple(map(str, missing)), because)

    def _is_completed_at_once(self, execution: Execution, deliverables: Sequence[str]) -> bool:
        """Whether it certainly is; when not, for want of an answer too, it has to be looked at closely."""
        with suppress(DatabaseUnavailable), self.database.at_once() as connection:
            return complete(connection, execution, deliverables)
        return False

    def _missing(self, hold: Hold) -> tuple[Missing, ...]:
        execution = hold.execution
        if not execution.deliverables:
            return ()
        workspaces = self.ports_for(execution, lambda: None).workspaces
        outputs = {result.name: result.outputs for result in hold.results.values()}

        def exists(step: str, path: str) -> bool:
            place = Path(path)
            workspace = outputs[step].get("workspace_id")
            if not place.is_absolute() and isinstance(workspace, str):
                place = workspaces.directory_for(UUID(workspace)) / place
            return place.is_absolute() and place.exists()

        return find_missing(execution.deliverables, outputs, exists)
