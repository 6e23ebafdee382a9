"""`update_ticket`: only what is not so yet, each write announced and marked, and nothing twice."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from dct_pipelines.actions.update_ticket import ACTION
from dct_pipelines.clients.dry_run import DryRun
from dct_pipelines.domain.action import ActionContext
from dct_pipelines.domain.connected import ItemFacts
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.facts import TicketRef
from dct_pipelines.domain.outcome import Outcome, OutcomeStatus
from dct_pipelines.domain.payloads import StatusChanged
from dct_pipelines.domain.ports import ActionPorts
from dct_pipelines.domain.tracking.marks import change_write, comment_write, mark_of
from dct_pipelines.domain.words import ItemKind
from tests.fakes.connections import FakeConnections
from tests.fakes.library import FakeLibrary
from tests.fakes.ports import action_context, fake_ports
from tests.fakes.records import FakeRecords
from tests.fakes.tracker import FakeTracker

ITEM = UUID("00000000-0000-4000-8000-00000000f1f1")
AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Desk:
    """A tracker with one ticket, watched by an item of the connection `jira`, and an event of it."""

    def __init__(self) -> None:
        self.tracker = FakeTracker()
        self.key = self.tracker.create()
        self.records = FakeRecords()
        library = FakeLibrary()
        library.facts["tickets"] = ItemFacts(ITEM, "tickets", ItemKind.JIRA_QUERY, "project = PAY", "jira")
        connections = FakeConnections(trackers={"jira": self.tracker})
        self.ports: ActionPorts = fake_ports(
            library=library, connections=connections, records=self.records, event=self._event()
        )

    def _event(self) -> Event:
        ticket = TicketRef(id="10000", key=self.key)
        return Event(
            id=UUID(int=1),
            seq=1,
            connection_id=UUID(int=2),
            item_id=ITEM,
            subject="10000",
            dedup_key="jira:10000:1:status",
            occurred_at=AT,
            observed_at=AT,
            payload=StatusChanged(from_status="Open", to_status="Done", ticket=ticket),
        )

    def run(self, *, context: ActionContext | None = None, **config: Any) -> Outcome:
        return ACTION.run(context or action_context(), ACTION.config.model_validate(config), self.ports)

    @property
    def now(self) -> Any:
        return self.tracker.tickets[self.key]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_everything_that_is_asked_for_is_done_to_the_ticket_of_the_event(desk: Desk):
    outcome = desk.run(
        transition="ready for qa",
        comment="look at it",
        assignee="dev@example.com",
        priority="high",
        labels_add=["on-qa"],
        link={"url": "https://ci.example/1", "title": "run 1"},
    )
    assert outcome.status is OutcomeStatus.DONE
    assert (desk.now.status, desk.now.priority, desk.now.labels) == ("Ready for QA", "High", ("on-qa",))
    assert desk.now.assignee.name == "Dev"
    assert [comment.text for _, comment in desk.tracker.comments[desk.key]] == ["look at it"]
    assert desk.tracker.writes == ["labels", "priority", "assignee", "link", "transition", "comment"]
    assert outcome.outputs["status"] == "Ready for QA"
    assert outcome.outputs["comment_id"] == "500"
    assert set(outcome.outputs) == ACTION.outputs


def test_what_is_so_already_is_nothing_to_do(desk: Desk):
    outcome = desk.run(transition="OPEN", assignee="none", priority="medium", labels_remove=["gone"])
    assert outcome.status is OutcomeStatus.NOTHING_TO_DO
    assert desk.tracker.writes == []
    assert set(outcome.outputs) == ACTION.outputs


def test_an_unknown_transition_fails_with_the_valid_ones_before_anything_is_written(desk: Desk):
    with pytest.raises(ActionFailed, match=r"'Shipped'.*valid are: 'To In Progress' \(to In Progress\)"):
        desk.run(transition="Shipped", comment="x", labels_add=["y"])
    assert desk.tracker.writes == []


def test_an_unknown_user_fails_before_anything_is_written(desk: Desk):
    with pytest.raises(ActionFailed, match="nobody-here"):
        desk.run(assignee="nobody-here", labels_add=["y"])
    assert desk.tracker.writes == []


def test_a_transition_is_known_by_its_own_name_too(desk: Desk):
    desk.run(transition="to done")
    assert desk.now.status == "Done"


def test_nobody_is_an_assignee_too(desk: Desk):
    desk.run(assignee="lead")
    desk.run(assignee="none")
    assert desk.now.assignee is None


def test_every_write_is_announced_for_the_whole_connection(desk: Desk):
    desk.run(transition="Done", comment="done")
    mark = mark_of(action_context().idempotency_key)
    announced = set(desk.records.own_writes_at)
    assert announced == {("jira", comment_write("dct", mark)), ("jira", change_write("dct", mark))}


@pytest.mark.parametrize("lost", ["labels", "priority", "assignee", "transition", "comment", "link"])
def test_an_attempt_after_a_lost_answer_does_only_the_rest(desk: Desk, lost: str):
    wanted: dict[str, Any] = {
        "transition": "Done",
        "comment": "done",
        "assignee": "dev",
        "priority": "High",
        "labels_add": ["x"],
        "link": {"url": "https://ci.example/1"},
    }
    desk.tracker.fails_at = lost
    with pytest.raises(ConnectionResetError):
        desk.run(**wanted)
    desk.run(context=action_context(started_before=True), **wanted)
    assert sorted(desk.tracker.writes) == sorted(
        ["labels", "priority", "assignee", "transition", "comment", "link"]
    )


def test_a_transition_that_somebody_took_back_is_not_taken_again(desk: Desk):
    desk.run(transition="Done")
    back = next(one for one in desk.tracker.transitions(desk.key) if one.to_status == "Open")
    desk.tracker.take(desk.key, back, "somebody else's")
    outcome = desk.run(context=action_context(started_before=True), transition="Done")
    assert outcome.status is OutcomeStatus.NOTHING_TO_DO
    assert desk.now.status == "Open"


def test_a_cancelled_update_stops_between_two_writes(desk: Desk):
    asked = iter([False, True])
    with pytest.raises(ActionInterrupted, match=r"labels \+x"):
        desk.run(context=action_context(is_cancelled=lambda: next(asked)), labels_add=["x"], priority="High")
    assert desk.tracker.writes == ["labels"]


@pytest.mark.parametrize("label", ["two words", "", "a\tb"])
def test_what_cannot_be_a_label_fails_before_anything_is_written(desk: Desk, label: str):
    with pytest.raises(ActionFailed, match="label"):
        desk.run(labels_add=["good", label])
    assert desk.tracker.writes == []


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"ticket": "PAY-1"},
        {"link": {"url": "javascript:alert(1)"}},
        {"link": {"url": "file:///etc/passwd"}},
    ],
)
def test_a_configuration_that_changes_nothing_or_links_to_no_page_is_refused(config: dict[str, Any]):
    with pytest.raises(ValidationError):
        ACTION.config.model_validate(config)


def test_a_ticket_and_connection_can_be_named(desk: Desk):
    other = desk.tracker.create("Another")
    desk.run(ticket=other, connection="jira", transition="Done")
    assert desk.tracker.tickets[other].status == "Done"
    assert desk.now.status == "Open"


def test_without_an_event_ticket_and_connection_have_to_be_named(desk: Desk):
    desk.ports = fake_ports(connections=desk.ports.connections)
    with pytest.raises(ActionFailed, match="name the connection"):
        desk.run(transition="Done")
    with pytest.raises(ActionFailed, match="name the ticket"):
        desk.run(connection="jira", transition="Done")


def test_a_dry_run_of_update_ticket_says_what_it_would_do_and_changes_nothing(desk: Desk):
    dry = DryRun(desk.ports)
    config = ACTION.config.model_validate(
        {"transition": "Done", "comment": "done", "labels_add": ["x"], "assignee": "lead", "priority": "Low"}
    )
    outcome = dry.rehearse(ACTION, action_context(), config)
    assert "move PAY-1 to Done" in outcome.summary
    assert "comment on PAY-1: 'done'" in outcome.summary
    assert "assign PAY-1 to Lead" in outcome.summary
    again = dry.rehearse(ACTION, action_context(), ACTION.config.model_validate({"transition": "Done"}))
    assert again.status is OutcomeStatus.NOTHING_TO_DO
    assert desk.tracker.writes == []
    assert desk.records.own_writes_at == []
