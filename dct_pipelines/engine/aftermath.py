"""What follows when an attempt fails or is lost: another attempt after a pause, or the end."""

from __future__ import annotations

from datetime import datetime

from dct_pipelines.domain.execution import AttemptState, ExecutionState
from dct_pipelines.domain.trigger import RetryPolicy
from dct_pipelines.domain.words import WaitReason
from dct_pipelines.store.executions import Connection, reading
from dct_pipelines.store.executions.rows import Execution
from dct_pipelines.store.executions.transitions import Wait, transition

LONGEST_BACKOFF_SECONDS = 600.0
LONGEST_OUTAGE_PAUSE_SECONDS = 60.0
THROTTLED_ATTEMPTS_FACTOR = 10
"""Being asked to wait is no failure: it may happen so much oftener before an execution is given up."""
LEASE_PAUSE_SECONDS = 15.0
"""After a run has waited in vain for what another execution holds."""


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
    is_outage: bool = False,
    not_before: datetime | None = None,
) -> Execution:
    """End the current attempt of a locked execution and return the execution as it then is.

    Asked to stop, it is cancelled. After something that passes it waits for its next attempt, as long as its
    trigger's policy allows one; `at_once` says that no run ever began, which neither counts nor pauses.
    `is_outage` says that the deployment itself (its disk, its database) stood in the way: giving up would
    gain nothing, so it is tried again until that is over. `not_before` is what a provider asked for.
    """
    if execution.cancel_requested_at is not None:
        return _cancelled(connection, execution, ends)
    policy = execution.limits.retry
    begun = reading.attempts_with_run(connection, execution)
    follows = f"{message}; attempt {execution.attempt + 1} follows"
    if at_once:
        return transition(
            connection, execution.id, ExecutionState.WAITING, attempt_ends=ends, message=follows
        )
    allowed = policy.max_attempts * (THROTTLED_ATTEMPTS_FACTOR if not_before is not None else 1)
    if is_transient and (is_outage or begun < allowed):
        pause = backoff_seconds(policy, begun)
        pause = min(pause, LONGEST_OUTAGE_PAUSE_SECONDS) if is_outage else pause
        return transition(
            connection,
            execution.id,
            ExecutionState.WAITING,
            wait=Wait(WaitReason.RETRY_BACKOFF, follows, pause, not_before),
            attempt_ends=ends,
            message=follows,
            is_transient=True,
        )
    if is_transient:
        message = f"{message}; none of {allowed} attempts is left"
    return transition(
        connection,
        execution.id,
        ExecutionState.FAILED,
        attempt_ends=ends,
        message=message,
        is_transient=is_transient,
    )


def step_aside(connection: Connection, execution: Execution, message: str, reason: WaitReason) -> Execution:
    """End the current attempt of a locked execution, whose next action needs what others hold.

    Nothing has failed, so it waits like one that was never handed over, however often: this attempt is not
    counted. Only leases that a template names get here, and slots that a run by hand took first; admission
    sees the others.
    """
    if execution.cancel_requested_at is not None:
        return _cancelled(connection, execution, AttemptState.CANCELLED)
    return transition(
        connection,
        execution.id,
        ExecutionState.WAITING,
        wait=Wait(reason, message, LEASE_PAUSE_SECONDS),
        attempt_ends=AttemptState.CANCELLED,
        message=message,
        is_transient=True,
    )


def _cancelled(connection: Connection, execution: Execution, ends: AttemptState) -> Execution:
    said = f"cancelled by {execution.cancel_requested_by}"
    ends = AttemptState.CANCELLED if ends is AttemptState.FAILED else ends
    return transition(connection, execution.id, ExecutionState.CANCELLED, attempt_ends=ends, message=said)
