"""The workspaces that are open, and that the code of one was brought back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, select, update

from dct_pipelines.domain.words import WorkspaceState
from dct_pipelines.store.tables import context_library, workspaces

_WORKSPACE = workspaces.c


def every(connection: Connection) -> Sequence[Row[Any]]:
    """Each that is open, with the name of its `repository`; the oldest first."""
    statement = select(
        _WORKSPACE.id,
        _WORKSPACE.title,
        _WORKSPACE.branch,
        _WORKSPACE.start_commit,
        _WORKSPACE.repository_item_id,
        context_library.c.name.label("repository"),
    ).join(context_library, context_library.c.id == _WORKSPACE.repository_item_id)
    is_open = _WORKSPACE.state == WorkspaceState.OPEN
    return connection.execute(statement.where(is_open).order_by(_WORKSPACE.created_at, _WORKSPACE.id)).all()


def rebuilt(connection: Connection, workspace_id: UUID, directory: str, *, has_context: bool) -> None:
    """Note where its code is now. One that has lost its context too gets that by the next update."""
    values: dict[str, Any] = {"directory": directory, "updated_at": func.clock_timestamp()}
    if not has_context:
        values["context_digest"] = ""
    connection.execute(update(workspaces).where(_WORKSPACE.id == workspace_id).values(values))
