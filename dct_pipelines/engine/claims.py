"""May this run work on this execution? Decided purely, from the rows and what is known of other runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dct_pipelines.domain.execution import AttemptState, ExecutionState
from dct_pipelines.engine.identity import RunIdentity
from dct_pipelines.store.executions.rows import Attempt, Execution

_REOPENED_BY_HAND = (
    ExecutionState.WAITING,
    ExecutionState.FAILED,
    ExecutionState.CANCELLED,
    ExecutionState.AWAITING_DELIVERABLES,
)


@dataclass(frozen=True)
class Keep:
    """The run holds it already."""


@dataclass(frozen=True)
class Start:
    """The run takes it: as the dispatched attempt it was made for (`claims`), else as a new attempt."""

    claims: bool


@dataclass(frozen=True)
class Ask:
    """First it must be known whether that other run is over."""

    run_id: str


@dataclass(frozen=True)
class Refuse:
    """The run must do nothing. `was_held`: it held the execution and lost it."""

    because: str
    was_held: bool = False


Verdict = Keep | Start | Ask | Refuse


def decide(
    run: RunIdentity, execution: Execution, attempts: Sequence[Attempt], runs_over: Mapping[str, bool]
) -> Verdict:
    """What the run may do. `runs_over` says of other runs that were asked about whether they are over."""
    mine = next((attempt for attempt in reversed(attempts) if attempt.run_id == run.run_id), None)
    if mine is not None:
        if mine.state is AttemptState.RUNNING and mine.attempt == execution.attempt:
            return Keep()
        ending = f": {mine.error_message}" if mine.error_message else ""
        return Refuse(f"attempt {mine.attempt}, which this run was, ended as {mine.state}{ending}", True)
    is_current = run.attempt == execution.attempt
    status = execution.status
    if status is ExecutionState.DISPATCHED:
        if is_current:
            return Start(claims=True)
        return Refuse(f"attempt {execution.attempt} is about to start in a run of its own")
    if status is ExecutionState.RUNNING:
        if run.is_by_hand or is_current:
            return _overtake(attempts[-1], runs_over)
        return Refuse(f"this run was attempt {run.attempt}; attempt {execution.attempt} holds the execution")
    if run.is_by_hand and status in _REOPENED_BY_HAND:
        return Start(claims=False)
    if status is ExecutionState.COMPLETED:
        return Refuse("the execution is already completed")
    return Refuse(f"the execution is {status}, and this run was made for attempt {run.attempt}")


def _overtake(current: Attempt, runs_over: Mapping[str, bool]) -> Verdict:
    if current.is_stale or current.run_id is None or runs_over.get(current.run_id, False):
        return Start(claims=False)
    if current.run_id not in runs_over:
        return Ask(current.run_id)
    return Refuse(f"attempt {current.attempt} is at work in run {current.run_id}")
