"""What GitLab posts: believed by its token or signature only, and the same event as a read of it gives."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from dct_pipelines.clients.gitlab.client import GitLabClient
from dct_pipelines.domain.errors import DeliveryRefused, PayloadUnreadable
from dct_pipelines.domain.hosting.reader import HostedRepository
from dct_pipelines.domain.listener import Delivery, WatchedItem
from dct_pipelines.domain.repository.reader import RepositoryReader
from dct_pipelines.domain.signing import sign
from dct_pipelines.domain.words import ItemKind
from dct_pipelines.listeners.gitlab import LISTENER, verify
from tests.fakes.gitlab_server import GitLabServer
from tests.fakes.hosted_world import REPOSITORY, WorldRequest, Written
from tests.fakes.ports import NOON
from tests.properties.driver import Driver
from tests.support.hosted import Hosted, gitlab

SECRET = "a secret token"
SIGNING = "whsec_" + base64.b64encode(b"k" * 32).decode()
ITEM = UUID(int=31)
HOOK = LISTENER.webhook


@pytest.fixture
def lab() -> Iterator[Hosted[GitLabServer, GitLabClient]]:
    with gitlab(root="/gitlab") as hosted:
        hosted.world.open("feature/a")
        hosted.clock.advance(seconds=200)
        yield hosted


@pytest.fixture
def driver(lab: Hosted[GitLabServer, GitLabClient]) -> Driver:
    item = WatchedItem(ITEM, "shop", ItemKind.GIT_REPOSITORY, lab.location(), {}, {})
    reader = RepositoryReader(lab.world.git, lab.world.repository_ref)
    port = HostedRepository(reader, lab.client.reader(lab.location()))
    driver = Driver(LISTENER, UUID(int=30), {}, [item], port=lambda _item: port, clock=lab.clock)
    driver.settle()
    lab.clock.advance(seconds=60)
    return driver


def note_hook(request: WorldRequest, written: Written, **attributes: Any) -> bytes:
    """As in https://docs.gitlab.com/user/project/integrations/webhook_events/#comment-on-a-merge-request ."""
    told = {
        "object_kind": "note",
        "event_type": "note",
        "user": {"id": 1, "name": written.user.title(), "username": written.user, "email": "[REDACTED]"},
        "project_id": 7,
        "project": {
            "id": 7,
            "path_with_namespace": REPOSITORY,
            "web_url": f"https://gitlab.example.org/gitlab/{REPOSITORY}",
        },
        "object_attributes": {
            "id": written.id,
            "note": written.text,
            "noteable_type": "MergeRequest",
            "author_id": 1,
            "created_at": f"{written.created_at:%Y-%m-%d %H:%M:%S} UTC",
            "updated_at": f"{written.updated_at:%Y-%m-%d %H:%M:%S} UTC",
            "system": False,
            "url": f"https://gitlab.example.org/-/merge_requests/{request.number}#note_{written.id}",
            "action": "create",
            **attributes,
        },
        "merge_request": {"id": 77, "iid": request.number, "title": request.title, "state": "opened"},
    }
    return json.dumps(told).encode()


def deliver(driver: Driver, body: bytes) -> Any:
    assert HOOK is not None
    return driver.deliver(HOOK, {"x-gitlab-token": SECRET}, body, SECRET)


def test_a_comment_that_is_posted_and_read_is_one_event_in_either_order(
    lab: Hosted[GitLabServer, GitLabClient], driver: Driver
) -> None:
    request = lab.world.requests[1]
    first = lab.world.comment(request, "posted first")
    deliver(driver, note_hook(request, first))
    second = lab.world.comment(request, "read first")
    driver.settle()
    deliver(driver, note_hook(request, second))
    lab.clock.advance(seconds=60)
    driver.settle()
    told = [event.payload for event in driver.intake.events if event.payload.kind == "comment_added"]
    assert [getattr(payload, "text", "") for payload in told] == ["posted first", "read first"]
    assert not [event for event in driver.intake.events if event.payload.kind == "comment_edited"]


def test_a_late_delivery_does_not_put_back_an_older_text(
    lab: Hosted[GitLabServer, GitLabClient], driver: Driver
) -> None:
    request = lab.world.requests[1]
    written = lab.world.comment(request, "before")
    late = note_hook(request, written)
    lab.clock.advance(seconds=5)
    lab.world.edit(request, written, "after")
    driver.settle()
    deliver(driver, late)
    lab.clock.advance(seconds=60)
    driver.settle()
    assert [event.payload.kind for event in driver.intake.events] == ["comment_added"]


def test_what_is_not_a_new_comment_is_looked_at(
    lab: Hosted[GitLabServer, GitLabClient], driver: Driver
) -> None:
    request = lab.world.requests[1]
    written = lab.world.comment(request, "text")
    project = {
        "path_with_namespace": REPOSITORY,
        "web_url": f"https://gitlab.example.org/gitlab/{REPOSITORY}",
    }
    deliveries = [
        note_hook(request, written, action="update"),
        note_hook(request, written, system=True),
        json.dumps(
            {"object_kind": "merge_request", "project": project, "object_attributes": {"iid": 1}}
        ).encode(),
        *(
            json.dumps({"object_kind": kind, "project": project}).encode()
            for kind in ("push", "tag_push", "pipeline", "build")
        ),
    ]
    for body in deliveries:
        received = deliver(driver, body)
        assert (received.look_at, received.page) == ((ITEM,), None)
    assert not driver.intake.events


def test_a_delivery_about_something_else_is_no_error(driver: Driver) -> None:
    elsewhere = {
        "path_with_namespace": "other/project",
        "web_url": "https://gitlab.example.org/other/project",
    }
    for told in (
        {"object_kind": "push", "project": elsewhere},
        {"object_kind": "issue", "project": {"path_with_namespace": "other/project"}},
        {"event_name": "user_create"},
    ):
        received = deliver(driver, json.dumps(told).encode())
        assert (received.look_at, received.page) == ((), None)
        assert received.because


@pytest.mark.parametrize("name", ["push", "tag_push"])
def test_a_system_hook_tells_of_a_push_by_its_event_name_only(driver: Driver, name: str) -> None:
    """As in https://docs.gitlab.com/administration/system_hooks/#push-events ."""
    project = {
        "path_with_namespace": REPOSITORY,
        "web_url": f"https://gitlab.example.org/gitlab/{REPOSITORY}",
    }
    body = {"event_name": name, "ref": "refs/heads/main", "user_id": 4, "project_id": 7, "project": project}
    assert deliver(driver, json.dumps(body).encode()).look_at == (ITEM,)


def test_a_delivery_whose_project_is_null_is_no_error(driver: Driver) -> None:
    body = {"object_kind": "access_token", "project": None, "group": {"group_path": "acme"}}
    assert deliver(driver, json.dumps(body).encode()).look_at == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"object_kind": "push", "project": 7}',
        b'{"object_kind": "merge_request", "project": {}}',
    ],
)
def test_what_cannot_be_understood_is_kept_for_people(driver: Driver, body: bytes) -> None:
    with pytest.raises(PayloadUnreadable):
        deliver(driver, body)


def test_only_the_secret_token_is_believed() -> None:
    verify(Delivery({"x-gitlab-token": SECRET}, b"{}", NOON), SECRET)
    for headers in ({}, {"x-gitlab-token": ""}, {"x-gitlab-token": SECRET + "x"}, {"x-gitlab-token": "ü"}):
        with pytest.raises(DeliveryRefused) as caught:
            verify(Delivery(headers, b"{}", NOON), SECRET)
        assert SECRET not in str(caught.value)
    with pytest.raises(DeliveryRefused):
        verify(Delivery({"x-gitlab-token": ""}, b"{}", NOON), "")


def test_a_signing_token_is_believed_by_its_signature_and_not_as_a_secret_token() -> None:
    stamp = int(NOON.timestamp())
    headers = {"webhook-id": "one", "webhook-timestamp": str(stamp)}
    signed = headers | {"webhook-signature": sign(SIGNING, "one", stamp, b"{}")}
    verify(Delivery(signed, b"{}", NOON), SIGNING)
    for wrong, body in ((signed, b"{ }"), (headers, b"{}"), ({"x-gitlab-token": SIGNING}, b"{}")):
        with pytest.raises(DeliveryRefused):
            verify(Delivery(wrong, body, NOON), SIGNING)
