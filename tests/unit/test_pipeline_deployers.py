"""The deployers `github_actions` and `gitlab_ci`: a pipeline is started once and waited for to its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from dct_pipelines.clients.deployers import PipelineDeployment
from dct_pipelines.clients.deployers.health import Health
from dct_pipelines.clients.deployers.pipeline import MOST_RUNS
from dct_pipelines.domain.errors import (
    ActionFailed,
    ActionInterrupted,
    ConnectionDown,
    CredentialRefused,
    Throttled,
)
from dct_pipelines.domain.operations import Deployer, EnvironmentSpec
from dct_pipelines.domain.ports import DeployRequest, DeployResult
from dct_pipelines.domain.words import CheckState
from tests.fakes.ports import EXECUTION, FakeSecrets
from tests.fakes.shop import Shop

GITHUB = {"type": "github_actions", "workflow": "deploy.yml", "inputs": {"commit": "{{ deploy.commit }}"}}
GITLAB = {
    "type": "gitlab_ci",
    "variables": {"COMMIT": "{{ deploy.commit }}", "WHERE": "{{ deploy.environment }}"},
}
RUN_1 = "https://host.example.org/runs/1"


@dataclass
class Pipelines:
    """A shop at a host, and what happens there while we wait: `script` holds one thing a pause."""

    shop: Shop = field(default_factory=Shop)
    script: list[Callable[[], Any]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    is_cancelled: bool = False

    def __post_init__(self) -> None:
        self.shop.at_host()

    @property
    def host(self) -> Any:
        return self.shop.host

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.shop.clock.advance(seconds=seconds)
        if self.script:
            self.script.pop(0)()

    def end(self, run: str = "1", state: CheckState = CheckState.SUCCESS) -> Callable[[], None]:
        return lambda: self.host.finish(run, state)

    def deploy(self, deployer: dict[str, Any] | None = None, **changes: Any) -> DeployResult:
        port = PipelineDeployment(
            self.shop.library,
            self.shop.connections,
            self.shop.git,
            self.shop.clock,
            Health(self.shop.ports.processes, FakeSecrets(), sleep=self.sleep),
            sleep=self.sleep,
        )
        spec: dict[str, Any] = {
            "name": "qa",
            "repository": "shop",
            "branch": "qa",
            "deployer": deployer or GITHUB,
        }
        more = changes.pop("environment", {})
        asked: dict[str, Any] = {
            "environment": EnvironmentSpec.model_validate(spec | more),
            "repository": self.shop.library.repository("shop"),
            "commit": self.shop.feature,
            "key": "k1",
            "execution_id": EXECUTION,
            "log": self.shop.log.append,
            "is_cancelled": lambda: self.is_cancelled,
        }
        return port.deploy(DeployRequest(**(asked | changes)))


@pytest.fixture
def there() -> Pipelines:
    return Pipelines()


def test_a_workflow_is_started_with_its_inputs_and_waited_for(there):
    there.script = [lambda: None, lambda: None, there.end()]
    result = there.deploy()
    assert (result.succeeded, result.url) == (True, RUN_1)
    assert result.summary == f"qa took {there.shop.feature[:8]} ({RUN_1})"
    [run] = there.host.runs.values()
    assert (run.workflow, run.ref, run.key) == ("deploy.yml", "qa", "k1")
    assert run.inputs == {"commit": there.shop.feature}
    assert there.shop.log == [f"deploy.yml of acme/shop runs as {RUN_1}"]


def test_a_pipeline_of_gitlab_gets_its_variables(there):
    there.shop.at_host("gitlab")
    there.script = [there.end()]
    assert there.deploy(GITLAB).succeeded
    [run] = there.host.runs.values()
    assert (run.workflow, run.inputs) == ("", {"COMMIT": there.shop.feature, "WHERE": "qa"})


def test_another_branch_can_be_named(there):
    there.script = [there.end()]
    there.deploy(GITHUB | {"ref": "main"})
    assert there.host.runs["1"].ref == "main"


@pytest.mark.parametrize("state", [state for state in CheckState if state not in ("success", "pending")])
def test_a_run_that_does_not_succeed_is_a_failed_deployment_that_names_it(there, state):
    there.script = [there.end(state=state)]
    result = there.deploy()
    assert (result.succeeded, result.summary) == (False, f"{RUN_1} ended as {state}; see its log there")


def test_without_waiting_it_is_enough_that_it_was_started(there):
    result = there.deploy(GITHUB | {"wait": False})
    assert (result.succeeded, there.pauses) == (True, [])
    assert "was asked to take" in result.summary


def test_the_health_check_counts_after_the_run(there):
    there.script = [there.end()]
    result = there.deploy(environment={"health_check": {"command": ["check"], "attempts": 1}})
    assert (result.succeeded, result.url) == (False, RUN_1)
    assert "there is no program 'check'" in result.summary


def test_a_run_over_the_time_limit_is_a_failed_deployment_that_names_it(there):
    result = there.deploy(environment={"limits": {"timeout_seconds": 60}})
    assert (result.succeeded, result.summary) == (
        False,
        f"{RUN_1} still runs after 60 s (limits.timeout_seconds)",
    )
    assert sum(there.pauses) == 60


def test_a_new_attempt_waits_for_the_run_that_an_earlier_one_has_started(there):
    there.is_cancelled = True
    with pytest.raises(ActionInterrupted, match=f"cancelled while {RUN_1} runs; it goes on there"):
        there.deploy()
    there.is_cancelled = False
    there.script = [there.end()]
    assert there.deploy(is_repeat=True).succeeded
    assert len(there.host.runs) == 1


def test_a_run_that_succeeded_meanwhile_is_not_started_again(there):
    there.script = [there.end()]
    assert there.deploy().succeeded
    assert there.deploy(is_repeat=True).succeeded
    assert len(there.host.runs) == 1


def test_a_run_that_the_host_lists_late_is_not_started_twice(there):
    def late() -> None:
        there.host.dispatch("acme/shop", workflow="deploy.yml", ref="qa", inputs={}, key="k1")

    there.script = [late, there.end()]
    assert there.deploy(is_repeat=True).succeeded
    assert len(there.host.runs) == 1


def test_who_tries_a_failed_deployment_again_gets_another_run(there):
    there.script = [there.end(state=CheckState.FAILURE)]
    assert not there.deploy().succeeded
    there.script = [there.end("2")]
    assert there.deploy(is_repeat=True).succeeded
    assert [run.key for run in there.host.runs.values()] == ["k1", "k1-1"]


def test_it_is_not_tried_for_ever(there):
    for _ in range(MOST_RUNS):
        there.script = [there.end(str(len(there.host.runs) + 1), CheckState.FAILURE)]
        there.deploy()
    with pytest.raises(ActionFailed, match=r"20 runs of deploy\.yml of acme/shop have failed"):
        there.deploy(is_repeat=True)


def test_a_host_that_does_not_say_which_run_it_became_is_asked_until_it_lists_it(there):
    there.host.tells_runs = False
    there.script = [there.end()]
    assert there.deploy().succeeded


def test_a_host_that_is_away_while_we_wait_is_asked_again_and_told_of_once(there):
    def outage(error: Exception | None) -> Callable[[], None]:
        return lambda: setattr(there.host, "outage", error)

    away = ConnectionDown("no route to host")
    there.script = [outage(away), lambda: None, outage(None), there.end()]
    assert there.deploy().succeeded
    assert [line for line in there.shop.log if "cannot be asked" in line] == [
        f"{RUN_1} cannot be asked: no route to host"
    ]


def test_a_host_that_told_us_to_wait_is_left_alone_so_long(there):
    def throttled() -> None:
        there.host.outage = Throttled("slow down", not_before=there.shop.clock.now() + timedelta(seconds=300))

    def passed() -> None:
        there.host.outage = None
        there.host.finish("1")

    there.script = [throttled, passed]
    assert there.deploy().succeeded
    assert there.pauses[1:] == [300]


@pytest.mark.parametrize("error", [CredentialRefused("it was revoked"), ConnectionDown("no route to host")])
def test_a_host_that_is_away_before_it_was_asked_is_the_executions_trouble(there, error):
    there.host.outage = error
    with pytest.raises(type(error)):
        there.deploy()


def test_a_pipeline_that_is_not_told_the_commit_deploys_only_the_head_of_its_branch(there):
    untold = {"type": "github_actions", "workflow": "deploy.yml"}
    with pytest.raises(ActionFailed, match=r"would take the head of qa, which is .*\{\{ deploy.commit \}\}"):
        there.deploy(untold)
    assert there.host.runs == {}
    there.script = [there.end()]
    assert there.deploy(untold, commit=there.shop.head("qa")).succeeded


@pytest.mark.parametrize(("deployer", "kind"), [(GITHUB, "gitlab"), (GITLAB, "github"), (GITLAB, "gitea")])
def test_a_deployer_of_another_host_is_an_explained_failure(there, deployer, kind):
    there.shop.at_host(kind)
    with pytest.raises(ActionFailed, match=f"shop is at a host of type {kind}; correct the environment"):
        there.deploy(deployer)


def test_a_repository_without_a_host_is_an_explained_failure():
    there = Pipelines()
    there.shop.library.facts.clear()
    with pytest.raises(ActionFailed, match="a pipeline needs a git host"):
        there.deploy()


@pytest.mark.parametrize("branch", ["$(id)", "a;touch${IFS}x", "{{deploy.key}}", "ümläut/😀"])
def test_a_hostile_branch_is_only_a_name_and_no_template(there, branch):
    there.shop.repository.branch(branch, there.shop.feature)
    told = {"inputs": {"branch": "{{ deploy.branch }}", "commit": "{{ deploy.commit }}"}}
    there.script = [there.end()]
    there.deploy(GITHUB | told, environment={"branch": branch})
    assert (there.host.runs["1"].ref, there.host.runs["1"].inputs["branch"]) == (branch, branch)


@pytest.mark.parametrize(
    "deployer",
    [
        GITHUB | {"workflow": ""},
        GITHUB | {"workflow": "../deploy.yml"},
        GITHUB | {"workflow": "a/b.yml?x"},
        GITHUB | {"workflow": "x" * 300},
        GITHUB | {"inputs": {"commit": "{{ deploy.comit }}"}},
        GITHUB | {"inputs": {"commit": "{{ event.branch }}"}},
        GITHUB | {"inputs": {str(number): "x" for number in range(26)}},
        GITHUB | {"variables": {}},
        GITLAB | {"workflow": "deploy.yml"},
    ],
)
def test_what_cannot_work_is_refused_when_it_is_saved(deployer):
    with pytest.raises(ValidationError):
        TypeAdapter(Deployer).validate_python(deployer)
