"""The `github` listener on the real client: what a read costs, and what webhooks add to it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from dct_pipelines.domain.errors import DeliveryRefused, PayloadUnreadable
from dct_pipelines.domain.event import Event, EventDraft
from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.hosting.reader import HostedRepository
from dct_pipelines.domain.listener import Received, WatchedItem
from dct_pipelines.domain.payloads import CheckReported, PullRequestAssessed
from dct_pipelines.domain.repository.reader import RepositoryReader
from dct_pipelines.domain.words import ItemKind
from dct_pipelines.listeners.github import LISTENER, GitHubConnection
from tests.fakes.github_server import CONNECTION, GitHubServer, github_server
from tests.fakes.github_world import GitHubWorld, Pull
from tests.fakes.ports import FakeClock
from tests.properties.driver import Driver

SECRET = "hook"
LOCATIONS = {
    "shop": (ItemKind.GIT_REPOSITORY, "acme/shop"),
    "first": (ItemKind.PULL_REQUEST, "acme/shop/pull/1"),
    "other": (ItemKind.GIT_REPOSITORY, "acme/other"),
}


@pytest.fixture
def server() -> Iterator[GitHubServer]:
    world = GitHubWorld(FakeClock())
    base = world.push("main", {"a.txt": "1"})
    world.shop.commit("feature/pay", {"b.txt": "1"}, parents=[base])
    with github_server(world) as served:
        yield served


@pytest.fixture
def pull(server: GitHubServer) -> Pull:
    return server.world.open("feature/pay", "main", "Pay by card", "What for")


def driver_of(server: GitHubServer, *names: str) -> Driver:
    client = server.client()
    items = []
    for number, name in enumerate(names or ("shop",), start=1):
        kind, place = LOCATIONS[name]
        items.append(WatchedItem(UUID(int=number), name, kind, f"{server.url}/{place}", {}, {}))
    git = RepositoryReader(server.world.git, RepositoryRef(server.world.url))
    return Driver(
        LISTENER,
        CONNECTION,
        {},
        items,
        lambda item: HostedRepository(git, client.reader(item.location if item else "")),
        server.world.clock,
    )


def pass_time(server: GitHubServer, **duration: float) -> None:
    assert isinstance(server.world.clock, FakeClock)
    server.world.clock.advance(**duration)


def tick(driver: Driver, server: GitHubServer, **duration: float) -> list[Any]:
    pass_time(server, **(duration or {"seconds": 5}))
    known = len(driver.intake.events)
    assert driver.tick(), driver.problems
    return [event.payload for event in driver.intake.events[known:]]


def test_a_repository_in_which_nothing_happens_costs_one_listing_and_one_call(
    server: GitHubServer, pull: Pull
) -> None:
    driver = driver_of(server)
    tick(driver, server)
    pass_time(server, hours=4)
    for _ in range(3):
        tick(driver, server)
    server.calls.clear()
    server.world.git.calls.clear()
    assert tick(driver, server, minutes=1) == []
    assert len(server.calls) == 1
    assert server.world.git.calls == ["list_refs"]


def test_the_first_read_takes_everything_as_it_is(server: GitHubServer, pull: Pull) -> None:
    server.world.comment(pull, "dev", "before")
    server.world.review(pull, "lead", "APPROVED")
    assert tick(driver_of(server), server) == []


def test_checks_that_end_are_told_of_the_branch_and_of_the_pull_request(
    server: GitHubServer, pull: Pull
) -> None:
    driver, head = driver_of(server), server.world.head(pull)
    server.world.check(head, "unit", None)
    tick(driver, server)
    server.world.check(head, "unit", "SUCCESS")
    reported, assessed = tick(driver, server)
    assert isinstance(reported, CheckReported)
    assert isinstance(assessed, PullRequestAssessed)
    assert reported.checks == assessed.checks == {"unit": "success"}
    server.world.push("feature/pay", {"b.txt": "2"})
    later = tick(driver, server)[-1]
    assert isinstance(later, PullRequestAssessed)
    assert (later.checks, later.head != head) == ({}, True)


def test_a_state_that_goes_there_and_back_gives_every_step(server: GitHubServer, pull: Pull) -> None:
    driver = driver_of(server)
    tick(driver, server)
    drafts = []
    for is_draft in (True, False, True):
        server.world.draft(pull, is_draft=is_draft)
        [assessed] = tick(driver, server)
        drafts.append(assessed.is_draft)
    assert drafts == [True, False, True]


def test_a_pull_request_from_a_fork_is_told_as_one(server: GitHubServer, pull: Pull) -> None:
    driver = driver_of(server)
    tick(driver, server)
    pull.is_from_fork = True
    server.world.draft(pull, is_draft=True)
    [assessed] = tick(driver, server)
    assert isinstance(assessed, PullRequestAssessed)
    assert assessed.is_from_fork


def test_what_is_ours_is_told_with_what_we_announced(server: GitHubServer) -> None:
    driver, world = driver_of(server), server.world
    tick(driver, server)
    pull = world.open("feature/pay", "main", "Pay", "Text\n\n<!-- dct:some-key -->")
    tick(driver, server)
    of_opening = [event for event in driver.intake.events if event.subject == "pull/1"]
    assert all("some-key" in event.external_ids for event in of_opening)
    world.review(pull, "lead", "APPROVED")
    tick(driver, server)
    assert driver.intake.events[-1].external_ids == ()
    world.merge(pull)
    tick(driver, server)
    assert "pull/1 merged" in driver.intake.events[-1].external_ids


def test_a_pull_request_that_is_not_there_is_unreadable_and_keeps_its_state(
    server: GitHubServer, pull: Pull
) -> None:
    driver = driver_of(server, "first")
    tick(driver, server)
    server.world.hidden = {1}
    driver.tick()
    [why] = driver.intake.unreadable.values()
    assert "not accessible" in why
    assert "pull/1" in driver.states(driver.items[0])


def post(driver: Driver, event: str, body: Any, *, signature: str | None = None) -> Received:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    right = "sha256=" + hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
    headers = {"x-github-event": event, "x-hub-signature-256": right if signature is None else signature}
    assert LISTENER.webhook is not None
    return driver.deliver(LISTENER.webhook, headers, raw, SECRET)


REPOSITORY = {"full_name": "Acme/Shop"}
COMMENT = {
    "html_url": "https://github.com/acme/shop/pull/1#issuecomment-5",
    "body": "ship it",
    "user": {"login": "lead", "id": 7, "type": "User"},
    "created_at": "2026-03-02T12:01:00Z",
    "updated_at": "2026-03-02T12:01:00Z",
}
CREATED = {
    "action": "created",
    "issue": {"number": 1, "title": "Pay", "pull_request": {"url": "x"}},
    "comment": COMMENT,
    "repository": REPOSITORY,
    "sender": COMMENT["user"],
}


@pytest.mark.parametrize("signature", ["", "sha256=0", "sha1=abc", "sha256=ü"])
def test_a_delivery_that_is_not_signed_so_is_refused(server: GitHubServer, signature: str) -> None:
    with pytest.raises(DeliveryRefused):
        post(driver_of(server), "ping", {"zen": "x"}, signature=signature)


def test_a_comment_is_an_event_of_every_item_that_it_concerns_and_only_once(
    server: GitHubServer, pull: Pull
) -> None:
    driver = driver_of(server, "shop", "first")
    assert driver.tick(), driver.problems
    for _ in range(2):
        assert "added" in post(driver, "issue_comment", CREATED).because
    assert [event.item_id.int for event in driver.intake.events] == [1, 2]
    assert {event.subject for event in driver.intake.events} == {"pull/1"}
    assert len({event.change for event in map(stored, driver.intake.events)}) == 1


def stored(draft: EventDraft) -> Event:
    """As the engine stores it."""
    values = draft.model_dump(exclude={"external_ids"})
    return Event(id=draft.item_id, seq=1, connection_id=CONNECTION, observed_at=draft.occurred_at, **values)


def test_nothing_is_told_of_what_was_before_the_first_read(server: GitHubServer, pull: Pull) -> None:
    driver = driver_of(server)
    post(driver, "issue_comment", CREATED)
    pass_time(server, minutes=5)
    driver.tick()
    post(driver, "issue_comment", CREATED)
    assert driver.intake.events == []


@pytest.mark.parametrize(
    ("event", "body", "looked_at"),
    [
        ("ping", {"zen": "x"}, []),
        ("push", {"ref": "refs/heads/main", "repository": REPOSITORY}, [1, 2]),
        ("check_run", {"action": "completed", "repository": REPOSITORY}, [1, 2]),
        ("status", {"state": "success", "repository": REPOSITORY}, [1, 2]),
        ("pull_request", {"action": "opened", "number": 9, "repository": REPOSITORY}, [1]),
        ("pull_request_review", {"pull_request": {"number": 1}, "repository": REPOSITORY}, [1, 2]),
        ("push", {"repository": {"full_name": "acme/unknown"}}, []),
        ("issue_comment", CREATED | {"issue": {"number": 4}}, []),
        ("installation", {"action": "created"}, []),
    ],
)
def test_whatever_else_is_said_the_items_are_read(
    server: GitHubServer, event: str, body: Any, looked_at: list[int]
) -> None:
    driver = driver_of(server, "shop", "first", "other")
    assert [item.int for item in post(driver, event, body).look_at] == looked_at


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"action":"created","comment":{}}', b"[" * 100_000, "ü".encode("utf-16")]
)
def test_what_is_not_understood_is_kept_raw(server: GitHubServer, body: bytes) -> None:
    with pytest.raises(PayloadUnreadable):
        post(driver_of(server), "issue_comment", body)


def test_an_app_needs_both_of_its_ids() -> None:
    with pytest.raises(ValueError, match="belong together"):
        GitHubConnection(app_id="1")
