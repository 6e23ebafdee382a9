"""One deployment: asked of its deployer, and recorded before, after, and when it fails."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid5

from dct_pipelines.domain.action import ActionContext
from dct_pipelines.domain.errors import ActionFailed, DctError
from dct_pipelines.domain.git_refs import Oid
from dct_pipelines.domain.hosting.reporting import DeploymentReport
from dct_pipelines.domain.operations import Deployment, EnvironmentSpec
from dct_pipelines.domain.ports import ActionPorts, DeployRequest, DeployResult, Repository
from dct_pipelines.domain.words import DeploymentState

_LONGEST_SUMMARY = 2000


@dataclass(frozen=True)
class Target:
    """Which commit (of which branch, after which merge) is to run in an environment."""

    environment: EnvironmentSpec
    repository: Repository
    branch: str
    commit: Oid
    merged_from: str | None = None


@dataclass(frozen=True)
class Deployed:
    """The deployment that made the environment run the commit, ours or an earlier one, and where to look.

    `said` is what else people should know, e.g. that the git host could not be told.
    """

    deployment: Deployment
    url: str | None
    said: str = ""


def deploy(context: ActionContext, ports: ActionPorts, target: Target, *, force: bool) -> Deployed:
    """Deploy unless the environment runs that commit; `ActionFailed` when it does not get there."""
    deployment_id = uuid5(context.execution_id, f"{context.name}/deployment")
    current = ports.records.current_deployment(target.environment.name)
    if current and current.commit == target.commit and (not force or current.id == deployment_id):
        return Deployed(current, _address(target))
    earlier = ports.records.find_deployment(context.execution_id, target.environment.name)
    is_ours = earlier is not None and earlier.id == deployment_id
    deployment = Deployment(
        id=deployment_id,
        environment=target.environment.name,
        commit=target.commit,
        branch=target.branch,
        merged_from=target.merged_from,
        state=DeploymentState.RUNNING,
        execution_id=context.execution_id,
        started_at=earlier.started_at if earlier and is_ours else ports.clock.now(),
    )
    ports.records.save_deployment(deployment)
    report = _begun(context, ports, target)
    try:
        result = _ask(context, ports, target, is_repeat=is_ours)
    except DctError as error:
        _close(ports, deployment, DeploymentState.FAILED, str(error))
        report.end("failure", "")
        raise
    report.end("success" if result.succeeded else "failure", result.url or "")
    if not result.succeeded:
        _close(ports, deployment, DeploymentState.FAILED, result.summary)
        also = f"; {report.said}" if report.said else ""
        where = f"{target.commit[:8]} did not get to {target.environment.name}"
        raise ActionFailed(f"{where}: {result.summary}{also}")
    closed = _close(ports, deployment, DeploymentState.SUCCEEDED, result.summary)
    return Deployed(closed, result.url, report.said)


def _begun(context: ActionContext, ports: ActionPorts, target: Target) -> DeploymentReport:
    """What the git host is told, if the operator wants that."""
    report = DeploymentReport(ports)
    if target.environment.report_deployment:
        report.begin(
            target.repository.name,
            commit=target.commit,
            environment=target.environment.name,
            key=context.idempotency_key,
        )
        if report.said:
            context.log(report.said)
    return report


def _ask(context: ActionContext, ports: ActionPorts, target: Target, *, is_repeat: bool) -> DeployResult:
    kind = target.environment.deployer.type
    if kind not in ports.deployers:
        raise ActionFailed(
            f"this deployment has no deployer {kind!r}; known: {', '.join(sorted(ports.deployers))}"
        )
    request = DeployRequest(
        environment=target.environment,
        repository=target.repository,
        commit=target.commit,
        key=context.idempotency_key,
        execution_id=context.execution_id,
        log=context.log,
        is_cancelled=context.is_cancelled,
        is_repeat=is_repeat,
    )
    return ports.deployers[kind].deploy(request)


def _close(ports: ActionPorts, deployment: Deployment, state: DeploymentState, summary: str) -> Deployment:
    closed = deployment.model_copy(
        update={"state": state, "ended_at": ports.clock.now(), "summary": summary[:_LONGEST_SUMMARY]}
    )
    ports.records.save_deployment(closed)
    return closed


def _address(target: Target) -> str | None:
    check = target.environment.health_check
    return check.url if check else None
