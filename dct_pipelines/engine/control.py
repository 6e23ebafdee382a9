"""What people may ask of an execution: stop it, or take it up again."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from dct_pipelines.domain.errors import IllegalTransition
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.domain.gateway import RunGateway
from dct_pipelines.store.database import Database
from dct_pipelines.store.executions import reading
from dct_pipelines.store.executions.transitions import reopen, request_cancel, transition

AT_WORK = (ExecutionState.DISPATCHED, ExecutionState.RUNNING)


@dataclass(frozen=True)
class Control:
    """Cancels and retries. Without a gateway a run hears of it from its heartbeat only."""

    database: Database
    gateway: RunGateway | None

    def cancel(self, execution_id: UUID, by: str) -> ExecutionState:
        """Stop it: at once if nothing works on it, else as soon as its run notices; returns its state now.

        NotFound, or IllegalTransition when it has ended already.
        """
        message = f"cancelled by {by}"
        with self.database.begin() as connection:
            execution = reading.lock(connection, execution_id)
            if execution.status.is_final:
                raise IllegalTransition(f"it is {execution.status} already; there is nothing to stop")
            if execution.status not in AT_WORK:
                return transition(connection, execution_id, ExecutionState.CANCELLED, message=message).status
            request_cancel(connection, execution_id, by)
        if self.gateway is not None:
            for run in self.gateway.find_runs(execution_id):
                if not run.is_over:
                    self.gateway.cancel(run.run_id)
        return execution.status

    def retry(self, execution_id: UUID, by: str) -> ExecutionState:
        """Failed or cancelled → waiting, at once. What was done stays done, what failed is tried again.

        NotFound, or IllegalTransition when it is in another state.
        """
        with self.database.begin() as connection:
            return reopen(connection, execution_id, f"asked for again by {by}").status
