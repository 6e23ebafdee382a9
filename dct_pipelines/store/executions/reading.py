"""Finding and locking executions and their attempts; which attempts a sweep has to look at."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, DateTime, Select, and_, bindparam, func, select

from dct_pipelines.domain.errors import NotFound, StaleAttempt
from dct_pipelines.domain.execution import AttemptState, ExecutionState
from dct_pipelines.store.executions.filters import older_than
from dct_pipelines.store.executions.rows import Attempt, Execution, to_attempt, to_execution
from dct_pipelines.store.tables import execution_attempts, trigger_executions

LIVE = (AttemptState.DISPATCHED, AttemptState.RUNNING)
_ATTEMPT = execution_attempts.c
_EXECUTION = trigger_executions.c
_LOCK = select(trigger_executions).where(_EXECUTION.id == bindparam("the_execution")).with_for_update()
_FENCE = (
    select(_EXECUTION.id)
    .where(
        _EXECUTION.id == bindparam("the_execution"),
        _EXECUTION.attempt == bindparam("the_attempt"),
        _EXECUTION.status == ExecutionState.RUNNING,
    )
    .with_for_update()
)


def heartbeat_is_stale(seconds: float) -> ColumnElement[bool]:
    """Whether a running attempt has given no sign of life for that long."""
    last = func.coalesce(_ATTEMPT.heartbeat_at, _ATTEMPT.started_at, type_=DateTime(timezone=True))
    return and_(_ATTEMPT.state == AttemptState.RUNNING, older_than(last, seconds))


def lock(connection: Connection, execution_id: UUID) -> Execution:
    """The execution, locked until the end of the transaction; NotFound when there is none."""
    row = connection.execute(_LOCK, {"the_execution": execution_id}).one_or_none()
    if row is None:
        raise NotFound(f"there is no execution {execution_id}; list them with `dct execution list`")
    return to_execution(row._mapping)


def try_lock(connection: Connection, execution_id: UUID) -> Execution | None:
    """The same, or None when somebody else holds it now."""
    statement = select(trigger_executions).where(_EXECUTION.id == execution_id)
    row = connection.execute(statement.with_for_update(skip_locked=True)).one_or_none()
    return to_execution(row._mapping) if row is not None else None


def fence(connection: Connection, execution_id: UUID, attempt: int) -> None:
    """Lock the execution for a write of that attempt; StaleAttempt when it does not hold it any more."""
    held = connection.execute(_FENCE, {"the_execution": execution_id, "the_attempt": attempt}).one_or_none()
    if held is None:
        raise stale(lock(connection, execution_id), attempt)


def check_holds(execution: Execution, attempt: int) -> None:
    """The same for an execution that is locked already."""
    if execution.status is not ExecutionState.RUNNING or execution.attempt != attempt:
        raise stale(execution, attempt)


def stale(execution: Execution, attempt: int) -> StaleAttempt:
    """The refusal of a write by an attempt that does not hold the execution."""
    return StaleAttempt(
        f"attempt {attempt} no longer holds execution {execution.id}, which is {execution.status} "
        f"with attempt {execution.attempt}; what it was doing is not recorded"
    )


def attempts(connection: Connection, execution_id: UUID, stale_seconds: float) -> tuple[Attempt, ...]:
    """Every attempt of the execution, the first one first."""
    rows = connection.execute(_attempts(stale_seconds), {"the_execution": execution_id})
    return tuple(map(to_attempt, rows))


@cache
def _attempts(stale_seconds: float) -> Select[Any]:
    return (
        select(execution_attempts, heartbeat_is_stale(stale_seconds).label("is_stale"))
        .where(_ATTEMPT.execution_id == bindparam("the_execution"))
        .order_by(_ATTEMPT.attempt)
    )


def execution_of_run(connection: Connection, run_id: str) -> UUID | None:
    """The execution that this run worked on as one of its attempts."""
    return connection.scalar(select(_ATTEMPT.execution_id).where(_ATTEMPT.run_id == run_id).limit(1))


def attempts_with_run(connection: Connection, execution: Execution) -> int:
    """How many attempts had a run since the execution was made or last asked for by hand.

    Those that stepped aside for another execution, which are `cancelled`, do not count.
    """
    counted = select(func.count()).where(
        _ATTEMPT.execution_id == execution.id,
        _ATTEMPT.attempt > execution.tried_before,
        _ATTEMPT.run_id.is_not(None),
        _ATTEMPT.state != AttemptState.CANCELLED,
    )
    return connection.scalar(counted) or 0


def live_attempts(
    connection: Connection, stale_seconds: float, dispatched_seconds: float
) -> Sequence[tuple[Attempt, bool]]:
    """Attempts that are dispatched or running, and whether a dispatched one should have begun by now."""
    statement = (
        select(
            execution_attempts,
            heartbeat_is_stale(stale_seconds).label("is_stale"),
            and_(
                _ATTEMPT.state == AttemptState.DISPATCHED,
                older_than(_ATTEMPT.dispatched_at, dispatched_seconds),
            ).label("is_late"),
        )
        .where(_ATTEMPT.state.in_(LIVE))
        .order_by(_ATTEMPT.dispatched_at)
    )
    return [(to_attempt(row), bool(row.is_late)) for row in connection.execute(statement)]


def ended_runs(
    connection: Connection, run_ids: Collection[str], after_seconds: float
) -> dict[str, AttemptState]:
    """Of these runs, those whose attempt ended so long ago that they must be over, and how it ended."""
    statement = select(_ATTEMPT.run_id, _ATTEMPT.state).where(
        _ATTEMPT.run_id.in_(run_ids),
        _ATTEMPT.state.not_in(LIVE),
        _ATTEMPT.ended_at < func.clock_timestamp() - timedelta(seconds=after_seconds),
    )
    return {row.run_id: AttemptState(row.state) for row in connection.execute(statement)}


def overdue(connection: Connection, grace_seconds: float) -> Sequence[UUID]:
    """Executions that still run although their deadline passed more than `grace_seconds` ago."""
    statement = select(_EXECUTION.id).where(
        _EXECUTION.status == ExecutionState.RUNNING,
        _EXECUTION.deadline_at < func.clock_timestamp() - timedelta(seconds=grace_seconds),
    )
    return connection.scalars(statement).all()


def outlived(connection: Connection) -> Sequence[UUID]:
    """Executions that run, and whose attempt gave a sign of life after their deadline."""
    statement = (
        select(_EXECUTION.id)
        .join(execution_attempts, _ATTEMPT.execution_id == _EXECUTION.id)
        .where(
            _EXECUTION.status == ExecutionState.RUNNING,
            _ATTEMPT.attempt == _EXECUTION.attempt,
            _ATTEMPT.heartbeat_at >= _EXECUTION.deadline_at,
        )
    )
    return connection.scalars(statement).all()


def cancelling(connection: Connection, seconds: float) -> Sequence[UUID]:
    """Executions that were asked to stop more than `seconds` ago and have not."""
    statement = select(_EXECUTION.id).where(
        _EXECUTION.status.in_([ExecutionState.RUNNING, ExecutionState.DISPATCHED]),
        _EXECUTION.cancel_requested_at.is_not(None),
        older_than(_EXECUTION.cancel_requested_at, seconds),
    )
    return connection.scalars(statement).all()
