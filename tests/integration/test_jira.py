"""The listener and the client of Jira on a Data Center that tests start, from a baseline to every event."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest

from dct_pipelines.clients.jira import CenterJira, CloudJira
from dct_pipelines.domain.errors import ItemUnreadable
from dct_pipelines.domain.listener import WatchedItem
from dct_pipelines.domain.tracking.marks import comment_write, mark_of, value_write
from dct_pipelines.domain.words import ItemKind
from dct_pipelines.listeners.jira import LISTENER
from tests.fakes.ports import FakeClock
from tests.properties.driver import Driver
from tests.support.jira import CONNECTION, REAL, client
from tests.support.servers.jira_server import JiraServer

pytestmark = pytest.mark.integration
TICKET = UUID("00000000-0000-4000-8000-00000000c001")
QUERY = UUID("00000000-0000-4000-8000-00000000c002")


@pytest.fixture
def port(jira: JiraServer) -> Iterator[CloudJira | CenterJira]:
    made = client(jira.base_url, REAL)
    yield made
    made.site.api.close()


def watching(port: CloudJira | CenterJira, key: str, query: str) -> Driver:
    clock = FakeClock(port.now())
    items = (
        WatchedItem(TICKET, "ticket", ItemKind.JIRA_TICKET, key, {}, {}),
        WatchedItem(QUERY, "query", ItemKind.JIRA_QUERY, query, {}, {}),
    )
    driver = Driver(LISTENER, CONNECTION, REAL, items, lambda _item: port, clock)
    assert driver.tick(), driver.problems
    assert driver.intake.events == []
    return driver


def kinds(driver: Driver, item: UUID) -> list[str]:
    return [event.payload.kind for event in driver.intake.events if event.item_id == item]


def test_every_change_of_status_between_two_polls_is_an_event_of_ticket_and_query(
    jira: JiraServer, port: CloudJira | CenterJira
):
    key = jira.create("Pay faster", labels=["listened"])
    jira.move(key, "In Progress")
    driver = watching(port, key, "labels = listened")
    for status in ("Ready for QA", "In Progress", "Ready for QA"):
        jira.move(key, status)
    assert driver.tick(), driver.problems
    for item in (TICKET, QUERY):
        payloads = [event.payload for event in driver.intake.events if event.item_id == item]
        assert [(one.from_status, one.to_status) for one in payloads if one.kind == "status_changed"] == [
            ("In Progress", "Ready for QA"),
            ("Ready for QA", "In Progress"),
            ("In Progress", "Ready for QA"),
        ]
    assert driver.intake.events[0].payload.ticket.url == f"{jira.base_url}/browse/{key}"  # type: ignore[union-attr]  # of a ticket
    assert driver.tick()
    assert kinds(driver, TICKET) == ["status_changed"] * 3


def test_comments_are_seen_as_they_come_change_and_go(jira: JiraServer, port: CloudJira | CenterJira):
    talked_about = (issue["key"] for issue in jira.search("", maxResults=500)["issues"])
    key = next(key for key in talked_about if len(jira.comments(key)) > 1)
    first, second = jira.comments(key)[:2]
    driver = watching(port, key, f"key = {key}")
    added = jira.comment(key, "new")
    jira.edit_comment(key, first["id"], "said better")
    assert driver.tick(), driver.problems
    assert sorted(kinds(driver, TICKET)) == ["comment_added", "comment_edited"]
    edited = next(event.payload for event in driver.intake.events if event.payload.kind == "comment_edited")
    assert (edited.before, edited.after) == (first["body"], "said better")
    jira.delete_comment(key, second["id"])
    jira.edit_comment(key, added, "newer")
    assert driver.tick(), driver.problems
    assert sorted(kinds(driver, TICKET)[2:]) == ["comment_deleted", "comment_edited"]
    assert kinds(driver, QUERY) == kinds(driver, TICKET)


def test_what_we_write_is_known_again(jira: JiraServer, port: CloudJira | CenterJira):
    key = jira.create("Ours")
    driver = watching(port, key, "labels = nothing-at-all")
    mark, ticket = mark_of("an execution's key"), port.ticket(key)
    done = next(one for one in port.transitions(key) if one.to_status == "Done")
    announced = port.write_ids(ticket.id, mark, {"status": done.to_status})
    port.take(key, done, mark)
    port.comment(key, "{color:red}[~admin] !x.png! moved it\\ {html}", mark)
    assert driver.tick(), driver.problems
    written = {written for event in driver.intake.events for written in event.external_ids}
    assert written == set(announced)
    assert written == {comment_write("admin", mark), value_write(ticket.id, "status", "admin", "Done")}
    said = jira.comments(key)[0]["body"]
    assert said.startswith("\\{color:red\\}\\[~admin\\] \\!x.png\\! moved it&#92; \\{html\\}")


def test_a_ticket_that_is_not_there_is_said_to_be_missing(jira: JiraServer, port: CloudJira | CenterJira):
    driver = watching(port, "SHOP-99999", "labels = nothing-at-all")
    assert "SHOP-99999" in driver.intake.unreadable[TICKET]


def test_a_check_of_a_data_center_as_a_cloud_says_what_to_set(jira: JiraServer):
    mistaken = client(jira.base_url, {"deployment": "cloud"})
    (finding,) = mistaken.check()
    mistaken.site.api.close()
    assert not finding.is_ok
    assert "deployment: data_center" in finding.said


def test_a_check_says_who_we_are_and_a_look_what_is_there(jira: JiraServer, port: CloudJira | CenterJira):
    findings = {finding.what: finding for finding in port.check()}
    assert findings["deployment"].is_ok
    assert "admin" in findings["account"].said
    assert findings["clock"].is_ok
    key = jira.create("Look at me")
    assert port.look(ItemKind.JIRA_TICKET, key, {}) == f"{key}: Look at me (Open)"
    assert port.look(ItemKind.JIRA_QUERY, f"key = {key}", {}) == "1 tickets match"
    with pytest.raises(ItemUnreadable):
        port.look(ItemKind.JIRA_TICKET, "SHOP-99999", {})
    cloud = client(jira.base_url, {"deployment": "data_center"})
    assert cloud.check()
    cloud.site.api.close()
