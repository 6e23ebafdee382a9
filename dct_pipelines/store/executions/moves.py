"""The statement of a move: everything that changes when an execution goes from one state to another.

The execution gets its stamps by the database's clock; the attempt that ends is marked, its leases are given
back and what it had under way is closed; the attempt that begins is opened; the trigger counts; the activity
stream is told. All of it is one statement, because half of a move is never true, and all of it hangs on the
execution's own row: where that does not move, nothing does. Each kind is built once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    DateTime,
    Insert,
    Integer,
    Interval,
    Numeric,
    Table,
    Text,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from dct_pipelines.domain.execution import AttemptState, ExecutionState
from dct_pipelines.domain.trigger import DEFAULT_TIMEOUT_SECONDS
from dct_pipelines.domain.words import DeploymentState
from dct_pipelines.store.executions.reading import LIVE
from dct_pipelines.store.prepared import Prepared
from dct_pipelines.store.tables import (
    activity,
    deployments,
    dynamic_context_triggers,
    execution_attempts,
    leases,
    trigger_executions,
)

_S = ExecutionState
_E = trigger_executions.c
_INSTANT = DateTime(timezone=True)
_TRIED_BEFORE = _E.metrics.op("->>")(literal("tried_before", Text))
_LIMIT = func.coalesce(
    cast(_E.resource_limits.op("->>")(literal("timeout_seconds", Text)), Numeric), DEFAULT_TIMEOUT_SECONDS
)
_EXECUTION = bindparam("the_execution", type_=_E.id.type)
_NUMBER = bindparam("the_number", type_=_E.attempt.type)
_CHANGED = (
    _E.attempt,
    _E.started_at,
    _E.deadline_at,
    _E.cancel_requested_at,
    _E.cancel_requested_by,
    _E.dagster_run_id.label("run_id"),
    _E.error_message,
    func.coalesce(cast(_TRIED_BEFORE, Integer), 0).label("tried_before"),
)
"""What a move may change of an `Execution`, by the names that it has there."""


@dataclass(frozen=True)
class Kind:
    """What sets one move's statement apart; everything else about a move are parameters of it.

    `is_swift`: the row was not locked and read before. It moves if it stands as nearly every one does then:
    dispatched, never tried and not to be cancelled for a run that claims it, else running, both as the
    attempt that is given; otherwise nothing happens. What else hangs on it (leases, say) is seen as it was
    when the statement began: nobody but its holder may add to that meanwhile.
    """

    to: ExecutionState
    claims: bool
    anew: bool = False
    is_first_start: bool = False
    has_deliverables: bool = False
    is_swift: bool = False


@cache
def statement(kind: Kind) -> Prepared:
    """The statement of that kind of move. It gives back what it changed of an `Execution`, and all of the row
    to a run that claims it without having read it.

    Parameters, each with `the_` before its name, without which SQLAlchemy would write them into columns of
    the same name: execution, number (of the attempt then), ends (how an attempt ends), ended (why what it had
    under way ends), message, is_transient, told; as the kind needs them run, process, wait_reason,
    wait_detail, pause (an interval), until, and deliverables.
    """
    brings_all = kind.is_swift and kind.claims
    moved = (
        update(trigger_executions)
        .where(_E.id == _EXECUTION, *(_standing(kind) if kind.is_swift else ()))
        .values(_stamps(kind))
        .returning(*(_E if brings_all else (*_CHANGED, _E.trigger_id, _E.item_id)))
        .cte("moved")
    )
    parts = [_told(kind, moved)]
    if not kind.claims:
        parts += _endings(moved)
    if kind.to in (_S.DISPATCHED, _S.RUNNING):
        parts.append(_opening(kind, moved))
    if counted := _counted(kind, moved):
        trigger = dynamic_context_triggers.c
        its = trigger.id == select(moved.c.trigger_id).scalar_subquery()
        parts.append(update(dynamic_context_triggers).where(its).values(counted).cte("counted"))
    name = "_".join(("move", *(str(value).lower() for value in astuple(kind))))
    shown = moved.c if brings_all else [moved.c[column.name] for column in _CHANGED]
    return Prepared(name, select(*shown).add_cte(*parts))


def _standing(kind: Kind) -> list[ColumnElement[bool]]:
    stands = [
        _E.status == literal(_S.DISPATCHED if kind.claims else _S.RUNNING, _E.status.type),
        _E.attempt == _NUMBER,
    ]
    if kind.claims:
        stands += [_E.cancel_requested_at.is_(None), _E.started_at.is_(None)]
    return stands


def _stamps(kind: Kind) -> dict[str, Any]:
    to = kind.to
    stamps: dict[str, Any] = {"status": literal(to, _E.status.type), "attempt": _NUMBER}
    if to in (_S.WAITING, _S.FAILED, _S.CANCELLED):
        stamps |= {
            "error_message": bindparam("the_message"),
            "error_is_transient": bindparam("the_is_transient"),
        }
    if to is _S.WAITING:
        paused = _now() + bindparam("the_pause", type_=Interval)
        stamps |= {
            "not_before": func.greatest(paused, cast(bindparam("the_until"), _INSTANT)),
            "wait_reason": bindparam("the_wait_reason"),
            "wait_detail": bindparam("the_wait_detail"),
            "completed_at": null(),
            "deadline_at": null(),
        }
    if to in (_S.DISPATCHED, _S.RUNNING):
        stamps |= {"not_before": null(), "wait_reason": null(), "wait_detail": null()}
    if to is _S.DISPATCHED:
        stamps["dispatched_at"] = _now()
    if to is _S.RUNNING:
        stamps |= {
            "dagster_run_id": bindparam("the_run"),
            "started_at": func.coalesce(_E.started_at, _now()),
            "deadline_at": _now() + _LIMIT * text("interval '1 s'"),
            "completed_at": null(),
            "error_message": null(),
            "error_is_transient": null(),
        }
    if kind.anew:
        tried = func.jsonb_build_object("tried_before", _E.attempt, type_=JSONB)
        stamps |= {"cancel_requested_at": null(), "cancel_requested_by": null()}
        stamps["metrics"] = _E.metrics.op("||")(tried)
    if to.is_final:
        stamps |= {"completed_at": _now(), "metrics": _E.metrics.op("||")(_measured())}
    if kind.has_deliverables:
        stamps["deliverables_completed"] = bindparam("the_deliverables")
    return stamps


def _measured() -> ColumnElement[Any]:
    """Figures of an execution that ends: seconds until its first start, seconds from there, attempts."""
    begun = func.coalesce(_E.started_at, _now())
    return func.jsonb_build_object(
        "waited_seconds",
        func.round(func.extract("epoch", begun - _E.created_at), 3),
        "ran_seconds",
        func.round(func.extract("epoch", _now() - begun), 3),
        "attempts",
        _E.attempt,
        type_=JSONB,
    )


def _endings(moved: CTE) -> list[CTE]:
    """Nobody works on what the attempt had under way; another attempt that takes it up says so again."""
    attempt, deployment = execution_attempts.c, deployments.c
    its = select(moved.c.attempt).exists()
    return [
        update(execution_attempts)
        .where(attempt.execution_id == _EXECUTION, or_(*(attempt.state == state for state in LIVE)), its)
        .values(state=bindparam("the_ends"), ended_at=_now(), error_message=bindparam("the_message"))
        .cte("ended"),
        delete(leases).where(leases.c.execution_id == _EXECUTION, its).cte("given_back"),
        update(deployments)
        .where(deployment.execution_id == _EXECUTION, deployment.state == DeploymentState.RUNNING, its)
        .values(state=DeploymentState.FAILED, ended_at=_now(), summary=bindparam("the_ended"))
        .cte("closed"),
    ]


def _opening(kind: Kind, moved: CTE) -> CTE:
    attempt = execution_attempts.c
    given: dict[str, Any] = {"state": literal(AttemptState.DISPATCHED, attempt.state.type)}
    if kind.to is _S.RUNNING:
        given = {
            "state": literal(AttemptState.RUNNING, attempt.state.type),
            "run_id": bindparam("the_run", type_=attempt.run_id.type),
            "process": bindparam("the_process", type_=attempt.process.type),
            "started_at": _now(),
            "heartbeat_at": _now(),
        }
    if kind.claims:
        its = (
            attempt.execution_id == _EXECUTION,
            attempt.attempt == _NUMBER,
            select(moved.c.attempt).exists(),
        )
        return update(execution_attempts).where(*its).values(given).cte("opened")
    given |= {"execution_id": _EXECUTION, "attempt": _NUMBER}
    return _inserted(execution_attempts, given, moved).cte("opened")


def _counted(kind: Kind, moved: CTE) -> dict[str, Any]:
    trigger = dynamic_context_triggers.c
    if kind.to is _S.FAILED:
        return {"failure_count": trigger.failure_count + 1}
    if kind.is_first_start:
        started = select(moved.c.started_at).scalar_subquery()
        return {"last_triggered": func.greatest(trigger.last_triggered, started)}
    return {}


def _told(kind: Kind, moved: CTE) -> CTE:
    stream = activity.c
    given = {
        "kind": literal(f"execution_{kind.to}", stream.kind.type),
        "trigger_id": moved.c.trigger_id,
        "execution_id": _EXECUTION,
        "item_id": moved.c.item_id,
        "data": bindparam("the_told", type_=stream.data.type),
    }
    return _inserted(activity, given, moved).cte("told")


def _inserted(table: Table, given: Mapping[str, Any], moved: CTE) -> Insert:
    return insert(table).from_select(list(given), select(*given.values()).select_from(moved))


def _now() -> ColumnElement[datetime]:
    return func.clock_timestamp(type_=_INSTANT)
