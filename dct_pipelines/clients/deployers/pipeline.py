"""Deploys by a pipeline of the repository's own git host: starts it once, waits for its end and for health.

A pipeline is found again by our idempotency key, so that a new attempt waits for the one that an earlier
attempt has started. One that has failed is followed by another, under a key of its own: who tries a failed
deployment again wants it to be tried.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from dct_pipelines.clients.deployers.health import Health
from dct_pipelines.domain.connected import ConnectionsPort
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted, ConnectionDown, Throttled
from dct_pipelines.domain.git import GitPort
from dct_pipelines.domain.git_refs import branch_ref
from dct_pipelines.domain.hosting.hosted import Hosted, needed_host
from dct_pipelines.domain.hosting.port import PipelineRun
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.pipelines import GithubActionsDeployer, PipelineDeployer
from dct_pipelines.domain.ports import Clock, DeployRequest, DeployResult, LibraryPort
from dct_pipelines.domain.template import render
from dct_pipelines.domain.words import CheckState

HOSTS_OF: Mapping[str, tuple[str, ...]] = {"github_actions": ("github", "gitea"), "gitlab_ci": ("gitlab",)}
"""Kinds of connections that each deployer can be used with."""
MOST_RUNS = 20
"""Failed pipelines of one deployment after which no other is started."""
FIND_SECONDS = 60.0
"""For how long a pipeline that was just started is looked for: hosts list it a little later."""
REPEAT_SECONDS = 15.0
"""The same for one that an attempt may have started just before it died."""
FIRST_PAUSE_SECONDS = 3.0
LONGEST_PAUSE_SECONDS = 15.0


@dataclass(frozen=True)
class Started:
    """What is started, and where. `key` tells our run from others."""

    hosted: Hosted
    workflow: str
    ref: str
    inputs: Mapping[str, str]
    key: str

    def find(self) -> PipelineRun | None:
        """The run of this key."""
        host = self.hosted.host
        return host.find_run(self.hosted.repository, workflow=self.workflow, ref=self.ref, key=self.key)


@dataclass(frozen=True)
class PipelineDeployment:
    """The deployers `github_actions` and `gitlab_ci`. `sleep` waits between two questions."""

    library: LibraryPort
    connections: ConnectionsPort
    git: GitPort
    clock: Clock
    health: Health
    sleep: Callable[[float], None] = field(default=time.sleep, compare=False)

    def deploy(self, request: DeployRequest) -> DeployResult:
        """Start or find the pipeline and wait for it; one that fails is a failed deployment."""
        environment = request.environment
        deployer = environment.deployer
        if not isinstance(deployer, PipelineDeployer):
            raise ActionFailed(f"{environment.name} is not deployed by a pipeline")
        until = self.clock.now().timestamp() + environment.limits.timeout_seconds
        wanted, known = self._known(request, self._wanted(request, deployer))
        run = known or self._started(request, wanted)
        if run is None:
            return DeployResult(
                False, f"{_name(wanted)} was started, but the host does not list its run; look there"
            )
        request.log(f"{_name(wanted)} runs as {run.url or run.id}")
        if deployer.wait:
            run = self._ended(request, wanted, run, until)
            if run.state is CheckState.PENDING:
                seconds = environment.limits.timeout_seconds
                return DeployResult(
                    False, f"{_where(run)} still runs after {seconds} s (limits.timeout_seconds)"
                )
            if run.state is not CheckState.SUCCESS:
                return DeployResult(
                    False, f"{_where(run)} ended as {run.state}; see its log there", _url(run)
                )
        if problem := self.health.wait(request, None, {"DCT_ENVIRONMENT": environment.name}):
            return DeployResult(False, problem, _url(run))
        ended = "took" if deployer.wait else "was asked to take"
        return DeployResult(
            True, f"{environment.name} {ended} {request.commit[:8]} ({_where(run)})", _url(run)
        )

    def _wanted(self, request: DeployRequest, deployer: PipelineDeployer) -> Started:
        environment = request.environment
        hosted = needed_host(self.library, self.connections, request.repository.name, "a pipeline")
        kind = environment.deployer.type
        if hosted.kind not in HOSTS_OF[kind]:
            raise ActionFailed(
                f"{environment.name} is deployed by {kind}, which is for {' and '.join(HOSTS_OF[kind])}, and "
                f"{request.repository.name} is at a host of type {hosted.kind}; correct the environment"
            )
        facts = {
            "commit": request.commit,
            "branch": environment.branch,
            "environment": environment.name,
            "key": request.key,
            "execution_id": str(request.execution_id),
        }
        ref = deployer.ref or environment.branch
        if not any("deploy.commit" in text for text in deployer.told.values()):
            self._unless_elsewhere(request, ref)
        inputs = {name: render(text, {"deploy": facts}) for name, text in deployer.told.items()}
        workflow = deployer.workflow if isinstance(deployer, GithubActionsDeployer) else ""
        return Started(hosted, workflow, ref, inputs, request.key)

    def _unless_elsewhere(self, request: DeployRequest, ref: str) -> None:
        """A pipeline that is not told the commit takes the head of its branch."""
        head = self.git.resolve(request.repository.ref, branch_ref(ref))
        if head != request.commit:
            at = head[:8] if head else "nowhere"
            raise ActionFailed(
                f"the pipeline would take the head of {shown(ref)}, which is {at}, not {request.commit[:8]}; "
                "give it {{ deploy.commit }} as an input or variable, or deploy the head of that branch"
            )

    def _known(self, request: DeployRequest, wanted: Started) -> tuple[Started, PipelineRun | None]:
        """The run that an earlier attempt has started and that has not failed; else the key for the next."""
        for number in range(MOST_RUNS):
            tried = replace(wanted, key=f"{wanted.key}-{number}") if number else wanted
            is_first = request.is_repeat and not number
            run = self._looked_for(request, tried, REPEAT_SECONDS) if is_first else tried.find()
            if run is None or run.state in (CheckState.PENDING, CheckState.SUCCESS):
                return tried, run
        raise ActionFailed(f"{MOST_RUNS} runs of {_name(wanted)} have failed; look why, then start it anew")

    def _started(self, request: DeployRequest, wanted: Started) -> PipelineRun | None:
        run = wanted.hosted.host.dispatch(
            wanted.hosted.repository,
            workflow=wanted.workflow,
            ref=wanted.ref,
            inputs=wanted.inputs,
            key=wanted.key,
        )
        return run or self._looked_for(request, wanted, FIND_SECONDS)

    def _looked_for(self, request: DeployRequest, wanted: Started, seconds: float) -> PipelineRun | None:
        until = self.clock.now().timestamp() + seconds
        while (run := wanted.find()) is None and self.clock.now().timestamp() < until:
            _unless_cancelled(request, f"{_name(wanted)} was starting")
            self.sleep(FIRST_PAUSE_SECONDS)
        return run

    def _ended(self, request: DeployRequest, wanted: Started, run: PipelineRun, until: float) -> PipelineRun:
        """The run when it is over, or at the time limit. A host that is away for a while is asked again."""
        pause, problem = FIRST_PAUSE_SECONDS, ""
        while run.state is CheckState.PENDING and (left := until - self.clock.now().timestamp()) > 0:
            _unless_cancelled(request, f"{_where(run)} runs; it goes on there")
            self.sleep(min(pause, left))
            pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
            try:
                run, problem = wanted.hosted.host.run(wanted.hosted.repository, run.id), ""
            except ConnectionDown as error:
                if not problem:
                    request.log(f"{_where(run)} cannot be asked: {error}")
                problem = str(error)
                if isinstance(error, Throttled):
                    pause = max((error.not_before - self.clock.now()).total_seconds(), FIRST_PAUSE_SECONDS)
        return run


def _unless_cancelled(request: DeployRequest, doing: str) -> None:
    if request.is_cancelled():
        raise ActionInterrupted(f"cancelled while {doing}")


def _name(wanted: Started) -> str:
    return f"{wanted.workflow or 'the pipeline'} of {wanted.hosted.repository}"


def _where(run: PipelineRun) -> str:
    return shown(run.url or f"run {run.id}")


def _url(run: PipelineRun) -> str | None:
    return run.url if run.url.startswith(("https://", "http://")) else None
