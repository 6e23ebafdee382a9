"""One event × one trigger: any and all, what must not fire, and the index that finds triggers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines import registry
from dct_pipelines.domain.compiled import compile_trigger
from dct_pipelines.domain.decision import IgnoredBecause
from dct_pipelines.domain.errors import InvalidInput
from dct_pipelines.domain.event import Cause
from dct_pipelines.domain.facts import MailTrust, Person
from dct_pipelines.domain.payloads import MessagePosted, StatusChanged, TagCreated
from dct_pipelines.domain.ruling import rule
from dct_pipelines.domain.snapshot import BranchState, TagState, TicketState
from dct_pipelines.domain.words import CheckState, DecisionOutcome, Match, TriggerStatus
from tests.fakes.ports import NOON
from tests.fakes.snapshots import FakeSnapshots
from tests.support.facts import (
    HEAD,
    ITEM,
    OTHER_ITEM,
    assessed,
    compiled,
    condition,
    event_of,
    id_of,
    reported,
    version_of,
)

PASSED = {"unit": CheckState.SUCCESS}
READY = condition("branch_ready", branch="feature/*")
TESTED = condition("tests_passed")
TO_QA = condition("status_change", to_status="Ready for QA")
EXECUTION = id_of("execution")


def status(before: str, after: str) -> StatusChanged:
    return StatusChanged(from_status=before, to_status=after)


def branch(**fields: Any) -> BranchState:
    given = {"branch": "feature/x", "head": HEAD, "since": NOON, "checks": PASSED}
    return BranchState.model_validate(given | fields)


def view_of(
    state: BranchState | TagState | TicketState, item_id: UUID = ITEM, name: str = ""
) -> FakeSnapshots:
    view = FakeSnapshots()
    view.put(item_id, name or f"refs/heads/{getattr(state, 'branch', '')}", state)
    return view


NOTHING = FakeSnapshots()
outcomes = st.lists(st.booleans(), min_size=1, max_size=4)


@given(outcomes, st.sampled_from(Match))
def test_any_needs_one_condition_that_fires_and_all_needs_every_one(answers: list[bool], match: Match):
    conditions = [condition("status_change", to_status="Done" if fires else "To Do") for fires in answers]
    ruling = rule(event_of(status("Ready", "Done")), compiled(conditions, match=match), NOTHING)
    fires = any(answers) if match is Match.ANY else all(answers)
    assert (ruling.outcome is DecisionOutcome.FIRED) is fires
    assert {entry.index for entry in ruling.conditions} == set(range(len(answers)))


def test_every_condition_is_recorded_also_behind_one_that_fired():
    trigger = compiled([condition("status_change"), TO_QA, READY])
    ruling = rule(event_of(status("To Do", "Done")), trigger, NOTHING)
    assert [(entry.index, entry.verdict.fired) for entry in ruling.conditions] == [(0, True), (1, False)]
    assert ruling.because == "status went To Do → Done"


def test_a_plain_no_names_each_reason():
    trigger = compiled([TO_QA, condition("status_change", from_status="Blocked")])
    ruling = rule(event_of(status("To Do", "Done")), trigger, NOTHING)
    assert ruling.outcome is DecisionOutcome.NOT_MATCHED
    assert ruling.because == (
        "status went To Do → Done, not to 'Ready for QA'; status went To Do → Done, not from 'Blocked'"
    )


def test_an_event_that_no_condition_looks_at_says_what_they_look_at():
    tagged = event_of(TagCreated(tag="v1", commit=HEAD), subject="refs/tags/v1")
    ruling = rule(tagged, compiled([READY]), NOTHING)
    assert ruling.because == "none of its conditions looks at tag_created (they look at branch_assessed)"


def test_all_takes_the_state_of_the_events_own_subject():
    trigger = compiled([READY, TESTED], match="all")
    ready = event_of(assessed())
    assert rule(ready, trigger, view_of(branch())).outcome is DecisionOutcome.FIRED
    untested = rule(ready, trigger, view_of(branch(checks={})))
    assert untested.outcome is DecisionOutcome.NOT_MATCHED
    assert (
        untested.because == "feature/x at aaaaaaaa: no checks have reported on this head, which is not a pass"
    )


def test_all_takes_any_state_of_the_triggers_other_items_when_the_subject_is_of_another_kind():
    trigger = compiled([TO_QA, TESTED], match="all", items=(ITEM, OTHER_ITEM))
    moved = event_of(status("To Do", "Ready for QA"))
    view = view_of(TicketState(key="PAY-7", status="Ready for QA"), name="PAY-7")
    assert rule(moved, trigger, view).because == "no branch or pull request of this trigger's items is known"
    view.put(OTHER_ITEM, "refs/heads/a", branch(branch="a", checks={}))
    assert rule(moved, trigger, view).outcome is DecisionOutcome.NOT_MATCHED
    view.put(OTHER_ITEM, "refs/heads/b", branch(branch="b"))
    ruling = rule(moved, trigger, view)
    assert (ruling.outcome, ruling.because) == (
        DecisionOutcome.FIRED,
        "status went To Do → Ready for QA; b at aaaaaaaa passed unit",
    )


def test_all_fires_once_for_a_head_whichever_condition_comes_last():
    trigger = compiled([READY, TESTED], match="all")
    view = view_of(branch(assessments={"main": assessed()}))
    by_assessment = rule(event_of(assessed()), trigger, view)
    by_check = rule(event_of(reported("unit", PASSED)), trigger, view)
    assert by_assessment.once_key == by_check.once_key == f"{ITEM} refs/heads/feature/x {HEAD}"


def test_any_fires_once_for_a_head_and_target_of_an_item():
    trigger = compiled([READY])
    keys = {
        rule(event_of(payload, subject=subject), trigger, NOTHING).once_key
        for payload in (assessed(), assessed(quiet_seconds=5))
        for subject in ("refs/heads/feature/x", "another")
    }
    assert keys == {f"{ITEM} feature/x {HEAD} main"}
    elsewhere = rule(event_of(assessed(), item_id=OTHER_ITEM), compiled([READY]), NOTHING)
    assert elsewhere.once_key not in keys


def test_what_has_no_head_fires_for_each_event():
    assert rule(event_of(status("To Do", "Ready for QA")), compiled([TO_QA]), NOTHING).once_key is None


CHAINS = {
    None: None,
    "own": Cause(execution_id=EXECUTION, chain=(id_of("other"), id_of("trigger", "sample"))),
    "other": Cause(execution_id=EXECUTION, chain=(id_of("other"),)),
    "deep": Cause(execution_id=EXECUTION, chain=tuple(id_of(place) for place in range(5))),
}


@given(
    st.sampled_from(TriggerStatus),
    st.sampled_from([timedelta(0), timedelta(seconds=1), timedelta(seconds=-1)]),
    st.sampled_from(list(CHAINS)),
    st.booleans(),
)
def test_what_must_not_fire_is_ignored_for_the_first_reason(status_now, age, chain, on_own_writes):
    trigger = compiled([READY], status=status_now, active_since=NOON, on_own_writes=on_own_writes)
    ruling = rule(event_of(assessed(), occurred_at=NOON - age, cause=CHAINS[chain]), trigger, NOTHING)
    expected: IgnoredBecause | None = None
    if status_now is not TriggerStatus.ACTIVE:
        expected = {
            TriggerStatus.PAUSED: IgnoredBecause.TRIGGER_PAUSED,
            TriggerStatus.DISABLED: IgnoredBecause.TRIGGER_DISABLED,
            TriggerStatus.ERROR: IgnoredBecause.TRIGGER_BROKEN,
        }[status_now]
    elif age > timedelta(0):
        expected = IgnoredBecause.OLDER_THAN_TRIGGER
    elif chain == "own" or (chain and not on_own_writes):
        expected = IgnoredBecause.OWN_WRITE
    elif chain == "deep":
        expected = IgnoredBecause.CHAIN_TOO_DEEP
    assert ruling.ignored_because is expected
    assert ruling.outcome is (DecisionOutcome.IGNORED if expected else DecisionOutcome.FIRED)
    assert ruling.because.startswith("feature/x at aaaaaaaa is ready")


def test_the_depth_of_a_chain_has_a_limit_that_can_be_set():
    trigger = compiled([READY], on_own_writes=True)
    event = event_of(assessed(), cause=CHAINS["other"])
    assert rule(event, trigger, NOTHING, max_chain_depth=2).outcome is DecisionOutcome.FIRED
    ruling = rule(event, trigger, NOTHING, max_chain_depth=1)
    assert ruling.ignored_because is IgnoredBecause.CHAIN_TOO_DEEP


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (condition("branch_redy"), "there is no condition 'branch_redy'"),
        (condition("branch_ready"), "condition 1 (branch_ready): branch: Field required"),
        (condition("branch_ready", branch="a b"), "no branch can have ' ' in its name"),
        (condition("branch_ready", branch="a", min_quiet=1), "min_quiet: Extra inputs are not permitted"),
    ],
)
def test_a_trigger_with_an_invalid_condition_is_refused_with_its_fault(spec, words):
    with pytest.raises(InvalidInput) as raised:
        compile_trigger(version_of([spec]), registry.conditions())
    assert words in str(raised.value)


def test_times_are_compared_to_the_microsecond():
    since = datetime(2026, 3, 2, 12, 0, 0, 1, tzinfo=NOON.tzinfo)
    ruling = rule(event_of(assessed()), compiled([READY], active_since=since), NOTHING)
    assert ruling.ignored_because is IgnoredBecause.OLDER_THAN_TRIGGER


TRUSTED = MailTrust(is_authenticated=True, is_allowed=True, is_automatic=False, because="mx vouches")
MAILS = {
    "trusted": TRUSTED,
    "spoofed": TRUSTED.model_copy(update={"is_authenticated": False}),
    "not allowed": TRUSTED.model_copy(update={"is_allowed": False}),
    "automatic": TRUSTED.model_copy(update={"is_automatic": True}),
    "automatic and spoofed": TRUSTED.model_copy(update={"is_automatic": True, "is_authenticated": False}),
    "chat": None,
}
TELL, DEPLOY = {"type": "notify_users"}, {"type": "deploy_environment"}


@pytest.mark.parametrize("actions", [[TELL], [TELL, TELL], [DEPLOY], [TELL, DEPLOY], [DEPLOY, TELL]])
@pytest.mark.parametrize("mail", MAILS)
def test_a_mail_fires_only_what_its_sender_may_start(mail: str, actions: list[dict[str, str]]):
    posted = MessagePosted(message_id="1", author=Person(name="Dev"), text="deploy", mail=MAILS[mail])
    ruling = rule(event_of(posted), compiled([condition("new_message")], actions=actions), NOTHING)
    expected = None
    if mail.startswith("automatic"):
        expected = IgnoredBecause.AUTOMATIC_MAIL
    elif mail in ("spoofed", "not allowed") and DEPLOY in actions:
        expected = IgnoredBecause.SENDER_NOT_TRUSTED
    assert ruling.ignored_because is expected
    assert ruling.outcome is (DecisionOutcome.IGNORED if expected else DecisionOutcome.FIRED)


def test_the_story_of_a_mail_that_may_not_fire_says_why_and_what_to_do():
    posted = MessagePosted(message_id="1", author=Person(name="Dev"), text="x", mail=MAILS["spoofed"])
    ruling = rule(event_of(posted), compiled([condition("new_message")], actions=[DEPLOY, TELL]), NOTHING)
    assert ruling.because == (
        "message by Dev; but its sender may not start deploy_environment (mx vouches); an operator can name "
        "the sender in allowed_senders and our receiving host in authserv_id (docs/how-to/connect-mail.md)"
    )
    posted = posted.model_copy(update={"mail": MailTrust.model_validate(MAILS["automatic"])})
    ruling = rule(event_of(posted), compiled([condition("new_message")]), NOTHING)
    assert "a program sent this mail, so that it fires nothing (mx vouches)" in ruling.because
