"""The statement of a move: everything that changes when an execution goes from one state to another.

The execution gets its stamps by the database's clock; the attempt that ends is marked, its leases are given
back and what it had under way is closed; the attempt that begins is opened; the trigger counts; the activity
stream is told. All of it is one statement, because half of a move is never true. Each kind is built once.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    DateTime,
    Integer,
    Interval,
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
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from dct_pipelines.domain.execution import AttemptState, ExecutionState
from dct_pipelines.domain.operations import DeploymentState
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


@dataclass(frozen=True)
class Kind:
    """What sets one move's statement apart; everything else about a move are parameters of it."""

    to: ExecutionState
    claims: bool
    anew: bool
    is_first_start: bool
    has_trigger: bool
    has_deliverables: bool


@cache
def statement(kind: Kind) -> Prepared:
    """The statement of that kind of move, which gives back what it changed of an `Execution`.

    Parameters, each with `the_` before its name, without which SQLAlchemy would write them into columns of
    the same name: execution, trigger, item, number (of the attempt then), ends (how an attempt ends), ended
    (why what it had under way ends), message, is_transient, told; as the kind needs them run, process, limit
    (an interval), wait_reason, wait_detail, pause (an interval), until, and deliverables.
    """
    moved = (
        update(trigger_executions)
        .where(_E.id == bindparam("the_execution"))
        .values(_stamps(kind))
        .returning(
            _E.attempt,
            _E.started_at,
            _E.deadline_at,
            _E.cancel_requested_at,
            _E.cancel_requested_by,
            _E.dagster_run_id.label("run_id"),
            _E.error_message,
            func.coalesce(cast(_TRIED_BEFORE, Integer), 0).label("tried_before"),
        )
        .cte("moved")
    )
    parts = [_told(kind)]
    if not kind.claims:
        parts += _endings()
    if kind.to in (_S.DISPATCHED, _S.RUNNING):
        parts.append(_opening(kind))
    if kind.has_trigger and (counted := _counted(kind, moved)):
        trigger = dynamic_context_triggers.c
        changed = (
            update(dynamic_context_triggers).where(trigger.id == bindparam("the_trigger")).values(counted)
        )
        parts.append(changed.cte("counted"))
    name = "_".join(("move", *(str(value).lower() for value in astuple(kind))))
    return Prepared(name, select(moved).add_cte(*parts))


def _stamps(kind: Kind) -> dict[str, Any]:
    to = kind.to
    stamps: dict[str, Any] = {"status": literal(to, _E.status.type), "attempt": bindparam("the_number")}
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
            "deadline_at": _now() + bindparam("the_limit", type_=Interval),
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


def _endings() -> list[CTE]:
    """Nobody works on what the attempt had under way; another attempt that takes it up says so again."""
    attempt, deployment = execution_attempts.c, deployments.c
    return [
        update(execution_attempts)
        .where(
            attempt.execution_id == bindparam("the_execution"),
            or_(*(attempt.state == state for state in LIVE)),
        )
        .values(state=bindparam("the_ends"), ended_at=_now(), error_message=bindparam("the_message"))
        .cte("ended"),
        delete(leases).where(leases.c.execution_id == bindparam("the_execution")).cte("given_back"),
        update(deployments)
        .where(
            deployment.execution_id == bindparam("the_execution"), deployment.state == DeploymentState.RUNNING
        )
        .values(state=DeploymentState.FAILED, ended_at=_now(), summary=bindparam("the_ended"))
        .cte("closed"),
    ]


def _opening(kind: Kind) -> CTE:
    attempt = execution_attempts.c
    key: dict[str, Any] = {"execution_id": bindparam("the_execution"), "attempt": bindparam("the_number")}
    if kind.to is _S.DISPATCHED:
        return insert(execution_attempts).values(**key, state=AttemptState.DISPATCHED).cte("opened")
    running = {
        "state": AttemptState.RUNNING,
        "run_id": bindparam("the_run"),
        "process": bindparam("the_process"),
        "started_at": _now(),
        "heartbeat_at": _now(),
    }
    if not kind.claims:
        return insert(execution_attempts).values(**key, **running).cte("opened")
    mine = (attempt.execution_id == bindparam("the_execution"), attempt.attempt == bindparam("the_number"))
    return update(execution_attempts).where(*mine).values(**running).cte("opened")


def _counted(kind: Kind, moved: CTE) -> dict[str, Any]:
    trigger = dynamic_context_triggers.c
    if kind.to is _S.FAILED:
        return {"failure_count": trigger.failure_count + 1}
    if kind.is_first_start:
        started = select(moved.c.started_at).scalar_subquery()
        return {"last_triggered": func.greatest(trigger.last_triggered, started)}
    return {}


def _told(kind: Kind) -> CTE:
    told = insert(activity).values(
        kind=f"execution_{kind.to}",
        trigger_id=bindparam("the_trigger"),
        execution_id=bindparam("the_execution"),
        item_id=bindparam("the_item"),
        data=bindparam("the_told"),
    )
    return told.cte("told")


def _now() -> ColumnElement[datetime]:
    return func.clock_timestamp(type_=_INSTANT)
