"""The last step of a run: are all actions settled, and is what was promised really there?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from dct_pipelines.domain.deliverable import Missing, find_missing
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.domain.ports import ActionPorts
from dct_pipelines.engine.attempts import Attempts, Refused, Taken
from dct_pipelines.engine.identity import CloseReport, RunIdentity
from dct_pipelines.store.database import Database
from dct_pipelines.store.executions import reading
from dct_pipelines.store.executions.rows import Execution
from dct_pipelines.store.executions.transitions import transition
from dct_pipelines.store.patience import patiently


@dataclass(frozen=True)
class Closer:
    """Ends executions whose actions are done."""

    database: Database
    attempts: Attempts
    ports_for: Callable[[Execution, None], ActionPorts]

    def close(self, run: RunIdentity) -> CloseReport:
        """Complete the execution, or fail it with the names of what is missing. Repeatable."""
        taken = self.attempts.take(run)
        if isinstance(taken, Refused):
            return CloseReport(taken.execution.status, because=taken.because, is_noop=True)
        execution = taken.execution
        unsettled = [
            step.name
            for index, step in enumerate(execution.steps)
            if (result := taken.results.get(index)) is None or not result.state.is_settled
        ]
        try:
            if unsettled:
                because = f"not done: {', '.join(unsettled)}; re-execute the run from there"
                return self._end(taken, (), because)
            missing = self._missing(taken)
            because = f"deliverables are missing: {'; '.join(map(str, missing))}" if missing else ""
            return self._end(taken, missing, because)
        finally:
            self.attempts.release(taken)

    def _end(self, taken: Taken, missing: tuple[Missing, ...], because: str) -> CloseReport:
        execution = taken.execution
        to = ExecutionState.FAILED if because else ExecutionState.COMPLETED
        absent = {one.deliverable for one in missing}
        there = [name for name in execution.deliverables if name not in absent]

        def write() -> None:
            with self.database.begin() as connection:
                if reading.lock(connection, execution.id).status is to:
                    return
                reading.fence(connection, execution.id, execution.attempt)
                transition(
                    connection,
                    execution.id,
                    to,
                    message=because or None,
                    is_transient=False if because else None,
                    values={} if because and not missing else {"deliverables_completed": there},
                )

        patiently(write, self.attempts.times.record_wait_seconds)
        return CloseReport(to, tuple(map(str, missing)), because)

    def _missing(self, taken: Taken) -> tuple[Missing, ...]:
        execution = taken.execution
        if not execution.deliverables:
            return ()
        workspaces = self.ports_for(execution, None).workspaces
        outputs = {result.name: result.outputs for result in taken.results.values()}

        def exists(step: str, path: str) -> bool:
            place = Path(path)
            workspace = outputs[step].get("workspace_id")
            if not place.is_absolute() and isinstance(workspace, str):
                place = workspaces.directory_for(UUID(workspace)) / place
            return place.is_absolute() and place.exists()

        return find_missing(execution.deliverables, outputs, exists)
