"""status_change, assignee_change, priority_change: from what, to what, and how that is said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dct_pipelines import registry
from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.payloads import AssigneeChanged, PriorityChanged, StatusChanged
from dct_pipelines.domain.snapshot import TicketState
from tests.support.facts import holds, verdict_of

WORDS = ("To Do", "In Progress", "Ready for QA", "Done")
statuses = st.sampled_from(WORDS)
maybe = st.none() | statuses


def status(before: str | None, after: str) -> StatusChanged:
    return StatusChanged(from_status=before, to_status=after)


@given(maybe, statuses, maybe, maybe)
def test_a_status_change_fires_exactly_when_the_status_changed_as_it_says(before, after, wanted, to):
    if wanted is not None and wanted == to:
        return
    config = {"from_status": wanted and wanted.upper(), "to_status": to and to.lower()}
    expected = before != after and wanted in (None, before) and to in (None, after)
    assert verdict_of("status_change", config, status(before, after)).fired is expected


def test_a_no_says_what_happened_and_what_was_waited_for():
    verdict = verdict_of("status_change", {"to_status": "Ready for QA"}, status("To Do", "Done"))
    assert verdict.because == "status went To Do → Done, not to 'Ready for QA'"
    verdict = verdict_of("status_change", {"from_status": "In Progress"}, status("To Do", "Done"))
    assert verdict.because == "status went To Do → Done, not from 'In Progress'"
    assert verdict_of("status_change", {}, status("Done", "DONE")).because == "status stayed DONE"


@pytest.mark.parametrize("kind", ["status_change", "assignee_change", "priority_change"])
def test_a_change_from_a_value_to_itself_is_refused(kind: str):
    model = registry.condition(kind).config
    names = [name for name in model.model_fields if name.startswith(("from_", "to_"))]
    with pytest.raises(ValidationError, match="that never happens"):
        model.model_validate(dict.fromkeys(names, "High"))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, True),
        ({"to_status": "ready for qa"}, True),
        ({"to_status": "Done"}, False),
        ({"from_status": "Ready for QA"}, False),
        ({"from_status": "To Do"}, True),
        ({"from_status": "Ready for QA", "to_status": "Done"}, False),
    ],
)
def test_a_status_holds_when_the_ticket_is_where_the_change_would_have_brought_it(config, expected):
    assert holds("status_change", config, TicketState(key="PAY-7", status="Ready for QA")).fired is expected


DEV = Person(id="u1", name="Dev Example", email="dev@example.invalid")
LEAD = Person(id="u2", name="Lead Example")
ANOTHER_DEV = Person(id="u3", name="Dev Example")


@pytest.mark.parametrize(
    ("config", "before", "after", "expected"),
    [
        ({}, None, DEV, True),
        ({}, DEV, DEV, False),
        ({}, DEV, Person(name="dev example"), False),
        ({}, DEV, ANOTHER_DEV, True),
        ({"to_user": "DEV@example.invalid"}, LEAD, DEV, True),
        ({"to_user": "u2"}, LEAD, DEV, False),
        ({"to_user": "nobody"}, LEAD, None, True),
        ({"from_user": "nobody"}, None, LEAD, True),
        ({"from_user": "u1"}, None, LEAD, False),
    ],
)
def test_an_assignee_change_compares_people_by_id_name_or_address(config, before, after, expected):
    change = AssigneeChanged(from_user=before, to_user=after)
    assert verdict_of("assignee_change", config, change).fired is expected


def test_an_assignee_change_names_both_people():
    verdict = verdict_of("assignee_change", {"to_user": "u1"}, AssigneeChanged(from_user=DEV, to_user=None))
    assert verdict.because == "assignee went Dev Example → nobody, not to 'u1'"


def test_an_unassigned_ticket_holds_for_nobody():
    ticket = TicketState(key="PAY-7", status="To Do")
    assert holds("assignee_change", {"to_user": "nobody"}, ticket).fired
    assert not holds("assignee_change", {"to_user": "u1"}, ticket).fired


ranks = st.none() | st.integers(1, 3)


@given(maybe, maybe, ranks, ranks, st.sampled_from([None, "raised", "lowered"]), maybe)
def test_a_priority_change_fires_exactly_in_its_direction(before, after, old, new, direction, to):
    config: dict[str, Any] = {"direction": direction, "to_priority": to}
    change = PriorityChanged(from_priority=before, to_priority=after, from_rank=old, to_rank=new)
    is_known = old is not None and new is not None
    is_that_way = direction is None or (is_known and (new > old if direction == "raised" else new < old))
    expected = before != after and to in (None, after) and is_that_way
    assert verdict_of("priority_change", config, change).fired is expected


def test_a_priority_without_an_order_says_that_the_direction_is_not_known():
    change = PriorityChanged(from_priority="P2", to_priority="P1")
    verdict = verdict_of("priority_change", {"direction": "raised"}, change)
    assert verdict.because == "priority went P2 → P1, but which of the two is higher is not known"


def test_a_direction_never_holds_for_a_state_and_a_priority_does():
    ticket = TicketState(key="PAY-7", status="To Do", priority="High")
    assert not holds("priority_change", {"direction": "raised"}, ticket).fired
    assert holds("priority_change", {"to_priority": "high"}, ticket).fired
    assert not holds("priority_change", {"from_priority": "high"}, ticket).fired
