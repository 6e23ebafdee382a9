"""Templates: what they can say, what they refuse, and that data never becomes one."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.domain.errors import TemplateFailed
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.payloads import BranchAssessed, CommentAdded
from dct_pipelines.domain.scope import draft_names, event_values, known_names
from dct_pipelines.domain.template import MAX_OUTPUT_CHARS, check, check_config, render, render_config
from tests.fakes.ports import NOON

SCOPE = {
    "event": {
        "branch": "feature/Pay 7",
        "actor": {"name": None},
        "conflicts": ["a.txt", "b.txt"],
        "ahead": 3,
    },
    "steps": {"merge": {"commit": "0123456789abcdef", "merged": True}},
}
ASSESSED = BranchAssessed(
    branch="feature/pay",
    head="a" * 40,
    target="qa",
    target_head="b" * 40,
    is_default_target=False,
    ahead=2,
    behind=0,
    merges_cleanly=True,
)


def event(payload: Any = ASSESSED, **changes: Any) -> Event:
    facts: dict[str, Any] = {
        "id": UUID(int=1),
        "seq": 1,
        "connection_id": UUID(int=2),
        "item_id": UUID(int=3),
        "subject": "feature/pay",
        "dedup_key": "k",
        "occurred_at": NOON,
        "observed_at": NOON,
        "payload": payload,
    }
    return Event(**(facts | changes))


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("no expression, only } and {", "no expression, only } and {"),
        ("{{event.branch}}", "feature/Pay 7"),
        ("on {{ event.branch }} now", "on feature/Pay 7 now"),
        ("{{ event.branch | slug }}", "feature-pay-7"),
        ("{{ event.branch | slug | upper }}", "FEATURE-PAY-7"),
        ("{{ steps.merge.commit | short }}", "01234567"),
        ("{{ steps.merge.merged }}/{{ event.ahead }}", "true/3"),
        ("{{ event.conflicts }}", '["a.txt", "b.txt"]'),
        ("{{ event.conflicts.1 }}", "b.txt"),
        ("{{ event.actor.name }}", ""),
        ('{{ event.actor.name | default("somebody") }}', "somebody"),
        ('{{ event.nothing | default("none }} here") | upper }}', "NONE }} HERE"),
        ('{{ "{{" }} stays', "{{ stays"),
    ],
)
def test_an_expression_is_replaced_by_its_value(template, text):
    assert render(template, SCOPE) == text


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ event.brnch }}", "did you mean 'branch'?"),
        ("{{ evnt.branch }}", "did you mean 'event'?"),
        ("{{ steps.deploy.commit }}", "known: merge"),
        ("{{ event.branch.name }}", "nothing below it"),
        ("{{ event.conflicts.7 }}", "'event.conflicts' has no '7'"),
        ("{{ event.__class__ }}", "is not known here"),
    ],
)
def test_a_name_that_is_not_there_is_an_error_that_helps(template, words):
    with pytest.raises(TemplateFailed) as caught:
        render(template, SCOPE)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ event.branch", "before the end"),
        ("{{ }}", "a name is expected"),
        ("{{ event. }}", "after the dot"),
        ("{{ event.branch | shout }}", "there is no filter 'shout'; did you mean 'short'?"),
        ("{{ event.branch | default }}", 'default needs its text: default("text")'),
        ('{{ event.branch | default("x }}', "double quotes"),
        ('{{ event.branch | slug("x") }}', "takes no argument"),
        ("{{ event.branch + 1 }}", "not '+ 1 }}'"),
        ("{{ event['branch'] }}", "is expected"),
        ("a" * 70_000, "too long"),
    ],
)
def test_a_malformed_template_is_found_when_it_is_saved(template, words):
    faults = check(template + ("{{ event.id }}" if template.startswith("a") else ""), known_names())
    assert len(faults) == 1
    assert words in faults[0]


def test_a_step_that_does_not_come_before_is_found_when_it_is_saved():
    names = known_names({"merge_branches": {"commit", "merged"}})
    assert check("{{ steps.merge_branches.commit }}", names) == ()
    assert "did you mean 'commit'?" in check("{{ steps.merge_branches.comit }}", names)[0]
    assert "known: merge_branches" in check("{{ steps.deploy.url }}", names)[0]
    assert len(check("{{ steps.a.b }}{{ nothing }}", names)) == 2


def test_the_fields_of_the_events_that_can_fire_are_known_when_it_is_saved():
    names = known_names(event_kinds=["branch_assessed", "comment_added"])
    assert check("{{ event.branch }}{{ event.author.email }}{{ event.occurred_at }}", names) == ()
    assert check("{{ event.checks.unit }}{{ event.conflicts.0 }}", names) == ()
    assert "did you mean 'branch'?" in check("{{ event.branchs }}", names)[0]
    assert "has no" in check("{{ event.author.age }}", names)[0]
    assert check("{{ event.whatever }}", known_names()) == ()


def test_a_draft_sees_its_workspace_and_no_steps():
    assert check("ws/{{ workspace.short_id }}-{{ event.branch | slug }}", draft_names()) == ()
    assert check("{{ steps.x.y }}", draft_names())


def test_faults_of_a_nested_configuration_name_their_path():
    config = {"a": ["{{ trigger.name }}", {"b": "{{ trigger.nme }}"}], "n": 5}
    faults = check_config(config, known_names())
    assert [path for path, _ in faults] == [("a", 1, "b")]


def test_every_string_of_a_nested_configuration_is_rendered():
    config = {"a": ["{{ event.ahead }}", ("{{ event.branch }}",)], "b": 5, "c": None, "d": "plain"}
    assert render_config(config, SCOPE) == {"a": ["3", ["feature/Pay 7"]], "b": 5, "c": None, "d": "plain"}


def test_the_output_is_bounded():
    with pytest.raises(TemplateFailed, match="longer than"):
        render("{{ x }}" * 10, {"x": "y" * (MAX_OUTPUT_CHARS // 5)})


def test_the_scope_of_an_event_holds_its_payload_and_its_own_fields():
    author = Person(name="Dev")
    values = event_values(event(CommentAdded(comment_id="9", author=author, text="hi"), actor=author))
    assert (values["kind"], values["text"], values["actor"]["name"]) == ("comment_added", "hi", "Dev")
    assert event_values(None) == {}
    scope = {"event": event_values(event()), "item": {"name": "shop"}, "steps": {"m": {"c": 1}}}
    assert render("{{ event.branch }} {{ item.name }} {{ steps.m.c }}", scope) == "feature/pay shop 1"
    for name in known_names(event_kinds=["branch_assessed"])["event"]:
        assert name in event_values(event())


@given(st.text())
def test_what_comes_from_outside_is_never_read_as_a_template(text):
    assert render("{{ event.text }}", {"event": {"text": text}, "secret": "no"}) == text


@given(st.text(alphabet='{}|."() abevnt_\n'))
def test_any_text_is_either_at_fault_or_can_be_rendered(template):
    faults = check(template, {"event": {}})
    assert all(faults)
    assert faults or render(template, {"event": {}}) is not None


def test_hostile_templates_are_read_in_linear_time():
    started = time.process_time()
    for template in ("{{ a" * 15_000, "{{ " + "a." * 30_000, "{{ a |" + " " * 60_000, '{{ "' * 15_000):
        check(template, known_names())
    assert time.process_time() - started < 1
