"""Packs a workspace into one file with a manifest and a checksum, and removes its directory."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from dct_pipelines.domain.action import ActionConfig, ActionContext, ActionType, Recovery
from dct_pipelines.domain.errors import ActionFailed
from dct_pipelines.domain.operations import Workspace
from dct_pipelines.domain.outcome import Outcome, done, nothing_to_do
from dct_pipelines.domain.ports import ActionPorts
from dct_pipelines.domain.words import WorkspaceState


class ArchiveWorkspaceConfig(ActionConfig):
    """`workspace` is an id."""

    workspace: str


def run(context: ActionContext, config: ArchiveWorkspaceConfig, ports: ActionPorts) -> Outcome:
    """Keep its commits, pack, check, remove; whatever an earlier attempt has done of that stays done."""
    try:
        workspace = ports.records.get_workspace(UUID(config.workspace))
    except ValueError:
        raise ActionFailed(f"{config.workspace!r} is not the id of a workspace") from None
    if workspace.state is WorkspaceState.ARCHIVED:
        return nothing_to_do(f"{workspace.title} is archived already", **_told(workspace))
    repository = ports.library.repository_by_id(workspace.repository_item_id)
    manifest = workspace.model_dump(mode="json", exclude={"state", "archive_path", "archive_sha256"})
    archive = ports.workspaces.archive(workspace.id, repository, manifest)
    archived = workspace.model_copy(
        update={
            "state": WorkspaceState.ARCHIVED,
            "archive_path": str(archive.path),
            "archive_sha256": archive.sha256,
        }
    )
    ports.records.save_workspace(archived)
    return done(
        f"archived {workspace.title} ({archive.size_bytes} bytes) at {archive.path}", **_told(archived)
    )


def _told(workspace: Workspace) -> dict[str, Any]:
    return {
        "workspace_id": str(workspace.id),
        "archive_path": workspace.archive_path,
        "sha256": workspace.archive_sha256,
    }


ACTION = ActionType(
    kind="archive_workspace",
    summary="Packs a workspace into one file and removes its directory.",
    config=ArchiveWorkspaceConfig,
    recovery=Recovery.CHECK,
    leases=lambda config: (f"workspace:{config.workspace}",),
    run=run,
    outputs=frozenset({"workspace_id", "archive_path", "sha256"}),
    example={"workspace": "{{ steps.create_workspace.workspace_id }}"},
)
