"""Opens a workspace from a draft: a working directory on a branch of its own, with its context."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from dct_pipelines.domain.action import ActionConfig, ActionContext, ActionType, Recovery
from dct_pipelines.domain.opening import Opening, open_workspace
from dct_pipelines.domain.operations import Workspace
from dct_pipelines.domain.outcome import Outcome, done, nothing_to_do
from dct_pipelines.domain.ports import ActionPorts


class CreateWorkspaceConfig(ActionConfig):
    """Empty texts leave it to the draft. It starts at `commit` (a full id) or else at the head of `base`."""

    draft: str
    title: str = ""
    base: str = ""
    commit: str = ""
    context: tuple[str, ...] = ()
    """Names of context items, besides those of the draft."""
    deliverables: tuple[str, ...] = ()
    agents: tuple[dict[str, Any], ...] = Field(default=())

    @field_validator("agents")
    @classmethod
    def _no_agents_yet(cls, value: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        if value:
            raise ValueError("agents come with a later release; leave them out")
        return value


def run(context: ActionContext, config: CreateWorkspaceConfig, ports: ActionPorts) -> Outcome:
    """Open it, or return the one that an earlier attempt of this action opened."""
    asked = Opening(**config.model_dump(exclude={"agents"}))
    workspace, is_new = open_workspace(context, ports, asked)
    if not is_new:
        return nothing_to_do(
            f"{workspace.title} is {workspace.state} at {workspace.directory}", **told(workspace)
        )
    return done(f"opened {workspace.title} at {workspace.directory}", **told(workspace))


def told(workspace: Workspace) -> dict[str, Any]:
    """The outputs."""
    return {
        "workspace_id": str(workspace.id),
        "path": workspace.directory,
        "branch": workspace.branch,
        "commit": workspace.start_commit,
    }


ACTION = ActionType(
    kind="create_workspace",
    summary="Opens a working directory on its own branch, with its context.",
    config=CreateWorkspaceConfig,
    recovery=Recovery.CHECK,
    opens_workspace=lambda _config: True,
    agents=lambda config: len(config.agents),
    run=run,
    outputs=frozenset({"workspace_id", "path", "branch", "commit"}),
    example={"draft": "try-it", "commit": "{{ steps.merge_branches.commit }}"},
)
