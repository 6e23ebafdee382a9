"""Brings a workspace up to date: its context bundle, its title, what it has to deliver."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from dct_pipelines.domain.action import ActionConfig, ActionContext, ActionType, Recovery
from dct_pipelines.domain.bundle import digest_of, render_bundle
from dct_pipelines.domain.errors import ActionFailed
from dct_pipelines.domain.opening import bundle_of
from dct_pipelines.domain.operations import Workspace
from dct_pipelines.domain.outcome import Outcome, done, nothing_to_do
from dct_pipelines.domain.ports import ActionPorts
from dct_pipelines.domain.words import WorkspaceState


class UpdateWorkspaceConfig(ActionConfig):
    """`workspace` is an id. What is left out stays as it is. `context`: items besides those of its draft."""

    workspace: str
    title: str = ""
    context: tuple[str, ...] = ()
    deliverables: tuple[str, ...] | None = None


def run(context: ActionContext, config: UpdateWorkspaceConfig, ports: ActionPorts) -> Outcome:
    """Write the bundle anew unless it says the same already."""
    workspace = open_one(ports, config.workspace)
    changes: dict[str, object] = {}
    if config.title:
        changes["title"] = " ".join(config.title.split())[:200]
    if config.deliverables is not None:
        changes["deliverables"] = config.deliverables
    changed = workspace.model_copy(update=changes)
    bundle = bundle_of(ports, changed, config.context)
    digest = digest_of(bundle)
    outputs: dict[str, Any] = {
        "workspace_id": str(workspace.id),
        "path": workspace.directory,
        "digest": digest,
    }
    if digest == workspace.context_digest:
        return nothing_to_do(f"{workspace.title} says the same already", **outputs)
    ports.workspaces.write(workspace.id, render_bundle(bundle))
    ports.records.save_workspace(changed.model_copy(update={"context_digest": digest}))
    return done(f"brought {changed.title} up to date", **outputs)


def open_one(ports: ActionPorts, workspace_id: str) -> Workspace:
    """The workspace of that id, which has to be open."""
    try:
        found = ports.records.get_workspace(UUID(workspace_id))
    except ValueError:
        raise ActionFailed(
            f"{workspace_id!r} is not the id of a workspace; use an action's workspace_id"
        ) from None
    if found.state is not WorkspaceState.OPEN:
        raise ActionFailed(f"{found.title} is {found.state}; only an open workspace can be changed")
    return found


ACTION = ActionType(
    kind="update_workspace",
    summary="Refreshes a workspace's context, title and deliverables.",
    config=UpdateWorkspaceConfig,
    recovery=Recovery.CHECK,
    leases=lambda config: (f"workspace:{config.workspace}",),
    run=run,
    outputs=frozenset({"workspace_id", "path", "digest"}),
    example={"workspace": "{{ steps.create_workspace.workspace_id }}", "context": ["release-notes"]},
)
