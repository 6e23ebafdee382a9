"""Reading a Jira site: how few requests it takes, what a query sees, what is missing, what is poison."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID, uuid5

import pytest

from dct_pipelines.domain.errors import ConnectionDown, CredentialRefused, Throttled
from dct_pipelines.domain.listener import WatchedItem
from dct_pipelines.domain.snapshot import TicketState
from dct_pipelines.domain.words import ItemKind
from dct_pipelines.listeners.jira import LISTENER
from tests.fakes.jira_site import Issue
from tests.fakes.rest_http import Answered, Asked
from tests.properties.driver import Driver
from tests.support.jira import CONNECTION, Simulation, simulation


@pytest.fixture(params=[True, False], ids=["cloud", "data_center"])
def made(request: pytest.FixtureRequest) -> Iterator[Simulation]:
    with simulation(is_cloud=request.param) as simulated:
        yield simulated


def watching(made: Simulation, *places: tuple[ItemKind, str]) -> Driver:
    items = tuple(
        WatchedItem(uuid5(CONNECTION, str(number)), f"item-{number}", kind, location, {}, {})
        for number, (kind, location) in enumerate(places)
    )
    driver = Driver(LISTENER, CONNECTION, made.config, items, lambda _item: made.client, made.clock)
    assert driver.tick(), driver.problems
    assert driver.intake.events == []
    return driver


def known(made: Simulation, issues: Sequence[Issue]) -> Driver:
    """Watching these tickets, which were all read before."""
    driver = watching(made)
    driver.items = [
        WatchedItem(uuid5(CONNECTION, issue.key), issue.key, ItemKind.JIRA_TICKET, issue.key, {}, {})
        for issue in issues
    ]
    for item, issue in zip(driver.items, issues, strict=True):
        updated = made.site.time(issue.updated)
        state = TicketState(key=issue.key, status="Open", updated=updated, read_until=updated)
        driver.intake.item_tokens[item.id] = {"id": str(issue.id)}
        driver.intake.snapshots.put(item.id, str(issue.id), state)
    return driver


def seen(driver: Driver, item: UUID | None = None) -> list[tuple[str, Any, Any]]:
    events = [event for event in driver.intake.events if item in (None, event.item_id)]
    payloads: list[Any] = [event.payload for event in events]
    return [
        (one.kind, one.from_status, one.to_status) if one.kind == "status_changed" else (one.kind, None, None)
        for one in payloads
    ]


def test_ten_thousand_watched_tickets_with_twenty_changes_a_minute_take_three_requests_a_poll():
    with simulation(is_cloud=True, page=1000) as made:
        issues = [made.site.create() for _ in range(10_000)]
        made.clock.advance(hours=1)
        driver = known(made, issues)
        driver.tick()
        for minute in range(1, 6):
            made.http.calls.clear()
            for issue in issues[minute * 20 : minute * 20 + 20]:
                made.site.change(issue, status="In Progress")
            made.clock.advance(minutes=1)
            assert driver.tick(), driver.problems
            assert len(made.http.calls) <= 3, [asked.path for asked in made.http.calls]
            assert len(driver.intake.events) == minute * 20
        made.clock.advance(minutes=20)
        driver.tick()
        made.http.calls.clear()
        made.clock.advance(minutes=1)
        assert driver.tick()
        assert len(made.http.calls) == 1


def test_a_change_that_leads_out_of_a_query_is_its_last_and_one_that_leads_in_its_first(made: Simulation):
    issue = made.site.create()
    made.clock.advance(hours=1)
    driver = watching(made, (ItemKind.JIRA_QUERY, 'status = "In Progress"'))
    made.clock.advance(seconds=2)
    for status in ("In Progress", "Done", "Open", "In Progress"):
        made.site.change(issue, status=status)
        made.clock.advance(minutes=30)
        assert driver.tick(), driver.problems
    steps = [(before, after) for _, before, after in seen(driver)]
    assert steps == [("Open", "In Progress"), ("In Progress", "Done"), ("Open", "In Progress")]
    assert [state.status for state in states(driver)] == ["In Progress"]
    made.site.change(issue, status="Done")
    made.clock.advance(minutes=30)
    driver.tick()
    assert states(driver) == []


def states(driver: Driver) -> list[TicketState]:
    found = [state for item in driver.items for state in driver.states(item).values()]
    return [state for state in found if isinstance(state, TicketState)]


def test_a_broken_query_is_said_and_does_not_disturb_the_others(made: Simulation):
    issue = made.site.create()
    made.clock.advance(hours=1)
    driver = watching(made, (ItemKind.JIRA_QUERY, "broken ~ x"), (ItemKind.JIRA_QUERY, "project = PAY"))
    made.clock.advance(seconds=2)
    made.site.change(issue, status="Done")
    assert driver.tick(), driver.problems
    assert list(driver.intake.unreadable) == [driver.items[0].id]
    assert seen(driver) == [("status_changed", "Open", "Done")]


def test_a_deleted_ticket_is_said_to_be_missing_by_the_sweep_and_is_no_event(made: Simulation):
    gone, kept = made.site.create(), made.site.create()
    driver = watching(made, (ItemKind.JIRA_TICKET, gone.key), (ItemKind.JIRA_TICKET, kept.key))
    made.site.delete(gone)
    made.clock.advance(minutes=59)
    driver.tick()
    assert driver.intake.unreadable == {}
    made.clock.advance(minutes=2)
    assert driver.tick(), driver.problems
    assert list(driver.intake.unreadable) == [driver.items[0].id]
    assert driver.intake.events == []
    gone.is_deleted = False
    made.clock.advance(minutes=61)
    assert driver.tick(), driver.problems
    assert driver.intake.unreadable == {}


def test_a_change_that_the_search_never_showed_is_found_by_the_sweep(made: Simulation):
    issue = made.site.create()
    driver = watching(made, (ItemKind.JIRA_TICKET, issue.key))
    made.clock.advance(minutes=2)
    driver.tick()
    made.site.lag = lambda: 1e9
    made.site.change(issue, status="Done")
    driver.tick()
    assert driver.intake.events == []
    made.clock.advance(hours=1)
    assert driver.tick(), driver.problems
    assert seen(driver) == [("status_changed", "Open", "Done")]


def test_an_index_that_is_being_rebuilt_makes_nothing_gone():
    with simulation(is_cloud=False) as made:
        issues = [made.site.create() for _ in range(30)]
        driver = watching(made, *((ItemKind.JIRA_TICKET, issue.key) for issue in issues))
        made.site.is_reindexing = True
        made.clock.advance(hours=2)
        assert driver.tick(), driver.problems
        assert driver.intake.unreadable == {}
        assert driver.intake.events == []


def test_a_ticket_that_is_not_there_yet_is_looked_for_again(made: Simulation):
    driver = watching(made, (ItemKind.JIRA_TICKET, "PAY-1"))
    assert "PAY-1" in driver.intake.unreadable[driver.items[0].id]
    issue = made.site.create()
    made.clock.advance(minutes=6)
    assert driver.tick(), driver.problems
    assert driver.intake.unreadable == {}
    made.clock.advance(seconds=2)
    made.site.change(issue, status="Done")
    assert driver.tick(), driver.problems
    assert seen(driver) == [("status_changed", "Open", "Done")]


def test_one_answer_that_nobody_understands_is_kept_raw_and_the_rest_goes_on(made: Simulation):
    poisoned, sound = made.site.create(), made.site.create()
    driver = watching(made, (ItemKind.JIRA_TICKET, poisoned.key), (ItemKind.JIRA_TICKET, sound.key))
    made.clock.advance(minutes=1)
    made.site.comment(poisoned, "hello")
    poisoned.comments[0].id = ""
    made.site.change(poisoned, status="Done")
    made.site.change(sound, status="Done")
    made.clock.advance(seconds=1)
    assert driver.tick(), driver.problems
    assert len(driver.intake.dead_letters) == 1
    assert "comment" in next(iter(driver.intake.dead_letters.values())).why
    assert seen(driver) == [("status_changed", "Open", "Done")] * 2


@pytest.mark.parametrize(
    ("answered", "error"),
    [
        (Answered(401, {"errorMessages": ["no"]}), CredentialRefused),
        (Answered(200, {"issues": []}, {"x-seraph-loginreason": "AUTHENTICATED_FAILED"}), CredentialRefused),
        (Answered(429, {}, {"retry-after": "120", "ratelimit-reason": "jira-burst-based"}), Throttled),
        (Answered(503, {}, {"retry-after": "120"}), Throttled),
        (Answered(500, {}), ConnectionDown),
        (Answered(400, {"errorMessages": ["no such project"]}), ConnectionDown),
        (Answered(200, "<html>"), ConnectionDown),
        (Answered(200, []), ConnectionDown),
        (Answered(200, {"issues": 7}), ConnectionDown),
    ],
)
def test_each_failure_of_the_site_says_who_has_to_wait(
    made: Simulation, answered: Answered, error: type[Exception]
):
    driver = watching(made, (ItemKind.JIRA_TICKET, made.site.create().key))
    made.http.provider = Broken(made, answered)
    token = driver.intake.connection_token
    assert not driver.tick()
    assert driver.problems[0].startswith(error.__name__)
    assert driver.intake.connection_token == token


class Broken:
    """A site that answers one thing only."""

    def __init__(self, made: Simulation, answered: Answered) -> None:
        self.prefix, self.clock = made.server.prefix, made.clock
        self._answered = answered

    def answer(self, asked: Asked) -> Answered:
        return self._answered
