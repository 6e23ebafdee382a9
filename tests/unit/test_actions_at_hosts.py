"""What `run_tests` and `deploy_environment` tell the git host, and that its silence stops neither."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

import pytest

from dct_pipelines.actions.create_workspace import ACTION as CREATE
from dct_pipelines.actions.deploy_environment import ACTION as DEPLOY
from dct_pipelines.actions.run_tests import ACTION as TEST
from dct_pipelines.domain.errors import ActionFailed, ConnectionDown, CredentialRefused, NotFound
from dct_pipelines.domain.outcome import OutcomeStatus
from dct_pipelines.domain.process import ProcessResult
from dct_pipelines.domain.words import CheckState
from tests.fakes.ports import EXECUTION
from tests.fakes.shop import SHOP, Shop

ON_MAIN: dict[str, Any] = {"suite": "unit", "repository": "shop", "branch": "main"}
PASSED = b'<testsuite><testcase classname="pay" name="pays"/></testsuite>'
FAILED = b'<testsuite><testcase classname="pay" name="pays"><failure/></testcase></testsuite>'
TROUBLES = [ConnectionDown("no route to host"), CredentialRefused("it was revoked"), ActionFailed("422: no")]


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.at_host()
    shop.suites.reports = (PASSED,)
    return shop


def report_deployments(shop: Shop) -> None:
    qa = shop.library.environments["qa"]
    shop.library.environments["qa"] = qa.model_copy(update={"report_deployment": True})


def test_a_check_is_shown_at_the_host_under_its_name_and_is_an_own_write(shop):
    shop.run(TEST, **ON_MAIN)
    assert shop.host.checks == {
        (shop.base, "unit"): (CheckState.SUCCESS, "1 test: 1 passed, 0 failed, 0 broken, 0 skipped")
    }
    assert shop.records.own_writes == [(SHOP, f"check:{shop.base}:unit")]


def test_a_failure_is_shown_before_the_action_fails(shop):
    shop.suites.reports, shop.suites.process = (FAILED,), ProcessResult(exit_code=1)
    with pytest.raises(ActionFailed):
        shop.run(TEST, **ON_MAIN)
    [(state, _)] = shop.host.checks.values()
    assert state is CheckState.FAILURE


def test_a_check_in_an_environment_has_its_name(shop):
    shop.run(DEPLOY, "deploy", environment="qa")
    shop.run(TEST, suite="unit", environment="qa")
    assert list(shop.host.checks) == [(shop.base, "unit@qa")]


def test_a_check_of_a_workspace_is_not_shown_for_its_commit_may_not_be_there(shop):
    made = shop.run(CREATE, "create", draft="try-it").outputs
    directory = shop.workspaces.directory_for(UUID(made["workspace_id"]))
    shop.git.worktrees[directory] = (made["branch"], shop.feature)
    shop.run(TEST, suite="unit", workspace=made["workspace_id"])
    assert shop.host.checks == {}


def test_nothing_is_shown_when_that_is_not_wanted_or_there_is_no_host(shop):
    shop.run(TEST, **ON_MAIN, report=False)
    other = Shop()
    other.suites.reports = (PASSED,)
    assert other.run(TEST, **ON_MAIN).status is OutcomeStatus.DONE
    assert (shop.host.checks, other.host.checks) == ({}, {})


@pytest.mark.parametrize("error", TROUBLES)
def test_a_host_that_does_not_take_a_check_fails_nothing_and_is_said(shop, error):
    shop.host.outage = error
    outcome = shop.run(TEST, **ON_MAIN)
    assert outcome.status is OutcomeStatus.DONE
    assert outcome.summary.endswith(f"; the git host was not told: {error}")
    assert [check.state for check in shop.records.checks.values()] == [CheckState.SUCCESS]


def test_an_attempt_that_died_before_the_host_was_told_tells_it(shop):
    shop.host.outage = ConnectionDown("no route to host")
    shop.run(TEST, **ON_MAIN)
    shop.host.outage = None
    assert shop.again(TEST, **ON_MAIN).status is OutcomeStatus.NOTHING_TO_DO
    assert list(shop.host.checks) == [(shop.base, "unit")]


def test_a_deployment_is_recorded_at_the_host_from_its_beginning_to_its_end(shop):
    report_deployments(shop)
    shop.run(DEPLOY, environment="qa")
    [told] = shop.host.deployments.values()
    assert (told.commit, told.environment, told.states) == (shop.base, "qa", ["in_progress", "success"])
    assert told.key == str(uuid5(EXECUTION, "step"))


@pytest.mark.parametrize("problem", ["the disk is full", ConnectionDown("no route"), ActionFailed("broken")])
def test_a_deployment_that_fails_is_recorded_so(shop, problem):
    report_deployments(shop)
    shop.deployer.problem = problem
    with pytest.raises((ActionFailed, ConnectionDown)):
        shop.run(DEPLOY, environment="qa")
    assert shop.host.deployments["1"].states == ["in_progress", "failure"]


def test_a_new_attempt_records_no_second_deployment(shop):
    report_deployments(shop)
    shop.deployer.problem = ConnectionDown("no route")
    with pytest.raises(ConnectionDown):
        shop.run(DEPLOY, environment="qa")
    shop.deployer.problem = None
    shop.again(DEPLOY, environment="qa")
    assert shop.host.deployments["1"].states == ["in_progress", "failure", "in_progress", "success"]
    assert [request.is_repeat for request in shop.deployer.asked] == [False, True]


def test_an_environment_that_runs_the_commit_already_is_not_told_of(shop):
    shop.run(DEPLOY, environment="qa")
    report_deployments(shop)
    shop.run(DEPLOY, "again", environment="qa")
    assert shop.host.deployments == {}


@pytest.mark.parametrize("error", [*TROUBLES, NotFound("there is no connection 'forge'")])
def test_a_host_that_does_not_take_a_deployment_fails_nothing_and_is_said(shop, error):
    report_deployments(shop)
    shop.host.outage = error
    outcome = shop.run(DEPLOY, environment="qa")
    assert outcome.status is OutcomeStatus.DONE
    assert outcome.summary == f"qa runs {shop.base[:8]}; the git host was not told: {error}"
    assert shop.deployer.running == {"qa": shop.base}


def test_a_deployment_cannot_be_reported_where_there_is_no_host():
    shop = Shop()
    report_deployments(shop)
    outcome = shop.run(DEPLOY, environment="qa")
    assert "the git host was not told: report_deployment needs a git host" in outcome.summary


def test_a_dry_run_tells_the_host_nothing_and_says_what_it_would(shop):
    report_deployments(shop)
    assert "record at the host that" in shop.rehearse(DEPLOY, environment="qa").summary
