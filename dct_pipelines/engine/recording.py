"""Writing down what happened to an action, fenced, and however long the database takes to come back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dct_pipelines.domain.errors import (
    DctError,
    ExecutionCancelled,
    LeaseBusy,
    Scope,
    StaleAttempt,
    Throttled,
)
from dct_pipelines.domain.execution import AttemptState, ExecutionState
from dct_pipelines.domain.words import ResultState
from dct_pipelines.engine.aftermath import end_attempt, step_aside
from dct_pipelines.engine.heartbeat import Hold
from dct_pipelines.engine.identity import ActionReport
from dct_pipelines.engine.prepare import idempotency_key
from dct_pipelines.engine.times import Times
from dct_pipelines.store.database import Database
from dct_pipelines.store.executions import Connection, reading, results
from dct_pipelines.store.executions.results import Recorded
from dct_pipelines.store.executions.rows import Execution
from dct_pipelines.store.executions.transitions import move
from dct_pipelines.store.patience import patiently


@dataclass(frozen=True)
class Recorder:
    """Records results. Each write is refused with StaleAttempt once another attempt holds the execution."""

    database: Database
    times: Times

    def started(self, hold: Hold, index: int, config: Mapping[str, Any]) -> None:
        """Say that the action begins; from here on it may or may not have happened.

        Nothing is said when somebody has asked to stop the execution, which the hold then knows.
        """
        self._write(hold, index, state=ResultState.STARTED, config=config)

    def settled(
        self, hold: Hold, index: int, report: ActionReport, *, log: Callable[[str], None]
    ) -> ActionReport:
        """Say how it went; done work waits here for a database that is away."""
        self._write(
            hold,
            index,
            state=ResultState(report.state),
            summary=report.summary,
            outputs=report.outputs,
            links=report.links,
            log=log,
        )
        return report

    def failed(self, hold: Hold, index: int, error: DctError) -> DctError:
        """Say that it failed, and end the attempt by the execution's policy; returns the error to raise."""
        if isinstance(error, StaleAttempt):
            return error
        try:
            patiently(lambda: self._fail(hold.execution, index, error), self.times.record_wait_seconds)
        except StaleAttempt as stale:
            return stale
        return error

    def _write(
        self, hold: Hold, index: int, *, log: Callable[[str], None] | None = None, **columns: Any
    ) -> None:
        def write() -> Recorded:
            with self.database.at_once() as connection:
                return _record(connection, hold.execution, index, **columns)

        recorded = patiently(write, self.times.record_wait_seconds, log=log)
        hold.is_cancel_requested |= recorded.is_cancel_requested
        if recorded.result is not None:
            hold.results[index] = recorded.result

    def _fail(self, execution: Execution, index: int, error: DctError) -> None:
        with self.database.begin() as connection:
            current = reading.lock(connection, execution.id)
            if self._is_recorded(connection, execution):
                return
            reading.check_holds(current, execution.attempt)
            message = str(error)
            if isinstance(error, LeaseBusy):
                message = f"{execution.steps[index].name}: {message}"
                step_aside(connection, current, message, error.wait_reason)
                return
            if index < len(execution.steps):
                _record(connection, execution, index, state=ResultState.FAILED, error_message=message)
                message = f"{execution.steps[index].name}: {message}"
            if isinstance(error, ExecutionCancelled) and current.cancel_requested_at is None:
                move(connection, current, ExecutionState.CANCELLED, message=message)
            else:
                end_attempt(
                    connection,
                    current,
                    message,
                    is_transient=error.transient,
                    is_outage=error.scope is Scope.SYSTEM,
                    not_before=error.not_before if isinstance(error, Throttled) else None,
                )

    def _is_recorded(self, connection: Connection, execution: Execution) -> bool:
        """Whether an earlier try was committed although its answer got lost. The execution is locked."""
        ended = {AttemptState.FAILED, AttemptState.CANCELLED}
        return any(
            attempt.attempt == execution.attempt and attempt.state in ended
            for attempt in reading.attempts(connection, execution.id, self.times.stale_seconds)
        )


def _record(connection: Connection, execution: Execution, index: int, **columns: Any) -> Recorded:
    key = idempotency_key(execution.id, index)
    step = execution.steps[index]
    return results.record(connection, execution.id, execution.attempt, index, step, key=key, **columns)
