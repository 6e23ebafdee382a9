"""Facts that actions record, for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from dct_pipelines.domain.opening import workspace_id_of
from dct_pipelines.domain.operations import Check, Deployment, Workspace
from dct_pipelines.domain.words import CheckState, DeploymentState, WorkspaceState

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
REPOSITORY = UUID(int=11)


def deployment(execution_id: UUID, commit: str, minutes: int, **changes: Any) -> Deployment:
    """A deployment to qa that succeeded, begun that many minutes after noon."""
    values: dict[str, Any] = {
        "id": uuid4(),
        "environment": "qa",
        "commit": commit,
        "branch": "qa",
        "state": DeploymentState.SUCCEEDED,
        "execution_id": execution_id,
        "started_at": NOON + timedelta(minutes=minutes),
        "ended_at": NOON + timedelta(minutes=minutes + 1),
    }
    return Deployment(**(values | changes))


def check(minutes: int, state: CheckState) -> Check:
    """A result of the check `unit`."""
    return Check(
        repository_item_id=REPOSITORY,
        commit="a" * 40,
        name="unit",
        state=state,
        reported_at=NOON + timedelta(minutes=minutes),
    )


def workspace(execution_id: UUID, **changes: Any) -> Workspace:
    """The workspace of the execution's action `open`."""
    values: dict[str, Any] = {
        "id": workspace_id_of(execution_id, "open"),
        "title": "Pay",
        "draft": "review",
        "repository_item_id": REPOSITORY,
        "branch": "ws/1",
        "start_commit": "b" * 40,
        "directory": "/srv/ws/1",
        "state": WorkspaceState.CREATING,
        "execution_id": execution_id,
        "suites": ("unit",),
        "created_at": NOON,
    }
    return Workspace(**(values | changes))
