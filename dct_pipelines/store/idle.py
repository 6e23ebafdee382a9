"""Workspaces that nobody works in: which they are, that their people were told, and their archiving."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    String,
    cast,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from dct_pipelines.domain.execution import OPEN
from dct_pipelines.domain.words import WorkspaceState
from dct_pipelines.store import wakeups
from dct_pipelines.store.executions.transitions import create_manual
from dct_pipelines.store.tables import activity, agents, slots, trigger_executions, workspaces

_WORKSPACE = workspaces.c
_EXECUTION = trigger_executions.c


def _is_for(relation: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether an execution that has not ended has this relation to the workspace. Each has an index."""
    return exists().where(_EXECUTION.status.in_(OPEN), relation)


_IS_BUSY = or_(
    _is_for(_EXECUTION.id == _WORKSPACE.execution_id),
    _is_for(_EXECUTION.workspace_id == _WORKSPACE.id),
    _is_for(_EXECUTION.lease_keys.any("workspace:" + cast(_WORKSPACE.id, String))),
    exists().where(slots.c.kind == "agent", slots.c.execution_id == _WORKSPACE.execution_id),
    exists().where(
        agents.c.workspace_id == _WORKSPACE.id, agents.c.started_at.is_not(None), agents.c.ended_at.is_(None)
    ),
)


def idle(connection: Connection, untouched_since: datetime, now: datetime) -> Sequence[Row[Any]]:
    """Open workspaces that nobody changed since then, that nothing needs, and whose time is over.

    The longest idle one first.
    """
    statement = select(
        _WORKSPACE.id, _WORKSPACE.title, _WORKSPACE.execution_id, _WORKSPACE.notified_at
    ).where(
        _WORKSPACE.state == WorkspaceState.OPEN,
        _WORKSPACE.updated_at < untouched_since,
        func.coalesce(_WORKSPACE.retain_until, _WORKSPACE.updated_at) <= now,
        ~_IS_BUSY,
    )
    return connection.execute(statement.order_by(_WORKSPACE.updated_at, _WORKSPACE.id)).all()


def withdraw_notices(connection: Connection, idle: Collection[UUID]) -> int:
    """Forget that their people were told of those that are not idle any more; returns how many."""
    told = _WORKSPACE.notified_at.is_not(None) & _WORKSPACE.id.not_in(idle)
    statement = update(workspaces).where(told, _WORKSPACE.state != WorkspaceState.ARCHIVED)
    return connection.execute(statement.values(notified_at=None)).rowcount


def notify(connection: Connection, workspace: Row[Any], now: datetime, archived_at: datetime) -> None:
    """Tell the activity stream that a workspace is idle and when it will be archived."""
    connection.execute(update(workspaces).where(_WORKSPACE.id == workspace.id).values(notified_at=now))
    _tell(connection, "workspace_idle", workspace, archived_at=archived_at.isoformat())


def archive(connection: Connection, workspace: Row[Any], values: Mapping[str, Any]) -> UUID:
    """Make an execution wait that archives it."""
    execution_id = create_manual(connection, values)
    _tell(connection, "workspace_archiving", workspace, by=str(execution_id))
    wakeups.notify(connection)
    return execution_id


def _tell(connection: Connection, kind: str, workspace: Row[Any], **data: str) -> None:
    told = {"workspace": str(workspace.id), "title": workspace.title, **data}
    connection.execute(insert(activity).values(kind=kind, execution_id=workspace.execution_id, data=told))
