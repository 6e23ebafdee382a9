"""Slots: one row for each live agent and workspace. They are the truth of what is in use.

An agent's slot lives by its heartbeat. A workspace's slot lives as long as its row in `workspaces` is not
archived, or as the execution that is about to make it is at work: it needs no heartbeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    case,
    cast,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    update,
)

from dct_pipelines.domain.errors import QuotaFull
from dct_pipelines.domain.quotas import HIGH_PRIORITY, AgentClass, Quotas, SlotKind, Usage, refusal
from dct_pipelines.domain.words import WorkspaceState
from dct_pipelines.store.executions.filters import IS_HOLDING, older_than
from dct_pipelines.store.tables import dynamic_context_triggers, slots, trigger_executions, workspaces

SLOT_LOCK = 7_266_012
"""Advisory lock of whoever counts slots in order to change them; `usage` alone needs none."""
_SLOT = slots.c
_EXECUTION = trigger_executions.c
_IS_LIVE = workspaces.c.state != WorkspaceState.ARCHIVED


@dataclass(frozen=True)
class Slot:
    """A slot and for which attempt it is taken. `agent_class` is that of an agent, None of a workspace."""

    kind: SlotKind
    holder: UUID
    agent_class: AgentClass | None = None
    execution_id: UUID | None = None
    attempt: int | None = None


def usage(connection: Connection) -> Usage:
    """What is in use: slots, and what executions at work will take and have not taken yet."""
    return _usage(_counts(connection))


def usage_beyond_runs(connection: Connection) -> Usage:
    """What is in use beyond one for each execution at work that takes any of a kind.

    To be taken off a limit that counts the runs of such executions, one each. Negative where an execution
    that needed something needs it no more.
    """
    row = _counts(connection)
    used = _usage(row)
    return Usage(
        agents=used.agents - row.with_agents,
        standard_agents=used.standard_agents - row.with_standard_agents,
        workspaces=used.workspaces - row.with_workspaces,
    )


def limits_of_triggers(connection: Connection) -> dict[str, int]:
    """How many executions may run at once of each trigger that has such a limit and work under way."""
    return {row.name: row.most for row in connection.execute(_limited_triggers())}


def take(connection: Connection, slot: Slot, quotas: Quotas) -> None:
    """Take a slot, or keep one that this holder has; QuotaFull when there is none left.

    Exact, whoever else takes one at the same time: they go one after the other, each until its commit.
    """
    _lock(connection)
    beat = func.clock_timestamp() if slot.kind is SlotKind.AGENT else None
    current = {"execution_id": slot.execution_id, "attempt": slot.attempt, "heartbeat_at": beat}
    kept = update(slots).where(*_is(slot.kind, slot.holder)).values(**current)
    if connection.execute(kept).rowcount:
        return
    row = connection.execute(_taken()).one()
    used = Usage(agents=row.agents, standard_agents=row.standard_agents, workspaces=row.workspaces)
    if (because := refusal(quotas, used, slot.kind, slot.agent_class)) is not None:
        raise QuotaFull(because, kind=slot.kind)
    made = {"kind": slot.kind, "holder": slot.holder, "agent_class": slot.agent_class}
    connection.execute(insert(slots).values(**made, **current))


def renew(connection: Connection, agent_id: UUID) -> bool:
    """A sign of life of an agent; False when its slot is gone, and it must not go on."""
    statement = update(slots).where(*_is(SlotKind.AGENT, agent_id))
    return connection.execute(statement.values(heartbeat_at=func.clock_timestamp())).rowcount > 0


def give_back(connection: Connection, kind: SlotKind, holder: UUID) -> None:
    """Free the slot; nothing happens when there is none."""
    connection.execute(delete(slots).where(*_is(kind, holder)))


def reclaim(connection: Connection, stale_seconds: float) -> list[str]:
    """Free the slots of the dead, and say which: of agents silent for so long, of workspaces gone."""
    _lock(connection)
    has_row = exists().where(workspaces.c.id == _SLOT.holder, _IS_LIVE)
    is_awaited = exists().where(_EXECUTION.id == _SLOT.execution_id, IS_HOLDING)
    dead = or_(
        (_SLOT.kind == SlotKind.AGENT) & older_than(_SLOT.heartbeat_at, stale_seconds),
        (_SLOT.kind == SlotKind.WORKSPACE) & ~has_row & ~is_awaited,
    )
    freed = connection.execute(delete(slots).where(dead).returning(_SLOT.kind, _SLOT.holder))
    return [f"{row.kind} {row.holder}" for row in freed]


def renew_workspaces(connection: Connection) -> None:
    """Give every live workspace its slot, full or not: those that an older release made had none."""
    _lock(connection)
    has_slot = exists().where(*_is(SlotKind.WORKSPACE, workspaces.c.id))
    live = select(literal(SlotKind.WORKSPACE.value), workspaces.c.id, workspaces.c.execution_id).where(
        _IS_LIVE, ~has_slot
    )
    connection.execute(insert(slots).from_select(["kind", "holder", "execution_id"], live))


def _lock(connection: Connection) -> None:
    connection.execute(select(func.pg_advisory_xact_lock(SLOT_LOCK)))


def _is(kind: SlotKind, holder: UUID | ColumnElement[UUID]) -> tuple[ColumnElement[bool], ...]:
    return _SLOT.kind == kind, _SLOT.holder == holder


@cache
def _limited_triggers() -> Select[Any]:
    trigger = dynamic_context_triggers.c
    most = trigger.resource_limits["max_concurrent_executions"].as_integer()
    works = exists().where(_EXECUTION.trigger_id == trigger.id, IS_HOLDING)
    return select(trigger.name, most.label("most")).where(works, most.is_not(None))


def _counts(connection: Connection) -> Row[Any]:
    return connection.execute(_taken_and_expected()).one()


@cache
def _taken_and_expected() -> Select[Any]:
    """Built once: it is asked at every pass of the queue."""
    taken, expected = _taken().subquery(), _expected().subquery()
    return select(taken, expected).select_from(taken.join(expected, true()))


def _usage(row: Row[Any]) -> Usage:
    return Usage(
        executions=row.executions,
        agents=row.agents + row.expected_agents,
        standard_agents=row.standard_agents + row.expected_standard_agents,
        workspaces=row.workspaces + row.expected_workspaces,
    )


def _taken() -> Select[Any]:
    """Agents, standard agents and workspaces that have a slot: one row."""
    is_agent, is_workspace = _SLOT.kind == SlotKind.AGENT, _SLOT.kind == SlotKind.WORKSPACE
    is_standard = _SLOT.agent_class == AgentClass.STANDARD
    return select(
        func.count().filter(is_agent).label("agents"),
        func.count().filter(is_standard).label("standard_agents"),
        func.count().filter(is_workspace).label("workspaces"),
    ).select_from(slots)


def _expected() -> Select[Any]:
    """Executions at work, how many of them take what, and what they have not taken yet: one row.

    A workspace that was archived again has been taken all the same; an agent that has ended counts as
    expected until its execution ends.
    """
    mine = _SLOT.execution_id == _EXECUTION.id
    agents = _count_of(mine, _SLOT.kind == SlotKind.AGENT)
    opening_or_open = _count_of(mine, _SLOT.kind == SlotKind.WORKSPACE)
    archived = _count_of(workspaces.c.execution_id == _EXECUTION.id, ~_IS_LIVE)
    at_work = (
        select(
            (_EXECUTION.priority < HIGH_PRIORITY).label("is_standard"),
            (_EXECUTION.agents > 0).label("has_agents"),
            (_EXECUTION.workspaces > 0).label("has_workspaces"),
            _more(_EXECUTION.agents, agents).label("agents"),
            _more(_EXECUTION.workspaces, opening_or_open + archived).label("workspaces"),
        )
        .where(IS_HOLDING)
        .subquery()
    )
    has_agents = at_work.c.has_agents
    return select(
        func.count().label("executions"),
        func.count().filter(has_agents).label("with_agents"),
        func.count().filter(has_agents, at_work.c.is_standard).label("with_standard_agents"),
        func.count().filter(at_work.c.has_workspaces).label("with_workspaces"),
        _total(at_work.c.agents).label("expected_agents"),
        _total(at_work.c.agents, at_work.c.is_standard).label("expected_standard_agents"),
        _total(at_work.c.workspaces).label("expected_workspaces"),
    ).select_from(at_work)


def _count_of(*of_execution: ColumnElement[bool]) -> ColumnElement[int]:
    """How many rows of another table go with the execution of the statement around."""
    counted = select(func.count()).where(*of_execution)
    return counted.correlate(trigger_executions).scalar_subquery()


def _more(needed: ColumnElement[int], taken: ColumnElement[int]) -> ColumnElement[int]:
    return case((needed > 0, func.greatest(needed - taken, 0)), else_=0)


def _total(column: ColumnElement[int], *only: ColumnElement[bool]) -> ColumnElement[int]:
    total = func.sum(column).filter(*only) if only else func.sum(column)
    return cast(func.coalesce(total, 0), Integer)
