"""The index of triggers decides what looking at every trigger would, and what it costs."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines import registry
from dct_pipelines.domain.compiled import CompiledTrigger, compile_trigger
from dct_pipelines.domain.condition import AssessmentAsk
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.payloads import Payload, StatusChanged
from dct_pipelines.domain.ruling import rule
from dct_pipelines.domain.snapshot import BranchState
from dct_pipelines.domain.trigger_index import TriggerIndex, digest_of_asks
from dct_pipelines.domain.verdict import Verdict
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
    reported,
    request,
    version_of,
)

PASSED = {"unit": CheckState.SUCCESS}
READY = condition("branch_ready", branch="feature/*")
TESTED = condition("tests_passed")
TO_QA = condition("status_change", to_status="Ready for QA")


def status(before: str, after: str) -> StatusChanged:
    return StatusChanged(from_status=before, to_status=after)


NOTHING = FakeSnapshots()


CONDITIONS = [
    READY,
    TESTED,
    TO_QA,
    condition("branch_ready", branch="feature/x", target_branch="qa"),
    condition("branch_ready", branch="**", min_quiet_seconds=60),
    condition("tests_passed", branch="main"),
    condition("status_change"),
    condition("pr_approved"),
]
EVENTS: list[Payload] = [
    assessed(),
    assessed(target="QA", is_default_target=False),
    assessed(branch="main", ahead=0, quiet_seconds=90),
    reported("unit", PASSED),
    reported("unit", PASSED, branch="main"),
    status("To Do", "Ready for QA"),
    status("Done", "To Do"),
    request(checks=PASSED),
]


@st.composite
def triggers(draw: st.DrawFn) -> list[CompiledTrigger]:
    several = st.lists(st.sampled_from(CONDITIONS), min_size=1, max_size=3)
    return [
        compiled(
            draw(several),
            name=f"trigger-{place}",
            match=draw(st.sampled_from(Match)),
            items=draw(st.sampled_from([(ITEM,), (OTHER_ITEM,), (ITEM, OTHER_ITEM)])),
            status=draw(st.sampled_from([TriggerStatus.ACTIVE, TriggerStatus.PAUSED])),
        )
        for place in range(draw(st.integers(0, 6)))
    ]


@given(triggers(), st.sampled_from(EVENTS), st.sampled_from([ITEM, OTHER_ITEM]))
def test_the_index_decides_what_looking_at_every_trigger_decides(several, payload, item_id):
    view = FakeSnapshots()
    state = {"branch": "feature/x", "head": HEAD, "since": NOON, "checks": PASSED}
    view.put(
        item_id,
        "refs/heads/feature/x",
        BranchState.model_validate(state | {"assessments": {"main": assessed()}}),
    )
    event = event_of(payload, item_id=item_id)
    by_hand = [
        (trigger, ruling)
        for trigger in several
        if item_id in trigger.version.item_ids
        and (ruling := rule(event, trigger, view)).outcome is not DecisionOutcome.NOT_MATCHED
    ]
    assert TriggerIndex(several).decide(event, view) == by_hand


@given(triggers())
def test_asks_are_those_of_the_active_triggers_each_once(several):
    asks = TriggerIndex(several).asks_for(ITEM)
    expected = {ask for t in several if ITEM in t.version.item_ids for ask in t.asks}
    assert set(asks) == expected
    assert len(asks) == len(expected)
    assert all(not t.asks for t in several if t.version.status is TriggerStatus.PAUSED)


@given(st.permutations([AssessmentAsk("a", None), AssessmentAsk("a", "qa", 5), AssessmentAsk("b", None, 5)]))
def test_the_digest_of_asks_does_not_depend_on_their_order(asks):
    assert digest_of_asks(asks) == digest_of_asks(sorted(asks, key=repr))
    assert digest_of_asks(asks) != digest_of_asks(asks[1:])


def test_equal_conditions_of_many_triggers_are_tested_once():
    tested: list[Event] = []
    ready = registry.condition("branch_ready")

    def counted(config: Any, event: Event) -> Verdict:
        tested.append(event)
        return ready.test(config, event)

    types = {"branch_ready": replace(ready, test=counted)}
    many = [compile_trigger(version_of([READY], name=f"t{place}"), types) for place in range(50)]
    fired = TriggerIndex(many).decide(event_of(assessed()), NOTHING)
    assert (len(fired), len(tested)) == (50, 1)


def test_thousands_of_triggers_that_do_not_match_cost_next_to_nothing():
    specs = [
        condition("branch_ready", branch="team-{}/*"),
        condition("string_match", pattern="hotfix-{}", mode="regex"),
        condition("tests_passed", branch="release-{}"),
    ]
    many = [
        compiled(
            [spec | {"config": {key: text.format(place) for key, text in spec["config"].items()}}],
            name=f"t{place}-{kind}",
        )
        for place in range(500)
        for kind, spec in enumerate(specs)
    ]
    index = TriggerIndex(many)
    events = [event_of(assessed(branch=f"feature/{place}")) for place in range(100)]
    start = time.process_time()
    assert not any(index.decide(event, NOTHING) for event in events)
    assert time.process_time() - start < 1
