"""Every ticket tracker, the fake one included: what `update_ticket` asks of it gets the same answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from dct_pipelines.domain.errors import ActionFailed
from dct_pipelines.domain.tracking.port import TrackerPort, Transition
from tests.fakes.tracker import FakeTracker
from tests.support.jira import REAL, client, simulation

MARK = "0123456789abcdef"
OTHER = "fedcba9876543210"


@dataclass
class TrackerCase:
    """A tracker with statuses Open, In Progress, Ready for QA and Done. `create` gives a new ticket's key."""

    port: TrackerPort
    create: Callable[[], str]
    user: str
    keeps_marks: bool = True
    adds_labels: bool = True


@pytest.fixture(
    params=["fake", "cloud", "data_center", pytest.param("jira820", marks=pytest.mark.integration)]
)
def case(request: pytest.FixtureRequest) -> Iterator[TrackerCase]:
    if request.param == "fake":
        fake = FakeTracker()
        yield TrackerCase(fake, fake.create, "dev")
    elif request.param == "jira820":
        server = request.getfixturevalue("jira_server")
        made = client(server.base_url, REAL)
        # It drops the metadata of changes, and edits of labels by steps.
        yield TrackerCase(made, server.create, "admin", keeps_marks=False, adds_labels=False)
        made.site.api.close()
    else:
        with simulation(is_cloud=request.param == "cloud") as simulated:
            yield TrackerCase(simulated.client, lambda: simulated.site.create().key, "dev")


def leading_to(case: TrackerCase, key: str, status: str) -> Transition:
    return next(one for one in case.port.transitions(key) if one.to_status == status)


def test_a_ticket_says_how_it_is(case: TrackerCase):
    key = case.create()
    ticket = case.port.ticket(key)
    assert (ticket.key, ticket.status, ticket.labels) == (key, "Open", ())
    assert ticket.id
    assert ticket.title
    assert ticket.url.endswith(f"/browse/{key}")


def test_a_ticket_that_is_not_there_is_a_failure(case: TrackerCase):
    with pytest.raises(ActionFailed):
        case.port.ticket("NO-404")


def test_a_transition_that_is_offered_leads_to_its_status(case: TrackerCase):
    key = case.create()
    case.port.take(key, leading_to(case, key, "Ready for QA"), MARK)
    assert case.port.ticket(key).status == "Ready for QA"
    assert "Ready for QA" not in {one.to_status for one in case.port.transitions(key)}


def test_a_transition_that_is_not_offered_is_a_failure(case: TrackerCase):
    with pytest.raises(ActionFailed):
        case.port.take(case.create(), Transition("9999", "Fly", "Flying"), MARK)


def test_a_change_of_status_is_known_by_its_mark(case: TrackerCase):
    key = case.create()
    case.port.take(key, leading_to(case, key, "Done"), MARK)
    assert case.port.took(key, MARK) is case.keeps_marks
    assert not case.port.took(key, OTHER)


def test_an_assignee_is_set_and_taken_away(case: TrackerCase):
    key = case.create()
    user = case.port.find_user(case.user)
    case.port.assign(key, user, MARK)
    assigned = case.port.ticket(key).assignee
    assert assigned is not None
    assert assigned.id == user.id
    case.port.assign(key, None, MARK)
    assert case.port.ticket(key).assignee is None


def test_a_priority_is_set_by_its_name_in_any_case(case: TrackerCase):
    key = case.create()
    case.port.set_priority(key, "highest", MARK)
    assert case.port.ticket(key).priority == "Highest"


def test_an_unknown_priority_is_a_failure_that_lists_the_valid_ones(case: TrackerCase):
    with pytest.raises(ActionFailed, match="Highest, High"):
        case.port.set_priority(case.create(), "Sky-high", MARK)


def test_labels_are_added_and_removed(case: TrackerCase):
    key = case.create()
    case.port.change_labels(key, ("on-qa", "urgent"), (), MARK)
    case.port.change_labels(key, (), ("urgent",), MARK)
    assert case.port.ticket(key).labels == (("on-qa",) if case.adds_labels else ())


def test_a_comment_is_found_by_its_mark_among_many(case: TrackerCase):
    key = case.create()
    assert case.port.find_comment(key, MARK) is None
    made = case.port.comment(key, "on *qa* now", MARK)
    for number in range(12):
        case.port.comment(key, f"number {number}", f"{number:016x}")
    found = case.port.find_comment(key, MARK)
    assert found is not None
    assert (found.id, found.text) == (made.id, "on *qa* now")
    assert case.port.find_comment(key, OTHER) is None


def test_a_link_is_made_once_for_each_key(case: TrackerCase):
    key = case.create()
    assert case.port.link(key, "https://ci.example/1", "run 1", "https://ci.example/1")
    assert not case.port.link(key, "https://ci.example/1", "run 1", "https://ci.example/1")
    assert case.port.link(key, "https://ci.example/1", "run one", "https://ci.example/1")


def test_what_is_written_with_a_mark_has_ids_of_its_own(case: TrackerCase):
    ticket = case.port.ticket(case.create())
    ids = case.port.write_ids(ticket.id, MARK, {"status": "Done"})
    assert ids
    assert not set(ids) & set(case.port.write_ids(ticket.id, OTHER, {"status": "Open"}))
