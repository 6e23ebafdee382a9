"""What may stop an action in the middle, and what its end then means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dct_pipelines.domain.errors import (
    ActionFailed,
    ActionInterrupted,
    DctError,
    ExecutionCancelled,
    ExecutionTimedOut,
    StaleAttempt,
)
from dct_pipelines.domain.ports import Clock
from dct_pipelines.engine.heartbeat import Heartbeats, Hold
from dct_pipelines.store.executions.rows import Execution


@dataclass
class Watch:
    """Watches one action. `told` is the reason for which the action was first told to stop.

    An action that was told to stop fails in its own words ("the command was killed"); the reason behind it is
    what people must read and what decides whether it is tried again.
    """

    execution: Execution
    hold: Hold
    heartbeats: Heartbeats
    clock: Clock
    is_cancelled: Callable[[], bool]
    told: DctError | None = field(default=None, init=False)

    def interruption(self) -> DctError | None:
        """Why the action must stop now, or None."""
        execution = self.execution
        if self.hold.is_over:
            return StaleAttempt(f"attempt {execution.attempt} no longer holds execution {execution.id}")
        if self.hold.is_cancel_requested:
            return ExecutionCancelled("the execution was cancelled")
        if self.is_cancelled():
            return ExecutionCancelled("the run was cancelled")
        if execution.deadline_at is not None and self.clock.now() >= execution.deadline_at:
            limit = execution.limits.timeout_seconds
            return ExecutionTimedOut(
                f"timed out: the execution ran longer than its limit of {limit} s; raise timeout_seconds "
                "or look what hangs"
            )
        if not self.heartbeats.is_renewed(self.hold):
            return ActionInterrupted("the attempt could not renew its hold on the execution and stopped")
        return None

    def check(self) -> None:
        """Raise why it must stop, if it must."""
        if (reason := self.interruption()) is not None:
            raise reason

    def must_stop(self) -> bool:
        """What the action asks between its steps; the first reason is remembered."""
        if self.told is None:
            self.told = self.interruption()
        return self.told is not None

    def verdict_on(self, error: Exception) -> DctError:
        """The error that is recorded for what the action raised."""
        if isinstance(error, StaleAttempt | ExecutionCancelled | ExecutionTimedOut):
            return error
        reason = self.told or self.interruption()
        if reason is not None:
            if reason is error:
                return reason
            return type(reason)(f"{reason} ({error})")
        if isinstance(error, DctError):
            return error
        return ActionFailed(f"unexpected {type(error).__name__}: {error}; this is a fault of the action")
