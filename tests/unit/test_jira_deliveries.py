"""What Jira posts: believed when signed, one event with the poll's, and read anew where it cannot tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dct_pipelines.domain.errors import DeliveryRefused, PayloadUnreadable
from dct_pipelines.domain.listener import Received
from dct_pipelines.domain.words import ItemKind
from dct_pipelines.listeners.jira import LISTENER
from tests.properties.driver import Driver
from tests.properties.jira_play import SECRET, sign
from tests.support.jira import Simulation, simulation
from tests.unit.test_jira_reading import seen, watching


@pytest.fixture(params=[True, False], ids=["cloud", "data_center"])
def made(request: pytest.FixtureRequest) -> Iterator[Simulation]:
    with simulation(is_cloud=request.param) as simulated:
        yield simulated


def post(driver: Driver, body: Any, **headers: str) -> Received:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    webhook = LISTENER.webhook
    assert webhook is not None
    return driver.deliver(webhook, {"x-hub-signature": sign(raw), **headers}, raw, SECRET)


@pytest.mark.parametrize("given", ["", "sha256=", "sha1=00", "sha256=" + "0" * 64, "sha256=é"])
def test_a_delivery_that_is_not_signed_by_the_secret_is_refused(made: Simulation, given: str):
    driver = watching(made)
    with pytest.raises(DeliveryRefused):
        post(driver, {"webhookEvent": "jira:issue_updated"}, **{"x-hub-signature": given})


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"{", b'{"webhookEvent": {}}', b"[" * 100_000])
def test_a_signed_delivery_that_nobody_understands_is_for_the_dead_letters(made: Simulation, body: bytes):
    with pytest.raises(PayloadUnreadable):
        post(watching(made), body)


def test_a_delivery_of_something_else_is_said_to_be_about_no_ticket(made: Simulation):
    received = post(watching(made), {"webhookEvent": "jira:version_released"})
    assert received.page is None
    assert "about no ticket" in received.because


def test_a_change_is_an_event_at_once_and_no_second_one_at_the_poll(made: Simulation):
    issue = made.site.create()
    driver = watching(made, (ItemKind.JIRA_TICKET, issue.key))
    made.clock.advance(seconds=5)
    made.site.change(issue, status="Done")
    made.site.comment(issue, "look")
    for body in (*made.site.posted[-2:], *made.site.posted[-2:]):
        post(driver, body)
    assert [kind for kind, _, _ in seen(driver)] == ["status_changed", "comment_added"]
    assert driver.tick(), driver.problems
    assert len(driver.intake.events) == 2
    assert driver.intake.repeats >= 2


def test_a_lost_delivery_between_two_that_came_leaves_no_gap(made: Simulation):
    issue = made.site.create()
    driver = watching(made, (ItemKind.JIRA_TICKET, issue.key))
    made.clock.advance(seconds=5)
    for status in ("In Progress", "Ready for QA", "Done"):
        made.site.change(issue, status=status)
    post(driver, made.site.posted[-1])
    assert driver.tick(), driver.problems
    assert {after for _, _, after in seen(driver)} == {"In Progress", "Ready for QA", "Done"}


def test_a_late_delivery_does_not_put_back_a_newer_state(made: Simulation):
    issue = made.site.create()
    driver = watching(made, (ItemKind.JIRA_TICKET, issue.key))
    made.clock.advance(seconds=5)
    made.site.change(issue, status="In Progress")
    late = made.site.posted[-1]
    made.clock.advance(seconds=5)
    made.site.change(issue, status="Done")
    assert driver.tick(), driver.problems
    post(driver, late)
    assert driver.states(driver.items[0])[str(issue.id)].status == "Done"
    assert len(driver.intake.events) == 2


def test_a_change_by_our_own_account_is_read_at_once_instead(made: Simulation):
    issue = made.site.create()
    driver = watching(made, (ItemKind.JIRA_TICKET, issue.key))
    made.clock.advance(seconds=5)
    made.site.change(issue, by="dct", metadata={"extraData": {"dct": "0123456789abcdef"}}, status="Done")
    received = post(driver, made.site.posted[-1])
    assert received.page is None
    assert received.look_at == (driver.items[0].id,)
    assert driver.tick(), driver.problems
    assert driver.intake.events[0].external_ids == (f"change:{made.client.me().id}:0123456789abcdef",)


def test_a_ticket_that_a_query_does_not_know_is_looked_for_at_once(made: Simulation):
    driver = watching(made, (ItemKind.JIRA_QUERY, "project = PAY"))
    made.clock.advance(seconds=5)
    made.site.create()
    received = post(driver, made.site.posted[-1])
    assert received.look_at == (driver.items[0].id,)
    assert received.page is None


def test_a_deleted_ticket_is_said_and_is_no_event(made: Simulation):
    issue = made.site.create()
    driver = watching(made, (ItemKind.JIRA_TICKET, issue.key))
    made.site.delete(issue)
    post(driver, made.site.posted[-1])
    assert "no longer visible" in driver.intake.unreadable[driver.items[0].id]
    assert driver.intake.events == []


def test_a_deleted_comment_is_an_event_with_its_last_text(made: Simulation):
    issue = made.site.create()
    comment = made.site.comment(issue, "not for long")
    driver = watching(made, (ItemKind.JIRA_TICKET, issue.key))
    made.clock.advance(seconds=5)
    made.site.delete_comment(issue, comment)
    post(driver, made.site.posted[-1])
    payload: Any = driver.intake.events[0].payload
    assert (payload.kind, payload.before) == ("comment_deleted", "not for long")
    assert driver.tick(), driver.problems
    assert len(driver.intake.events) == 1
