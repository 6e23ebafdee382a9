"""The one module that moves executions and attempts from state to state.

A move locks the row, asks the domain whether it is legal, and writes everything that changes with it by one
statement (`store.executions.moves`). The two that every execution makes, its first claim and its completion,
are that statement alone, on condition that the row stands as it nearly always does. Handing many waiting
executions over at once is one compare-and-set of the same kind (`store.dispatching`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, func, insert, update

from dct_pipelines.domain.errors import IllegalTransition, NotFound
from dct_pipelines.domain.execution import AttemptState, ExecutionState, check_transition
from dct_pipelines.domain.words import WaitReason
from dct_pipelines.store import wakeups
from dct_pipelines.store.executions.moves import Kind, statement
from dct_pipelines.store.executions.reading import lock
from dct_pipelines.store.executions.rows import Execution, to_execution
from dct_pipelines.store.tables import execution_attempts, trigger_executions

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
_UNTRIED = Kind(_S.RUNNING, claims=True, is_first_start=True, is_swift=True)
_COMPLETED = Kind(_S.COMPLETED, claims=False, has_deliverables=True, is_swift=True)


@dataclass(frozen=True)
class RunStart:
    """A run that takes an execution up. `claims` says that it is the run its dispatched attempt waits for."""

    run_id: str
    process: str
    claims: bool = False
    by_hand: bool = False


@dataclass(frozen=True)
class Wait:
    """Why an execution goes back to waiting, for how long at least, and not before which moment.

    `anew`: somebody asked for it again, so that what was asked before and what was tried no longer counts.
    """

    reason: WaitReason | None = None
    detail: str | None = None
    seconds: float = 0
    until: datetime | None = None
    anew: bool = False


def transition(connection: Connection, execution_id: UUID, to: ExecutionState, **how: Any) -> Execution:
    """Lock the execution and `move` it."""
    return move(connection, lock(connection, execution_id), to, **how)


def move(
    connection: Connection,
    before: Execution,
    to: ExecutionState,
    *,
    run: RunStart | None = None,
    wait: Wait | None = None,
    attempt_ends: AttemptState | None = None,
    message: str | None = None,
    is_transient: bool | None = None,
    deliverables_completed: Sequence[str] | None = None,
) -> Execution:
    """Move a locked execution and return it as it is then; IllegalTransition when it may not go there.

    `run` is needed for RUNNING. `attempt_ends` overrides how the attempt that ends is marked, `message` says
    why.
    """
    check_transition(before.status, to)
    if (run is None) is (to is _S.RUNNING):
        raise IllegalTransition(
            f"only a run takes an execution to {_S.RUNNING}; give one there, nowhere else"
        )
    claims = run is not None and run.claims
    if claims and before.status is not _S.DISPATCHED:
        raise IllegalTransition(f"a run cannot claim an execution that is {before.status}; dispatch it first")
    opens = to in (_S.DISPATCHED, _S.RUNNING) and not claims
    wait = wait or Wait()
    values: dict[str, Any] = {
        "the_execution": before.id,
        "the_number": before.attempt + opens,
        "the_ends": attempt_ends or _ENDS_AS.get(to, AttemptState.LOST),
        "the_message": _cut(message),
        "the_is_transient": is_transient,
        "the_ended": _cut(f"its run ended before it did{f': {message}' if message else ''}"),
        "the_told": _told(before.status, to, before.attempt + opens, message),
        "the_wait_reason": wait.reason,
        "the_wait_detail": wait.detail,
        "the_pause": timedelta(seconds=wait.seconds) if wait.seconds else None,
        "the_until": wait.until,
        "the_deliverables": list(deliverables_completed or ()),
    }
    if run is not None:
        values |= {"the_run": run.run_id, "the_process": run.process}
    kind = Kind(
        to,
        claims=claims,
        anew=wait.anew or (run is not None and run.by_hand),
        is_first_start=to is _S.RUNNING and before.started_at is None,
        has_deliverables=deliverables_completed is not None,
    )
    changed = statement(kind).one(connection, values)
    if changed is None:
        raise NotFound(f"execution {before.id} is gone; list them with `dct execution list`")
    if to is _S.WAITING:
        wakeups.notify(connection)
    return replace(before, **changed, status=to)


def claim_untried(connection: Connection, execution_id: UUID, run: RunStart) -> Execution | None:
    """Take an execution that was dispatched for its first attempt, by one statement, with no lock before it.

    None, and nothing is changed, unless it stands exactly as the dispatcher left it: then it must be read.
    """
    values = {
        "the_execution": execution_id,
        "the_number": 1,
        "the_told": _told(_S.DISPATCHED, _S.RUNNING, 1, None),
        "the_run": run.run_id,
        "the_process": run.process,
    }
    row = statement(_UNTRIED).one_typed(connection, values)
    return None if row is None else to_execution(row)


def complete(connection: Connection, execution: Execution, deliverables: Sequence[str]) -> bool:
    """Complete an execution that runs as its attempt, by one statement, with no lock before it.

    False, and nothing is changed, when it does not: then it must be read.
    """
    values = {
        "the_execution": execution.id,
        "the_number": execution.attempt,
        "the_ends": AttemptState.SUCCEEDED,
        "the_message": None,
        "the_ended": "its run ended before it did",
        "the_told": _told(_S.RUNNING, _S.COMPLETED, execution.attempt, None),
        "the_deliverables": list(deliverables),
    }
    return statement(_COMPLETED).one(connection, values) is not None


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
        .values(cancel_requested_at=func.clock_timestamp(), cancel_requested_by=by)
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
    if not before.status.is_final or before.status is _S.COMPLETED:
        raise IllegalTransition(
            f"only what failed or was cancelled can be tried again; it is {before.status}"
        )
    return move(connection, before, _S.WAITING, wait=Wait(anew=True), message=message)


def _told(before: ExecutionState, to: ExecutionState, attempt: int, message: str | None) -> dict[str, Any]:
    data = {"from": before, "to": to, "attempt": attempt, "message": _cut(message)}
    return {key: value for key, value in data.items() if value is not None}


def _cut(message: str | None) -> str | None:
    return message[:MAX_MESSAGE_CHARS] if message else None
