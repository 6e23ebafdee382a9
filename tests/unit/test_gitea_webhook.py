"""What Gitea and Forgejo post: believed by its signature only, and the same event as a read of it gives."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from dct_pipelines.clients.gitea.client import GiteaClient
from dct_pipelines.domain.errors import DeliveryRefused, PayloadUnreadable
from dct_pipelines.domain.hosting.reader import HostedRepository
from dct_pipelines.domain.listener import Delivery, WatchedItem
from dct_pipelines.domain.repository.reader import RepositoryReader
from dct_pipelines.domain.words import ItemKind
from dct_pipelines.listeners.gitea import LISTENER, verify
from tests.fakes.gitea_server import GiteaServer
from tests.fakes.hosted_world import REPOSITORY, WorldRequest, Written
from tests.fakes.ports import NOON
from tests.properties.driver import Driver
from tests.support.hosted import Hosted, gitea

SECRET = "a secret"
ITEM = UUID(int=41)
HOOK = LISTENER.webhook
ABOUT = {"full_name": REPOSITORY, "html_url": f"https://git.example.org/{REPOSITORY}"}


@pytest.fixture
def tea() -> Iterator[Hosted[GiteaServer, GiteaClient]]:
    with gitea() as hosted:
        hosted.world.open("feature/a")
        hosted.clock.advance(seconds=200)
        yield hosted


@pytest.fixture
def driver(tea: Hosted[GiteaServer, GiteaClient]) -> Driver:
    item = WatchedItem(ITEM, "shop", ItemKind.GIT_REPOSITORY, tea.location(), {}, {})
    reader = RepositoryReader(tea.world.git, tea.world.repository_ref)
    port = HostedRepository(reader, tea.client.reader(tea.location()))
    driver = Driver(LISTENER, UUID(int=40), {}, [item], port=lambda _item: port, clock=tea.clock)
    driver.settle()
    tea.clock.advance(seconds=60)
    return driver


def comment_hook(request: WorldRequest, written: Written, action: str = "created", **more: Any) -> bytes:
    """As in https://docs.gitea.com/usage/webhooks , of an `issue_comment`."""
    told = {
        "action": action,
        "issue": {
            "id": 501,
            "number": request.number,
            "title": request.title,
            "pull_request": {"merged": False, "merged_at": None},
        },
        "comment": GiteaServer.comment(written),
        "repository": ABOUT,
        "sender": {"id": 1, "login": "dev", "full_name": "Dev"},
        "is_pull": True,
        **more,
    }
    return json.dumps(told).encode()


def signed(body: bytes) -> str:
    return hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


def deliver(driver: Driver, body: bytes) -> Any:
    assert HOOK is not None
    return driver.deliver(HOOK, {"x-gitea-signature": signed(body)}, body, SECRET)


def kinds(driver: Driver) -> list[str]:
    return [event.payload.kind for event in driver.intake.events]


def test_what_is_posted_and_read_of_a_comment_is_one_event_each(
    tea: Hosted[GiteaServer, GiteaClient], driver: Driver
) -> None:
    request = tea.world.requests[1]
    written = tea.world.comment(request, "one")
    deliver(driver, comment_hook(request, written))
    driver.settle()
    tea.clock.advance(seconds=20)
    tea.world.edit(request, written, "two")
    deliver(driver, comment_hook(request, written, "edited", changes={"body": {"from": "one"}}))
    driver.settle()
    tea.world.delete(request, written)
    deliver(driver, comment_hook(request, written, "deleted"))
    tea.clock.advance(seconds=3600)
    driver.settle()
    assert kinds(driver) == ["comment_added", "comment_edited", "comment_deleted"]
    edited, deleted = driver.intake.events[1:]
    assert (getattr(edited.payload, "before", ""), getattr(edited.payload, "after", "")) == ("one", "two")
    assert edited.actor is not None
    assert edited.actor.id == "dev"
    assert getattr(deleted.payload, "before", "") == "two"


def test_a_poll_before_the_delivery_gives_the_same_events(
    tea: Hosted[GiteaServer, GiteaClient], driver: Driver
) -> None:
    request = tea.world.requests[1]
    written = tea.world.comment(request, "one")
    posted = [comment_hook(request, written)]
    driver.settle()
    tea.clock.advance(seconds=20)
    tea.world.edit(request, written, "two")
    posted.append(comment_hook(request, written, "edited", changes={"body": {"from": "one"}}))
    driver.settle()
    for body in posted:
        deliver(driver, body)
    tea.clock.advance(seconds=60)
    driver.settle()
    assert kinds(driver) == ["comment_added", "comment_edited"]


def test_what_is_no_comment_is_looked_at(driver: Driver) -> None:
    for told in (
        {"action": "synchronized", "number": 1, "pull_request": {"number": 1}, "repository": ABOUT},
        {"action": "reviewed", "pull_request": {"number": 1}, "review": {}, "repository": ABOUT},
        {"ref": "refs/heads/main", "repository": ABOUT},
        {"sha": "c" * 40, "state": "success", "repository": ABOUT},
    ):
        received = deliver(driver, json.dumps(told).encode())
        assert (received.look_at, received.page) == ((ITEM,), None)


def test_a_delivery_about_something_else_is_no_error(
    tea: Hosted[GiteaServer, GiteaClient], driver: Driver
) -> None:
    request = tea.world.requests[1]
    written = tea.world.comment(request, "of an issue")
    of_issue = json.loads(comment_hook(request, written, is_pull=False))
    of_issue["issue"]["pull_request"] = None
    for told in ({"ref": "x", "repository": {"full_name": "other/thing"}}, {"action": "created"}, of_issue):
        received = deliver(driver, json.dumps(told).encode())
        assert (received.look_at, received.page) == ((), None)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"repository": {"full_name": 7}}'])
def test_what_cannot_be_understood_is_kept_for_people(driver: Driver, body: bytes) -> None:
    with pytest.raises(PayloadUnreadable):
        deliver(driver, body)


def test_only_the_signature_over_the_body_is_believed() -> None:
    body = b"{}"
    for header in ("x-gitea-signature", "x-forgejo-signature"):
        verify(Delivery({header: signed(body)}, body, NOON), SECRET)
    for headers in ({}, {"x-gitea-signature": signed(b"{ }")}, {"x-gitea-signature": "ü"}):
        with pytest.raises(DeliveryRefused):
            verify(Delivery(headers, body, NOON), SECRET)
    with pytest.raises(DeliveryRefused):
        verify(Delivery({"x-gitea-signature": signed(body)}, body, NOON), "")
