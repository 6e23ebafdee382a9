"""What follows when an attempt fails or is lost: another attempt after a pause, or the end."""

from __future__ import annotations

from dct_pipelines.domain.execution import AttemptState, ExecutionState
from dct_pipelines.domain.trigger import RetryPolicy
from dct_pipelines.domain.words import WaitReason
from dct_pipelines.store.executions import Connection, reading
from dct_pipelines.store.executions.rows import Execution
from dct_pipelines.store.executions.transitions import Wait, transition

LONGEST_BACKOFF_SECONDS = 600.0


def backoff_seconds(policy: RetryPolicy, attempts: int) -> float:
    """The pause after that many attempts: doubled each time, up to ten minutes or the policy's own pause."""
    longest = max(policy.backoff_seconds, LONGEST_BACKOFF_SECONDS)
    return min(policy.backoff_seconds * 2.0 ** min(max(attempts - 1, 0), 30), longest)


def end_attempt(
    connection: Connection,
    execution: Execution,
    message: str,
    *,
    is_transient: bool,
    ends: AttemptState = AttemptState.FAILED,
    at_once: bool = False,
) -> Execution:
    """End the current attempt of a locked execution and return the execution as it then is.

    Asked to stop, it is cancelled. After something that passes it waits for its next attempt, as long as its
    trigger's policy allows one; `at_once` says that no run ever began, which neither counts nor pauses.
    """
    if execution.cancel_requested_at is not None:
        said = f"cancelled by {execution.cancel_requested_by}"
        ends = AttemptState.CANCELLED if ends is AttemptState.FAILED else ends
        return transition(connection, execution.id, ExecutionState.CANCELLED, attempt_ends=ends, message=said)
    policy = execution.limits.retry
    begun = reading.attempts_with_run(connection, execution)
    follows = f"{message}; attempt {execution.attempt + 1} follows"
    if at_once:
        return transition(
            connection, execution.id, ExecutionState.WAITING, attempt_ends=ends, message=follows
        )
    if is_transient and begun < policy.max_attempts:
        pause = backoff_seconds(policy, begun)
        return transition(
            connection,
            execution.id,
            ExecutionState.WAITING,
            wait=Wait(WaitReason.RETRY_BACKOFF, follows, pause),
            attempt_ends=ends,
            message=follows,
            is_transient=True,
        )
    if is_transient:
        message = f"{message}; none of {policy.max_attempts} attempts is left"
    return transition(
        connection,
        execution.id,
        ExecutionState.FAILED,
        attempt_ends=ends,
        message=message,
        is_transient=is_transient,
    )
