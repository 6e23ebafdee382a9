"""When an incident opens, stays and ends: pure, by what is seen and what there was."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.domain.alerts import (
    LONGEST_PAUSE,
    MessageKind,
    groups,
    pause_after,
    subject_of,
    text_of,
)
from dct_pipelines.domain.incidents import (
    UNWATCHED,
    AlertRule,
    Incident,
    IncidentState,
    Pace,
    Sign,
    Step,
    judge,
)
from tests.fakes.ports import NOON

MINUTE = timedelta(minutes=1)
PACE = Pace()


def incident(rule: AlertRule, state: str = "open", number: int = 1, **values: Any) -> Incident:
    seen: dict[str, Any] = {"first_seen_at": NOON, "last_seen_at": NOON, "opened_at": NOON}
    return Incident(
        id=UUID(int=number),
        rule=rule,
        subject=f"s{number}",
        state=IncidentState(state),
        text=f"text {number}",
        **seen | values,
    )


def sign(rule: AlertRule, *, is_over: bool = True) -> Sign:
    return Sign(rule, "s1", "text", is_over=is_over)


@given(st.sampled_from(AlertRule), st.lists(st.sampled_from(["over", "near", "gone"]), max_size=60))
def test_whatever_is_seen_an_incident_opens_once_and_only_its_own_calm_ends_it(
    rule: AlertRule, history: list[str]
):
    live: Incident | None = None
    calm = 0
    for minute, seen in enumerate(history):
        now = NOON + minute * MINUTE
        now_seen = None if seen == "gone" else sign(rule, is_over=seen == "over")
        step = judge(PACE.of(rule), now_seen, live, now)
        calm = calm + 1 if seen == "gone" else 0
        was_open = live is not None and live.state is IncidentState.OPEN
        if step is Step.OPEN:
            assert seen == "over"
            assert not was_open
            live = incident(rule, last_seen_at=now)
        elif step is Step.SUSPECT:
            live = incident(rule, "suspected", first_seen_at=now, last_seen_at=now)
        elif step is Step.KEEP:
            assert live is not None
            live = live.model_copy(update={"last_seen_at": now, "well_since": None})
        elif step is Step.CALM:
            assert live is not None
            live = live.model_copy(update={"well_since": now})
        elif step is Step.RESOLVE:
            assert was_open
            assert (calm - 1) * MINUTE >= PACE.of(rule).settles_after
            live = None
        elif step is Step.FORGET:
            assert not was_open
            live = None


def test_what_was_suspected_long_ago_is_suspected_anew():
    rule = AlertRule.UTILIZATION
    suspected = incident(rule, "suspected", opened_at=None)
    later = NOON + UNWATCHED + MINUTE
    assert judge(PACE.of(rule), sign(rule), suspected, later) is Step.SUSPECT


def test_what_is_only_remembered_never_opens_anything():
    for rule in AlertRule:
        seen = Sign(rule, "s1", "text", is_told=False)
        suspected = incident(rule, "suspected", last_seen_at=NOON + 600 * MINUTE, opened_at=None)
        assert judge(PACE.of(rule), seen, None, NOON) is Step.SUSPECT
        assert judge(PACE.of(rule), seen, suspected, NOON + 601 * MINUTE) is Step.KEEP
        assert judge(PACE.of(rule), None, suspected, NOON + 601 * MINUTE) is Step.FORGET


def test_an_acknowledged_incident_is_kept_and_resolved_as_an_open_one():
    rule = AlertRule.METRICS
    assert judge(PACE.of(rule), sign(rule), incident(rule, "acknowledged"), NOON) is Step.KEEP
    assert judge(PACE.of(rule), None, incident(rule, "acknowledged"), NOON) is Step.RESOLVE


def test_incidents_of_one_group_are_told_together_and_others_alone():
    rule = AlertRule.CONNECTION
    found = [incident(rule, number=n, group="connection x" if n < 3 else "") for n in range(1, 5)]
    assert [[one.subject for one in together] for together in groups(found)] == [["s1", "s2"], ["s3"], ["s4"]]
    many = [incident(rule, number=n) for n in range(1, 40)]
    assert len(groups(many)) == 1
    text = text_of(MessageKind.OPENED, many)
    assert text.splitlines()[0] == "39 incidents opened:"
    assert text.splitlines()[-1] == "and 19 more: dct alert list"
    assert subject_of(MessageKind.OPENED, many) == "39 incidents: s1, s2, s3, s4, ..."


def test_the_end_says_how_long_it_was_and_who_ended_it():
    ended = incident(AlertRule.WAIT, "resolved", resolved_at=NOON + 12 * MINUTE, resolved_by="kim")
    assert text_of(MessageKind.RESOLVED, [ended]) == "Resolved by kim after 12 min: text 1"
    soon = ended.model_copy(update={"resolved_at": NOON + timedelta(seconds=45), "resolved_by": None})
    assert text_of(MessageKind.RESOLVED, [soon]) == "Resolved after 45 s: text 1"
    assert subject_of(MessageKind.RESOLVED, [ended, soon]) == "2 incidents resolved: s1"


def test_a_second_look_that_is_a_hair_early_is_one():
    rule = AlertRule.WAIT
    early = NOON + timedelta(seconds=59)
    suspected = incident(rule, "suspected", opened_at=None)
    assert judge(PACE.of(rule), sign(rule), suspected, early) is Step.OPEN


def test_pauses_grow_to_an_hour():
    assert [pause_after(n) for n in (1, 2, 3)] == [MINUTE, 2 * MINUTE, 4 * MINUTE]
    assert pause_after(10_000) == LONGEST_PAUSE
