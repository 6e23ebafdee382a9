"""Brings a commit to an environment: merge first if asked, deploy, record, and open a test workspace."""

from __future__ import annotations

from typing import Any, Self

from pydantic import model_validator

from dct_pipelines.domain.action import ActionConfig, ActionContext, ActionType, Recovery
from dct_pipelines.domain.deploying import Target, deploy
from dct_pipelines.domain.errors import ActionFailed, InvalidInput
from dct_pipelines.domain.git_refs import as_oid, branch_ref
from dct_pipelines.domain.merging import Merge, head_of, merge
from dct_pipelines.domain.opening import Opening, open_workspace
from dct_pipelines.domain.operations import EnvironmentSpec
from dct_pipelines.domain.outcome import Link, Outcome, done, nothing_to_do
from dct_pipelines.domain.ports import ActionPorts, Repository

_NO_WORKSPACE = {"workspace_id": "", "workspace_path": "", "workspace_branch": ""}


class MergeFirst(ActionConfig):
    """A branch that is merged into the environment's own before it is deployed."""

    source: str
    message: str = ""


class DeployEnvironmentConfig(ActionConfig):
    """`commit`, the head of `branch`, or (without either) the head of the environment's own branch."""

    environment: str
    commit: str = ""
    branch: str = ""
    merge: MergeFirst | None = None
    workspace: str = ""
    """Name of a draft: a test workspace is opened from it at the deployed commit."""
    force: bool = False

    @model_validator(mode="after")
    def _one_commit(self) -> Self:
        if sum(map(bool, (self.commit, self.branch, self.merge))) > 1:
            raise ValueError("give only one of commit, branch and merge")
        return self


def run(context: ActionContext, config: DeployEnvironmentConfig, ports: ActionPorts) -> Outcome:
    """Deploy unless the environment runs that commit already."""
    environment = ports.library.environment(config.environment)
    repository = ports.library.repository(environment.repository)
    target = _target(context, config, ports, environment, repository)
    deployed = deploy(context, ports, target, force=config.force)
    deployment, url = deployed.deployment, deployed.url
    outputs: dict[str, Any] = {
        "environment": environment.name,
        "commit": target.commit,
        "deployment_id": str(deployment.id),
        "url": url or "",
        "merged_from": target.merged_from or "",
        **_NO_WORKSPACE,
    }
    is_new = deployment.execution_id == context.execution_id
    words = f"{environment.name} runs {target.commit[:8]}"
    if config.workspace:
        asked = Opening(draft=config.workspace, base=target.branch, commit=target.commit)
        workspace, opened = open_workspace(context, ports, asked)
        outputs |= {
            "workspace_id": str(workspace.id),
            "workspace_path": workspace.directory,
            "workspace_branch": workspace.branch,
        }
        is_new, words = is_new or opened, f"{words}; test workspace at {workspace.directory}"
    links = (Link(title=environment.name, url=url),) if url else ()
    if not is_new:
        return nothing_to_do(f"{words} already", links=links, **outputs)
    return done(f"{words}; {deployed.said}" if deployed.said else words, links=links, **outputs)


def _target(
    context: ActionContext,
    config: DeployEnvironmentConfig,
    ports: ActionPorts,
    environment: EnvironmentSpec,
    repository: Repository,
) -> Target:
    branch = config.branch or environment.branch
    if config.merge:
        source = config.merge.source
        message = config.merge.message.strip() or f"Merge {source} into {branch}"
        merged = merge(context, ports, Merge(repository, source, branch, message))
        return Target(environment, repository, branch, merged.commit, merged_from=source)
    try:
        commit = as_oid(config.commit) if config.commit else head_of(ports, repository, branch)
    except InvalidInput as fault:
        raise ActionFailed(str(fault)) from fault
    ports.git.fetch(repository.ref, {branch_ref(branch): commit})
    return Target(environment, repository, branch, commit)


ACTION = ActionType(
    kind="deploy_environment",
    summary="Brings a commit to an environment, after a merge if asked.",
    config=DeployEnvironmentConfig,
    recovery=Recovery.CHECK,
    run=run,
    outputs=frozenset({"environment", "commit", "deployment_id", "url", "merged_from", *_NO_WORKSPACE}),
    example={"environment": "qa", "merge": {"source": "{{ event.branch }}"}, "workspace": "try-it"},
    leases=lambda config: (f"environment:{config.environment}",),
    opens_workspace=lambda config: bool(config.workspace),
)
