"""branch_ready, pr_approved, tests_passed: what is true of a head, and of that head only."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dct_pipelines import registry
from dct_pipelines.domain.condition import AssessmentAsk
from dct_pipelines.domain.snapshot import BranchState, PullRequestState
from dct_pipelines.domain.words import CheckState
from tests.fakes.ports import NOON
from tests.support.facts import (
    HEAD,
    TARGET_HEAD,
    assessed,
    event_of,
    holds,
    opinion,
    reported,
    request,
    verdict_of,
)

OLD_HEAD = "c" * 40
states = st.sampled_from(CheckState)
some_checks = st.dictionaries(st.sampled_from(["unit", "Lint", "e2e"]), states)
READY = {"branch": "feature/*"}


@given(
    st.sampled_from(["feature/x", "FEATURE/y", "feature/x/y", "main"]),
    st.integers(0, 2),
    st.booleans(),
    some_checks,
    st.integers(0, 120),
    st.booleans(),
    st.lists(st.sampled_from(["UNIT", "lint"]), max_size=2),
)
def test_a_branch_is_ready_exactly_when_its_head_is_all_that_was_asked(
    branch, ahead, clean, checks, quiet, require_clean, required
):
    config = READY | {
        "require_clean_merge": require_clean,
        "require_checks": required,
        "min_quiet_seconds": 60,
    }
    folded = {name.lower(): state for name, state in checks.items()}
    expected = (
        branch.lower() in ("feature/x", "feature/y")
        and ahead > 0
        and (clean or not require_clean)
        and all(folded.get(name.lower()) is CheckState.SUCCESS for name in required)
        and quiet >= 60
    )
    payload = assessed(branch=branch, ahead=ahead, merges_cleanly=clean, checks=checks, quiet_seconds=quiet)
    assert verdict_of("branch_ready", config, payload).fired is expected


@pytest.mark.parametrize(
    ("config", "fields", "because"),
    [
        (READY, {"ahead": 0}, "feature/x at aaaaaaaa has nothing that main does not have"),
        (
            READY,
            {"merges_cleanly": False, "conflicts": ("a.txt", "b.txt")},
            "feature/x at aaaaaaaa conflicts with main in: a.txt, b.txt",
        ),
        (
            READY | {"require_checks": ["unit"]},
            {"checks": {"Unit": CheckState.FAILURE}},
            "feature/x at aaaaaaaa: check 'Unit' failed",
        ),
        (
            READY | {"require_checks": ["unit"]},
            {},
            "feature/x at aaaaaaaa: check 'unit' has not reported on this head",
        ),
        (
            READY | {"min_quiet_seconds": 60},
            {"quiet_seconds": 10},
            "feature/x at aaaaaaaa has been quiet for 10 s of 60 s",
        ),
        (
            READY | {"target_branch": "qa"},
            {},
            "feature/x was compared with main, not with qa",
        ),
        (
            READY,
            {"is_default_target": False},
            "feature/x was compared with main, not with the default branch",
        ),
    ],
)
def test_a_branch_that_is_not_ready_says_which_demand_it_does_not_meet(config, fields, because):
    verdict = verdict_of("branch_ready", config, assessed(**fields))
    assert (verdict.fired, verdict.because) == (False, because)


def test_a_ready_branch_says_what_made_it_so():
    config = READY | {"require_checks": ["unit"], "min_quiet_seconds": 60}
    payload = assessed(checks={"unit": CheckState.SUCCESS}, quiet_seconds=61)
    said = verdict_of("branch_ready", config, payload).because
    assert said.startswith("feature/x at aaaaaaaa is ready for main: 2 commits ahead; merges cleanly; ")
    assert said.endswith("passed unit; quiet for 61 s")


def test_a_branch_fires_once_for_a_head_and_target():
    condition = registry.condition("branch_ready")
    config = condition.config.model_validate(READY)
    key = condition.once_key(config, event_of(assessed()))
    assert key == condition.once_key(config, event_of(assessed(target_head=OLD_HEAD, quiet_seconds=9)))
    assert key != condition.once_key(config, event_of(assessed(head=OLD_HEAD)))
    assert key != condition.once_key(config, event_of(assessed(target="qa")))


def test_a_branch_asks_to_be_compared_with_its_target_after_its_quiet_time():
    condition = registry.condition("branch_ready")
    config = condition.config.model_validate(READY | {"target_branch": "qa", "min_quiet_seconds": 60})
    assert condition.asks(config) == (AssessmentAsk("feature/*", "qa", 60),)


def branch_state(**fields: Any) -> BranchState:
    given: dict[str, Any] = {
        "branch": "feature/x",
        "head": HEAD,
        "since": NOON,
        "assessments": {"main": assessed()},
    }
    return BranchState.model_validate(given | fields)


def test_readiness_holds_by_the_checks_and_the_quiet_time_of_now():
    config = READY | {"require_checks": ["unit"], "min_quiet_seconds": 60}
    state = branch_state(checks={"unit": CheckState.SUCCESS})
    assert not holds("branch_ready", config, state, NOON + timedelta(seconds=59)).fired
    assert holds("branch_ready", config, state, NOON + timedelta(seconds=60)).fired
    assert not holds("branch_ready", config, branch_state(), NOON + timedelta(seconds=60)).fired


def test_the_comparison_of_an_older_head_does_not_hold():
    verdict = holds("branch_ready", READY, branch_state(head=OLD_HEAD))
    assert verdict.because == ("feature/x at cccccccc has not been compared with the default branch yet")


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from(["approved", "changes_requested", "dismissed", "commented"]),
            st.sampled_from([HEAD, OLD_HEAD]),
        ),
        max_size=6,
    ),
    st.integers(1, 3),
)
def test_a_pull_request_is_approved_by_the_latest_opinion_of_each_on_the_current_head(opinions, minimum):
    latest = {user: (state, head) for user, state, head in opinions if state != "commented"}
    approvals = [user for user, last in latest.items() if last == ("approved", HEAD)]
    blocked = any(state == "changes_requested" for state, _ in latest.values())
    payload = request(approvals=tuple(opinion(*entry) for entry in opinions))
    verdict = verdict_of("pr_approved", {"min_approvals": minimum}, payload)
    assert verdict.fired is (len(approvals) >= minimum and not blocked)


@pytest.mark.parametrize(
    ("config", "approval", "fields", "expected"),
    [
        ({}, opinion("dev"), {}, True),
        ({}, opinion("dev"), {"is_open": False}, False),
        ({}, opinion("dev"), {"is_draft": True}, False),
        ({}, opinion("dev", may_approve=False), {}, False),
        ({}, opinion("helper", is_bot=True), {}, False),
        ({"allow_bots": True}, opinion("helper", is_bot=True), {}, True),
        ({}, opinion("dev"), {"is_from_fork": True}, False),
        ({"allow_forks": True}, opinion("dev"), {"is_from_fork": True}, True),
        ({"approvers": ["DEV"]}, opinion("dev"), {}, True),
        ({"approvers": ["lead"]}, opinion("dev"), {}, False),
        ({"target_branch": "MAIN"}, opinion("dev"), {}, True),
        ({"target_branch": "qa"}, opinion("dev"), {}, False),
    ],
)
def test_only_approvals_that_count_are_counted(config, approval, fields, expected):
    assert verdict_of("pr_approved", config, request(approvals=(approval,), **fields)).fired is expected


@pytest.mark.parametrize("allowed", [False, True])
def test_checks_that_a_fork_brings_along_count_only_where_that_is_allowed(allowed):
    """Its author wrote the workflow that passed, and named the branch as they liked."""
    payload = request(checks={"unit": CheckState.SUCCESS}, is_from_fork=True)
    verdict = verdict_of("tests_passed", {"checks": ["unit"], "allow_forks": allowed}, payload)
    assert verdict.fired is allowed
    assert allowed or "is from a fork, which allow_forks would let count" in verdict.because


def test_somebody_without_a_say_cannot_block_a_pull_request():
    approvals = (opinion("dev"), opinion("guest", "changes_requested", may_approve=False))
    assert verdict_of("pr_approved", {}, request(approvals=approvals)).fired


def test_missing_approvals_are_counted_in_words():
    verdict = verdict_of("pr_approved", {"min_approvals": 2}, request(approvals=(opinion("dev"),)))
    assert verdict.because == "pull request 5 at aaaaaaaa has 1 of 2 approvals: dev"
    verdict = verdict_of("pr_approved", {}, request(approvals=(opinion("guest", "changes_requested"),)))
    assert verdict.because == "guest asks for changes in pull request 5"


def test_more_approvals_than_approvers_can_give_are_refused():
    with pytest.raises(ValidationError, match="can never give 2"):
        registry.condition("pr_approved").config.model_validate({"min_approvals": 2, "approvers": ["dev"]})


def test_an_approved_state_holds_until_the_next_push():
    fields = request(approvals=(opinion("dev"),)).model_dump(exclude={"kind"})
    assert holds("pr_approved", {}, PullRequestState(**fields)).fired
    assert not holds("pr_approved", {}, PullRequestState(**fields | {"head": OLD_HEAD})).fired


@given(
    some_checks,
    st.sampled_from(["unit", "Lint", "e2e"]),
    states,
    st.lists(st.sampled_from(["UNIT", "e2e"]), max_size=2, unique=True),
)
def test_tests_passed_exactly_when_every_check_that_counts_succeeded(checks, name, state, named):
    checks = checks | {name: state}
    folded = {known.lower(): result for known, result in checks.items()}
    if named:
        expected = name.lower() in {entry.lower() for entry in named} and all(
            folded.get(entry.lower()) is CheckState.SUCCESS for entry in named
        )
    else:
        counting = set(checks.values()) - {CheckState.SKIPPED, CheckState.NEUTRAL}
        expected = counting == {CheckState.SUCCESS}
    assert verdict_of("tests_passed", {"checks": named}, reported(name, checks)).fired is expected


def test_no_checks_at_all_are_not_a_pass():
    verdict = verdict_of("tests_passed", {}, request())
    assert verdict.because == (
        "pull request 5 at aaaaaaaa: no checks have reported on this head, which is not a pass"
    )
    only_skipped = reported("docs", {"docs": CheckState.SKIPPED})
    assert not verdict_of("tests_passed", {}, only_skipped).fired


def test_a_check_that_was_not_named_does_not_fire_for_those_that_were():
    passed = {"unit": CheckState.SUCCESS, "lint": CheckState.SUCCESS}
    verdict = verdict_of("tests_passed", {"checks": ["unit"]}, reported("lint", passed))
    assert verdict.because == "check 'lint' is none of 'unit'"


def test_tests_fire_once_for_a_head_of_a_branch_or_a_pull_request():
    condition = registry.condition("tests_passed")
    config = condition.config.model_validate({})
    passed = {"unit": CheckState.SUCCESS, "lint": CheckState.SUCCESS}
    keys = {condition.once_key(config, event_of(reported(name, passed))) for name in passed}
    assert keys == {f"feature/x {HEAD}"}
    assert condition.once_key(config, event_of(request())) == f"#5 {HEAD}"


def test_tests_of_another_branch_do_not_count():
    passed = {"unit": CheckState.SUCCESS}
    verdict = verdict_of("tests_passed", {"branch": "release/*"}, reported("unit", passed))
    assert verdict.because == "branch feature/x is not 'release/*'"
    assert not verdict_of("tests_passed", {"branch": "release/*"}, request(checks=passed)).fired


def test_passed_tests_hold_for_a_branch_and_for_an_open_pull_request():
    passed = {"unit": CheckState.SUCCESS}
    assert holds("tests_passed", {}, branch_state(checks=passed)).fired
    assert not holds("tests_passed", {}, branch_state()).fired
    open_one = PullRequestState(number=5, source="feature/x", target="main", head=TARGET_HEAD, checks=passed)
    assert holds("tests_passed", {}, open_one).fired
    assert not holds("tests_passed", {}, open_one.model_copy(update={"is_open": False})).fired
