"""The one module that moves executions and attempts from state to state.

Every move locks the row, asks the domain whether it is legal, stamps times by the database's clock, ends or
opens the attempt that goes with it, gives back leases, closes what it had under way, counts, and tells the
activity stream, and the dispatcher of what waits. Handing many waiting executions over at once is one
compare-and-set of the same kind (`store.dispatching`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Connection, DateTime, delete, func, insert, literal, update
from sqlalchemy.dialects.postgresql import JSONB

from dct_pipelines.domain.errors import IllegalTransition
from dct_pipelines.domain.execution import AttemptState, ExecutionState, check_transition
from dct_pipelines.domain.operations import DeploymentState
from dct_pipelines.domain.words import WaitReason
from dct_pipelines.store import wakeups
from dct_pipelines.store.executions.reading import LIVE, lock
from dct_pipelines.store.executions.rows import Execution, to_execution
from dct_pipelines.store.tables import (
    activity,
    deployments,
    dynamic_context_triggers,
    execution_attempts,
    leases,
    trigger_executions,
)

MAX_MESSAGE_CHARS = 8000
_S = ExecutionState
_E = trigger_executions.c
_ENDS_AS = {
    _S.COMPLETED: AttemptState.SUCCEEDED,
    _S.AWAITING_APPROVAL: AttemptState.SUCCEEDED,
    _S.AWAITING_DELIVERABLES: AttemptState.SUCCEEDED,
    _S.COMPENSATING: AttemptState.FAILED,
    _S.FAILED: AttemptState.FAILED,
    _S.CANCELLED: AttemptState.CANCELLED,
}
"""How the current attempt ends when the execution goes there; anywhere else it is lost."""


@dataclass(frozen=True)
class RunStart:
    """A run that takes an execution up. `claims` says that it is the run its dispatched attempt waits for."""

    run_id: str
    process: str
    timeout_seconds: int
    claims: bool = False
    by_hand: bool = False


@dataclass(frozen=True)
class Wait:
    """Why an execution goes back to waiting, for how long at least, and not before which moment."""

    reason: WaitReason | None = None
    detail: str | None = None
    seconds: float = 0
    until: datetime | None = None


def transition(
    connection: Connection,
    execution_id: UUID,
    to: ExecutionState,
    *,
    run: RunStart | None = None,
    wait: Wait | None = None,
    attempt_ends: AttemptState | None = None,
    message: str | None = None,
    is_transient: bool | None = None,
    values: Mapping[str, Any] | None = None,
) -> Execution:
    """Move the execution to `to` and return it as it is then; IllegalTransition when it may not go there.

    `run` is needed for RUNNING. `attempt_ends` overrides how the attempt that ends is marked, `message` says
    why, `values` are further columns of the execution, e.g. `deliverables_completed`.
    """
    before = lock(connection, execution_id)
    check_transition(before.status, to)
    if (run is None) is (to is _S.RUNNING):
        raise IllegalTransition(
            f"only a run takes an execution to {_S.RUNNING}; give one there, nowhere else"
        )
    claims = run is not None and run.claims
    if claims and before.status is not _S.DISPATCHED:
        raise IllegalTransition(f"a run cannot claim an execution that is {before.status}; dispatch it first")
    number = before.attempt
    if to in (_S.DISPATCHED, _S.RUNNING) and not claims:
        number += 1
    if not claims:
        _end_attempts(connection, execution_id, attempt_ends or _ENDS_AS.get(to, AttemptState.LOST), message)
    if to in (_S.DISPATCHED, _S.RUNNING):
        _open_attempt(connection, execution_id, number, run)
    stamps = _stamps(before, to, run, wait) | {"attempt": number}
    if to in (_S.WAITING, _S.FAILED, _S.CANCELLED):
        stamps |= {"error_message": _cut(message), "error_is_transient": is_transient}
    if to.is_final:
        stamps["metrics"] = _E.metrics.op("||")(_measured(number))
    moved = (
        update(trigger_executions).where(_E.id == execution_id).values(status=to, **stamps, **(values or {}))
    )
    after = to_execution(connection.execute(moved.returning(trigger_executions)).one())
    _count(connection, before, after)
    _tell(connection, before, after, message)
    if to is _S.WAITING:
        wakeups.notify(connection)
    return after


def create_manual(connection: Connection, values: Mapping[str, Any]) -> UUID:
    """Insert an execution that no event made, `waiting`; the caller starts it in the same transaction."""
    execution_id = uuid4()
    connection.execute(insert(trigger_executions).values(**values, id=execution_id, status=_S.WAITING))
    return execution_id


def request_cancel(connection: Connection, execution_id: UUID, by: str) -> None:
    """Note who asked to stop it; the run that works on it sees that within a heartbeat."""
    connection.execute(
        update(trigger_executions)
        .where(_E.id == execution_id, _E.cancel_requested_at.is_(None))
        .values(cancel_requested_at=_now(), cancel_requested_by=by)
    )


def note_run(connection: Connection, execution_id: UUID, attempt: int, run_id: str) -> None:
    """Remember the run of an attempt that ended before it could claim its execution."""
    row = execution_attempts.c
    connection.execute(
        update(execution_attempts)
        .where(row.execution_id == execution_id, row.attempt == attempt, row.run_id.is_(None))
        .values(run_id=run_id)
    )


def reopen(connection: Connection, execution_id: UUID, message: str) -> Execution:
    """Failed or cancelled → waiting, at once; automatic retries are counted anew from here."""
    before = lock(connection, execution_id)
    values = {"cancel_requested_at": None, "cancel_requested_by": None, "metrics": _tried_before(before)}
    if not before.status.is_final or before.status is _S.COMPLETED:
        raise IllegalTransition(
            f"only what failed or was cancelled can be tried again; it is {before.status}"
        )
    return transition(connection, execution_id, _S.WAITING, message=message, values=values)


def _not_before(wait: Wait) -> Any:
    paused = _now() + timedelta(seconds=wait.seconds) if wait.seconds else None
    if wait.until is None:
        return paused
    return wait.until if paused is None else func.greatest(paused, wait.until)


def _stamps(before: Execution, to: ExecutionState, run: RunStart | None, wait: Wait | None) -> dict[str, Any]:
    if to is _S.WAITING:
        wait = wait or Wait()
        return {
            "not_before": _not_before(wait),
            "wait_reason": wait.reason,
            "wait_detail": wait.detail,
            "completed_at": None,
            "deadline_at": None,
        }
    if to is _S.DISPATCHED:
        return {"dispatched_at": _now(), "not_before": None, "wait_reason": None, "wait_detail": None}
    if run is not None:
        stamps: dict[str, Any] = {
            "dagster_run_id": run.run_id,
            "started_at": before.started_at or _now(),
            "deadline_at": _now() + timedelta(seconds=run.timeout_seconds),
            "completed_at": None,
            "not_before": None,
            "wait_reason": None,
            "wait_detail": None,
            "error_message": None,
            "error_is_transient": None,
        }
        if run.by_hand:
            stamps |= {"cancel_requested_at": None, "cancel_requested_by": None}
            stamps["metrics"] = _tried_before(before)
        return stamps
    return {"completed_at": _now()} if to.is_final else {}


def _end_attempts(
    connection: Connection, execution_id: UUID, state: AttemptState, message: str | None
) -> None:
    attempt = execution_attempts.c
    connection.execute(
        update(execution_attempts)
        .where(attempt.execution_id == execution_id, attempt.state.in_(LIVE))
        .values(state=state, ended_at=_now(), error_message=_cut(message))
    )
    connection.execute(delete(leases).where(leases.c.execution_id == execution_id))
    _end_deployments(connection, execution_id, message)


def _end_deployments(connection: Connection, execution_id: UUID, message: str | None) -> None:
    """Nobody works on what the attempt had under way; another attempt that takes it up says so again."""
    summary = f"its run ended before it did{f': {message}' if message else ''}"
    connection.execute(
        update(deployments)
        .where(
            deployments.c.execution_id == execution_id,
            deployments.c.state == DeploymentState.RUNNING,
        )
        .values(state=DeploymentState.FAILED, ended_at=_now(), summary=_cut(summary))
    )


def _open_attempt(connection: Connection, execution_id: UUID, number: int, run: RunStart | None) -> None:
    if run is None:
        opened = {"state": AttemptState.DISPATCHED}
        connection.execute(
            insert(execution_attempts).values(execution_id=execution_id, attempt=number, **opened)
        )
        return
    running = {
        "state": AttemptState.RUNNING,
        "run_id": run.run_id,
        "process": run.process,
        "started_at": _now(),
        "heartbeat_at": _now(),
    }
    if not run.claims:
        connection.execute(
            insert(execution_attempts).values(execution_id=execution_id, attempt=number, **running)
        )
        return
    attempt = execution_attempts.c
    connection.execute(
        update(execution_attempts)
        .where(attempt.execution_id == execution_id, attempt.attempt == number)
        .values(**running)
    )


def _count(connection: Connection, before: Execution, after: Execution) -> None:
    trigger = dynamic_context_triggers.c
    if after.trigger_id is None:
        return
    counted: dict[str, Any] = {}
    if after.status is _S.FAILED:
        counted["failure_count"] = trigger.failure_count + 1
    if before.started_at is None and after.started_at is not None:
        counted["last_triggered"] = func.greatest(trigger.last_triggered, after.started_at)
    if counted:
        connection.execute(
            update(dynamic_context_triggers).where(trigger.id == after.trigger_id).values(**counted)
        )


def _tell(connection: Connection, before: Execution, after: Execution, message: str | None) -> None:
    data = {"from": before.status, "to": after.status, "attempt": after.attempt, "message": _cut(message)}
    connection.execute(
        insert(activity).values(
            kind=f"execution_{after.status}",
            trigger_id=after.trigger_id,
            execution_id=after.id,
            item_id=after.item_id,
            data={key: value for key, value in data.items() if value is not None},
        )
    )


def _measured(attempts: int) -> ColumnElement[Any]:
    """Figures of an execution that ends: seconds until its first start, seconds from there, attempts."""
    begun = func.coalesce(_E.started_at, _now())
    return func.jsonb_build_object(
        "waited_seconds",
        func.round(func.extract("epoch", begun - _E.created_at), 3),
        "ran_seconds",
        func.round(func.extract("epoch", _now() - begun), 3),
        "attempts",
        attempts,
        type_=JSONB,
    )


def _tried_before(before: Execution) -> ColumnElement[Any]:
    return _E.metrics.op("||")(literal({"tried_before": before.attempt}, JSONB))


def _now() -> ColumnElement[datetime]:
    return func.clock_timestamp(type_=DateTime(timezone=True))


def _cut(message: str | None) -> str | None:
    return message[:MAX_MESSAGE_CHARS] if message else None
