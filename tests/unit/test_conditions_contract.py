"""What every condition promises, whichever it is: pure, explained, storable, and found when it may fire."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from dct_pipelines import registry
from dct_pipelines.domain.condition import ConditionType
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.payloads import Payload
from dct_pipelines.domain.snapshot import State
from tests.fakes.ports import NOON
from tests.support.facts import event_of, snapshot_of

NAMES = ("main", "qa", "feature/x", "Done", "done", "High", "dev", "unit", "", "Deploy it, please")
PAYLOADS = {kind.model_fields["kind"].default: kind for kind in get_args(get_args(Payload)[0])}
STATES = {kind.model_fields["kind"].default: kind for kind in get_args(get_args(State)[0])}
OTHER_CONFIGS: dict[str, list[dict[str, Any]]] = {
    "assignee_change": [{}, {"to_user": "nobody"}],
    "branch_ready": [{"branch": "**"}, {"branch": "feature/*", "require_clean_merge": False}],
    "new_comment": [{}, {"contains_keywords": ["deploy"], "min_length": 3}],
    "new_message": [{}, {"in_thread": True, "subject": "DEPLOY"}],
    "pr_approved": [{}, {"allow_bots": True, "target_branch": "qa"}],
    "priority_change": [{}, {"to_priority": "high"}],
    "status_change": [{}, {"to_status": "DONE"}, {"from_status": "done"}],
    "string_match": [
        {"pattern": "e"},
        {"pattern": r"\bit\b", "mode": "regex"},
        {"pattern": "DEV", "mode": "exact"},
    ],
    "tests_passed": [{}, {"branch": "feature/*"}, {"checks": ["UNIT"]}],
}
CONDITIONS = sorted(registry.conditions().values(), key=lambda condition: condition.kind)
every_condition = pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.kind)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of an annotated kind, with few different texts, so that some of them are equal."""
    if kind is str:
        return st.sampled_from(NAMES)
    if kind is datetime:
        return st.just(NOON)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return st.builds(
            kind, **{name: values(field.annotation) for name, field in kind.model_fields.items()}
        )
    inner = get_args(kind)
    match get_origin(kind):
        case None:
            return st.from_type(kind)
        case container if container is tuple:
            return st.lists(values(inner[0]), max_size=2).map(tuple)
        case container if container is dict:
            return st.dictionaries(values(inner[0]), values(inner[1]), max_size=2)
        case container if container is Literal:
            return st.sampled_from(inner)
    return st.one_of([values(one) for one in inner])


def configs_of(condition: ConditionType[Any]) -> list[Any]:
    given = [dict(condition.example), *OTHER_CONFIGS[condition.kind]]
    return [condition.config.model_validate(config) for config in given]


def events_for(condition: ConditionType[Any]) -> st.SearchStrategy[Event]:
    kinds = [PAYLOADS[kind] for kind in sorted(condition.event_kinds)]
    return st.one_of([values(kind) for kind in kinds]).map(event_of)


@every_condition
@settings(max_examples=40)
@given(st.data())
def test_an_event_gets_the_same_explained_verdict_every_time(condition, data):
    event = data.draw(events_for(condition))
    for config in configs_of(condition):
        verdict = condition.test(config, event)
        copies = (
            config.model_validate(config.model_dump()),
            Event.model_validate_json(event.model_dump_json()),
        )
        assert condition.test(*copies) == verdict
        assert re.fullmatch(r".+", verdict.because)


@every_condition
@settings(max_examples=40)
@given(st.data())
def test_a_state_gets_the_same_explained_verdict_every_time(condition, data):
    kinds = [STATES[kind] for kind in sorted(condition.state_kinds)]
    snapshot = snapshot_of(data.draw(st.one_of([values(kind) for kind in kinds])))
    for config in configs_of(condition):
        verdict = condition.is_true(config, snapshot, NOON)
        assert verdict == condition.is_true(
            config, type(snapshot).model_validate(snapshot.model_dump()), NOON
        )
        assert re.fullmatch(r".+", verdict.because)


@every_condition
@settings(max_examples=40)
@given(st.data())
def test_the_finder_leaves_out_no_condition_that_fires(condition, data):
    event = data.draw(events_for(condition))
    configs = configs_of(condition)
    found = set(condition.finder(configs)(event))
    fired = {place for place, config in enumerate(configs) if condition.test(config, event).fired}
    assert fired <= found <= set(range(len(configs)))


@every_condition
def test_a_configuration_survives_being_stored(condition):
    for config in configs_of(condition):
        assert condition.config.model_validate_json(config.model_dump_json()) == config


@every_condition
def test_a_condition_that_is_given_what_it_does_not_know_says_so(condition):
    if condition.kind == "string_match":
        return
    stranger = event_of(PAYLOADS["tag_created"](tag="v1", commit="a" * 40))
    with pytest.raises(TypeError, match="TagCreated"):
        condition.test(configs_of(condition)[0], stranger)


def test_every_kind_of_event_and_state_that_a_condition_names_exists():
    for condition in CONDITIONS:
        assert condition.event_kinds <= PAYLOADS.keys()
        assert condition.state_kinds <= STATES.keys()
