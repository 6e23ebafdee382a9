"""`deploy_environment`: the commit gets there once, and what happened is on record."""

from __future__ import annotations

from uuid import UUID

import pytest
from pydantic import ValidationError

from dct_pipelines.actions.deploy_environment import ACTION
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted, NotFound
from dct_pipelines.domain.operations import HealthCheck, WebhookDeployer
from dct_pipelines.domain.outcome import OutcomeStatus
from dct_pipelines.domain.words import DeploymentState
from tests.fakes.ports import action_context
from tests.fakes.shop import Shop


@pytest.fixture
def shop() -> Shop:
    return Shop()


def states(shop: Shop) -> list[DeploymentState]:
    return [deployment.state for deployment in shop.records.deployments.values()]


def test_the_head_of_the_environments_branch_is_deployed_and_recorded(shop):
    outcome = shop.run(ACTION, environment="qa")
    assert outcome.status is OutcomeStatus.DONE
    assert set(outcome.outputs) == ACTION.outputs
    assert shop.deployer.running == {"qa": shop.base}
    (deployment,) = shop.records.deployments.values()
    assert deployment.state is DeploymentState.SUCCEEDED
    assert (deployment.commit, deployment.branch) == (shop.base, "qa")
    assert outcome.outputs["deployment_id"] == str(deployment.id)
    assert outcome.links[0].url == outcome.outputs["url"] == "https://qa.example.org"


def test_a_merge_comes_first_when_asked(shop):
    outcome = shop.run(ACTION, environment="qa", merge={"source": "feature/pay"})
    assert outcome.outputs["commit"] == shop.head("qa") == shop.deployer.running["qa"]
    assert shop.repository.files(shop.head("qa"))["a.txt"] == "2\n"
    (deployment,) = shop.records.deployments.values()
    assert deployment.merged_from == outcome.outputs["merged_from"] == "feature/pay"


def test_a_conflict_deploys_nothing(shop):
    shop.repository.commit("qa", {"a.txt": "3\n"})
    with pytest.raises(ActionFailed, match=r"conflicts in a\.txt"):
        shop.run(ACTION, environment="qa", merge={"source": "feature/pay"})
    assert not shop.deployer.asked
    assert not shop.records.deployments


def test_a_commit_or_another_branch_can_be_named(shop):
    assert shop.run(ACTION, environment="qa", commit=shop.feature).outputs["commit"] == shop.feature
    assert shop.run(ACTION, "two", environment="qa", branch="main").outputs["commit"] == shop.base


def test_an_abbreviated_commit_is_refused(shop):
    with pytest.raises(ActionFailed, match="full object id"):
        shop.run(ACTION, environment="qa", commit=shop.feature[:8])


def test_only_one_commit_can_be_meant():
    with pytest.raises(ValidationError, match="only one of commit, branch and merge"):
        ACTION.config.model_validate({"environment": "qa", "branch": "a", "merge": {"source": "b"}})


def test_an_environment_that_runs_the_commit_already_is_left_alone(shop):
    shop.run(ACTION, "one", environment="qa")
    outcome = ACTION.run(
        action_context("two", execution_id=UUID(int=99)), ACTION.config(environment="qa"), shop.ports
    )
    assert outcome.status is OutcomeStatus.NOTHING_TO_DO
    assert outcome.summary == f"qa runs {shop.base[:8]} already"
    assert len(shop.deployer.asked) == 1


def test_force_deploys_it_again(shop):
    shop.run(ACTION, "one", environment="qa")
    shop.run(ACTION, "two", environment="qa", force=True)
    assert len(shop.deployer.deployed) == 2


def test_a_second_attempt_of_a_forced_deployment_does_not_repeat_it(shop):
    shop.run(ACTION, environment="qa")
    shop.clock.advance(seconds=1)
    first = shop.run(ACTION, "again", environment="qa", force=True)
    second = shop.again(ACTION, "again", environment="qa", force=True)
    assert second.outputs == first.outputs | {"url": ""}
    assert len(shop.deployer.asked) == 2


def test_an_attempt_that_died_while_deploying_goes_on_under_the_same_key(shop):
    shop.deployer.problem = ActionInterrupted("the process dies here")
    with pytest.raises(ActionInterrupted):
        shop.run(ACTION, environment="qa")
    assert states(shop) == [DeploymentState.FAILED]
    shop.deployer.problem = None
    shop.clock.advance(minutes=5)
    shop.again(ACTION, environment="qa")
    assert states(shop) == [DeploymentState.SUCCEEDED]
    assert len({request.key for request in shop.deployer.asked}) == 1
    (deployment,) = shop.records.deployments.values()
    assert deployment.ended_at is not None
    assert (deployment.ended_at - deployment.started_at).total_seconds() == 300


def test_a_failed_deployment_is_recorded_with_its_reason(shop):
    shop.deployer.problem = "the command ended with exit code 3"
    with pytest.raises(ActionFailed, match="exit code 3"):
        shop.run(ACTION, environment="qa")
    (deployment,) = shop.records.deployments.values()
    assert deployment.state is DeploymentState.FAILED
    assert "exit code 3" in deployment.summary
    assert shop.records.current_deployment("qa") is None


def test_a_test_workspace_is_opened_at_the_deployed_commit(shop):
    outcome = shop.run(ACTION, environment="qa", merge={"source": "feature/pay"}, workspace="try-it")
    (workspace,) = shop.records.workspaces.values()
    assert workspace.start_commit == outcome.outputs["commit"]
    assert outcome.outputs["workspace_id"] == str(workspace.id)
    assert outcome.outputs["workspace_path"] == workspace.directory
    assert outcome.outputs["workspace_branch"] == workspace.branch


def test_a_second_attempt_opens_no_second_workspace(shop):
    for started_before in (False, True):
        shop.again(ACTION, started_before=started_before, environment="qa", workspace="try-it")
    assert len(shop.records.workspaces) == 1
    assert len(shop.deployer.asked) == 1


def test_an_unknown_environment_is_named(shop):
    with pytest.raises(NotFound, match="did you mean 'qa'"):
        shop.run(ACTION, environment="qaa")


def test_a_deployer_that_is_not_there_is_named(shop):
    spec = shop.library.environments["qa"].model_copy(
        update={
            "deployer": WebhookDeployer(url="https://x.example.org"),
            "health_check": HealthCheck(url="https://x"),
        }
    )
    shop.library.environments["qa"] = spec
    with pytest.raises(ActionFailed, match="no deployer 'webhook'; known: local"):
        shop.run(ACTION, environment="qa")
    assert states(shop) == [DeploymentState.FAILED]


def test_the_environment_is_leased():
    assert ACTION.leases(ACTION.config(environment="qa")) == ("environment:qa",)


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(shop):
    outcome = shop.rehearse(ACTION, environment="qa", merge={"source": "feature/pay"}, workspace="try-it")
    for words in ("move refs/heads/qa", "to qa by its deployer local", "open a workspace at"):
        assert words in outcome.summary
