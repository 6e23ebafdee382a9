"""`run_tests`: what the reports say is told, reported as a check, and not asked twice without need."""

from __future__ import annotations

from uuid import UUID

import pytest
from pydantic import ValidationError

from dct_pipelines.actions.create_workspace import ACTION as CREATE
from dct_pipelines.actions.deploy_environment import ACTION as DEPLOY
from dct_pipelines.actions.run_tests import ACTION
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted, NotFound
from dct_pipelines.domain.operations import Check
from dct_pipelines.domain.outcome import OutcomeStatus
from dct_pipelines.domain.process import ProcessResult
from dct_pipelines.domain.words import CheckState
from tests.fakes.deployers import FakeSuites
from tests.fakes.shop import SHOP, Shop

PASSING = b'<testsuite><testcase classname="t" name="a"/><testcase classname="t" name="b"/></testsuite>'
FAILING = (
    b'<testsuite><testcase classname="t" name="a"/>'
    b'<testcase classname="t" name="b"><failure>no</failure></testcase></testsuite>'
)
SKIPPED = b'<testsuite><testcase classname="t" name="a"><skipped/></testcase></testsuite>'
ON_MAIN = {"suite": "unit", "repository": "shop", "branch": "main"}


@pytest.fixture
def shop() -> Shop:
    made = Shop()
    made.suites = FakeSuites([PASSING])
    return made


def check(shop: Shop, name: str = "unit", commit: str | None = None) -> Check:
    return shop.records.checks[SHOP, commit or shop.base, name]


def test_counts_are_told_and_reported_as_a_check(shop):
    outcome = shop.run(ACTION, **ON_MAIN)
    assert outcome.status is OutcomeStatus.DONE
    assert outcome.outputs == {
        "commit": shop.base,
        "passed": True,
        "tests": 2,
        "failed": 0,
        "skipped": 0,
        "failing": [],
    }
    assert check(shop).state is CheckState.SUCCESS
    assert check(shop).summary == "2 tests: 2 passed, 0 failed, 0 broken, 0 skipped"


def test_failing_tests_fail_the_action_by_name(shop):
    shop.suites = FakeSuites([FAILING], ProcessResult(exit_code=1))
    with pytest.raises(ActionFailed, match="failing: t::b"):
        shop.run(ACTION, **ON_MAIN)
    assert check(shop).state is CheckState.FAILURE


def test_failing_tests_can_be_let_through(shop):
    shop.suites = FakeSuites([FAILING], ProcessResult(exit_code=1))
    outcome = shop.run(ACTION, **ON_MAIN, on_failure="continue")
    assert outcome.status is OutcomeStatus.DONE
    assert (outcome.outputs["passed"], outcome.outputs["failing"]) == (False, ["t::b"])


def test_a_result_for_the_commit_is_used_again(shop):
    shop.run(ACTION, **ON_MAIN)
    outcome = shop.run(ACTION, "again", **ON_MAIN)
    assert outcome.status is OutcomeStatus.NOTHING_TO_DO
    assert outcome.outputs["tests"] == 2
    assert len(shop.suites.asked) == 1


def test_so_is_a_failing_one(shop):
    shop.suites = FakeSuites([FAILING], ProcessResult(exit_code=1))
    for name in ("one", "two"):
        with pytest.raises(ActionFailed, match="1 failed"):
            shop.run(ACTION, name, **ON_MAIN)
    assert len(shop.suites.asked) == 1


def test_a_new_attempt_runs_failing_tests_again(shop):
    shop.suites = FakeSuites([FAILING], ProcessResult(exit_code=1))
    with pytest.raises(ActionFailed):
        shop.run(ACTION, **ON_MAIN)
    shop.suites.reports, shop.suites.process = (PASSING,), ProcessResult(exit_code=0)
    assert shop.again(ACTION, **ON_MAIN).outputs["passed"]


def test_force_runs_them_again(shop):
    for name in ("one", "two"):
        shop.run(ACTION, name, **ON_MAIN, force=True)
    assert len(shop.suites.asked) == 2


def test_a_timeout_is_no_result_to_use_again(shop):
    shop.suites = FakeSuites([], ProcessResult(exit_code=-9, timed_out=True, killed=True))
    with pytest.raises(ActionFailed, match="did not end within 900 s"):
        shop.run(ACTION, "one", **ON_MAIN)
    shop.suites.reports, shop.suites.process = (PASSING,), ProcessResult(exit_code=0)
    assert shop.run(ACTION, "two", **ON_MAIN).outputs["passed"]


@pytest.mark.parametrize(
    ("reports", "process", "words"),
    [
        ([], ProcessResult(exit_code=0), "no test was found"),
        ([b"<testsuite/>"], ProcessResult(exit_code=0), "no test was found"),
        ([SKIPPED], ProcessResult(exit_code=0), "which is no pass"),
        ([PASSING], ProcessResult(exit_code=2, stderr=b"Segmentation fault\n"), "Segmentation fault"),
        ([], ProcessResult(exit_code=127, stdout=b"no such file"), "exit code 127; its last words:\nno such"),
        ([], ProcessResult(exit_code=1), "exit code 1 and said nothing"),
        ([PASSING], ProcessResult(exit_code=-9, killed=True), "went over a limit"),
        ([], ProcessResult(exit_code=-11), "signal 11"),
        ([b"<testsuite><testcase"], ProcessResult(exit_code=0), "not well-formed"),
        ([b'<!DOCTYPE x [<!ENTITY a "b">]><testsuite/>'], ProcessResult(exit_code=0), "document type"),
    ],
)
def test_what_is_no_pass_says_why_and_fails_the_check(shop, reports, process, words):
    shop.suites = FakeSuites(reports, process)
    with pytest.raises(ActionFailed) as caught:
        shop.run(ACTION, **ON_MAIN)
    assert words in str(caught.value)
    assert check(shop).state is CheckState.FAILURE


def test_a_suite_without_junit_is_judged_by_its_exit_code(shop):
    shop.library.suites["unit"] = shop.library.suites["unit"].model_copy(update={"junit": None})
    shop.suites = FakeSuites()
    assert shop.run(ACTION, **ON_MAIN).outputs["passed"]


def test_a_cancelled_run_reports_nothing(shop):
    shop.suites = FakeSuites([], ProcessResult(exit_code=-9, cancelled=True, killed=True))
    with pytest.raises(ActionInterrupted, match="cancelled"):
        shop.run(ACTION, **ON_MAIN)
    assert not shop.records.checks


def test_in_an_environment_what_runs_there_is_tested_under_its_own_name(shop):
    with pytest.raises(ActionFailed, match="nothing was deployed to qa"):
        shop.run(ACTION, suite="unit", environment="qa")
    shop.run(DEPLOY, "deploy", environment="qa")
    outcome = shop.run(ACTION, suite="unit", environment="qa")
    assert outcome.outputs["commit"] == shop.base
    assert check(shop, "unit@qa").state is CheckState.SUCCESS
    assert shop.suites.asked[0].environment == "qa"


def test_in_a_workspace_what_is_committed_there_is_named(shop):
    made = shop.run(CREATE, "create", draft="try-it").outputs
    directory = shop.workspaces.directory_for(UUID(made["workspace_id"]))
    shop.git.worktrees[directory] = (made["branch"], shop.feature)
    for name in ("one", "two"):
        outcome = shop.run(ACTION, name, suite="unit", workspace=made["workspace_id"])
        assert outcome.outputs["commit"] == shop.git.worktrees[directory][1]
    assert check(shop, "unit@workspace", outcome.outputs["commit"]).state is CheckState.SUCCESS
    assert len(shop.suites.asked) == 2


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"environment": "qa", "workspace": "w"},
        {"repository": "shop"},
        {"repository": "shop", "branch": "a", "commit": "b"},
        {"environment": "qa", "branch": "a"},
    ],
)
def test_exactly_one_place_is_meant(place):
    with pytest.raises(ValidationError):
        ACTION.config.model_validate({"suite": "unit", **place})


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ({"repository": "shop", "commit": "abc"}, ActionFailed),
        ({"workspace": "nonsense"}, ActionFailed),
        ({"workspace": str(UUID(int=5))}, NotFound),
        ({"repository": "shup", "branch": "main"}, NotFound),
    ],
)
def test_what_is_not_there_is_named(shop, place, error):
    with pytest.raises(error):
        shop.run(ACTION, suite="unit", **place)


def test_what_could_change_under_the_tests_is_leased():
    def leases(**place: str) -> tuple[str, ...]:
        return ACTION.leases(ACTION.config.model_validate({"suite": "unit", **place}))

    assert leases(environment="qa") == ("environment:qa",)
    assert leases(workspace="w") == ("workspace:w",)
    assert leases(repository="shop", branch="main") == ()


def test_a_dry_run_says_what_it_would_run_and_claims_no_result(shop):
    outcome = shop.rehearse(ACTION, **ON_MAIN)
    assert outcome.summary == f"would run the suite unit on {shop.base[:8]} in a fresh export"
    assert outcome.outputs["passed"] == "<passed>"
