"""Each provider's own deliveries beside its polls, from its simulated server to the real intake.

What a webhook and a poll both bring is one event, in whichever order they come.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from dct_pipelines.clients.jira import jira_client
from dct_pipelines.domain.connected import Endpoint
from dct_pipelines.domain.errors import DeliveryRefused
from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.hosting.reader import HostedRepository
from dct_pipelines.domain.repository.reader import RepositoryReader
from dct_pipelines.domain.words import ItemKind
from dct_pipelines.store.database import Database
from tests.fakes.budget import FakeBudget
from tests.fakes.github_server import github_server
from tests.fakes.github_world import GitHubWorld
from tests.fakes.hosted_world import HostedWorld, WorldRequest, Written
from tests.fakes.jira_server import JiraServer
from tests.fakes.jira_site import JiraSite
from tests.fakes.ports import FakeClock
from tests.fakes.rest_http import rest_http
from tests.fakes.slack_http import slack_http
from tests.fakes.slack_server import CHANNEL, SlackWorkspace
from tests.support import hosted, slack
from tests.support.hooks import Hooked

pytestmark = pytest.mark.integration
SECRET = "signing-secret"
Posted = tuple[dict[str, str], bytes]


@dataclass
class Provider:
    """`say` has somebody write something, and gives the delivery of it; `kind` is its event's."""

    hooked: Hooked
    say: Callable[[str], Posted]
    kind: str


def digest(body: bytes) -> str:
    return hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


def _repository(world: Any, client: Any, location: str) -> HostedRepository:
    git = RepositoryReader(world.git, RepositoryRef(world.url))
    return HostedRepository(git, client.reader(location))


@contextmanager
def github(database: Database) -> Iterator[Provider]:
    clock = FakeClock()
    world = GitHubWorld(clock)
    world.push("main", {"a.txt": "1"})
    world.push("feature/a", {"b.txt": "1"}, "Work")
    pull = world.open("feature/a", "main", "Pay by card", "", "dev")
    with github_server(world) as server:
        location = f"{server.url}/acme/shop"
        port = _repository(world, server.client(), location)
        item = (ItemKind.GIT_REPOSITORY, location)
        there = Hooked(database, port, kind="github", item=item, secret=SECRET, clock=clock)

        def say(text: str) -> Posted:
            comment = world.comment(pull, "lead", text)
            author = {"login": comment.author.login, "id": comment.author.id, "type": comment.author.type}
            at = comment.created_at.isoformat().replace("+00:00", "Z")
            body = {
                "action": "created",
                "comment": {
                    "html_url": f"https://github.example.org/acme/shop/pull/{pull.number}#{comment.anchor}",
                    "body": comment.body,
                    "user": author,
                    "created_at": at,
                    "updated_at": at,
                },
                "issue": {"number": pull.number, "title": pull.title, "pull_request": {}},
                "repository": {"full_name": world.name},
                "sender": author,
            }
            raw = json.dumps(body).encode()
            return {"x-github-event": "issue_comment", "x-hub-signature-256": f"sha256={digest(raw)}"}, raw

        yield Provider(there, say, "comment_added")


def _at(written: Written) -> str:
    return written.created_at.isoformat().replace("+00:00", "Z")


def _gitlab_body(world: HostedWorld, request: WorldRequest, written: Written) -> dict[str, Any]:
    note = {
        "id": written.id,
        "note": written.text,
        "noteable_type": "MergeRequest",
        "created_at": _at(written),
        "updated_at": _at(written),
        "action": "create",
    }
    return {
        "object_kind": "note",
        "project": {"path_with_namespace": "acme/shop", "web_url": "https://gitlab.example.org/acme/shop"},
        "user": {"username": "lead", "name": "Lead"},
        "object_attributes": note,
        "merge_request": {"iid": request.number, "title": request.title},
    }


def _gitea_body(world: HostedWorld, request: WorldRequest, written: Written) -> dict[str, Any]:
    author = {"id": 2, "login": "lead", "full_name": "Lead"}
    comment = {"id": written.id, "body": written.text, "user": author}
    return {
        "action": "created",
        "is_pull": True,
        "issue": {"number": request.number, "title": request.title},
        "comment": comment | {"created_at": _at(written), "updated_at": _at(written)},
        "repository": {"full_name": "acme/shop", "html_url": "https://gitea.example.org/acme/shop"},
        "sender": author,
    }


@contextmanager
def _hosted(kind: str, database: Database) -> Iterator[Provider]:
    serve: Any = {"gitlab": hosted.gitlab, "gitea": hosted.gitea}[kind]
    body_of = {"gitlab": _gitlab_body, "gitea": _gitea_body}[kind]
    with serve() as served:
        world = served.world
        request = world.open("feature/a")
        location = served.location()
        git = RepositoryReader(world.git, world.repository_ref)
        port = HostedRepository(git, served.client.reader(location))
        item = (ItemKind.GIT_REPOSITORY, location)
        there = Hooked(database, port, kind=kind, item=item, secret=SECRET, clock=served.clock)

        def say(text: str) -> Posted:
            raw = json.dumps(body_of(world, request, world.comment(request, text))).encode()
            headers = {"gitlab": {"x-gitlab-token": SECRET}, "gitea": {"x-gitea-signature": digest(raw)}}
            return headers[kind], raw

        yield Provider(there, say, "comment_added")


@contextmanager
def gitlab(database: Database) -> Iterator[Provider]:
    with _hosted("gitlab", database) as provider:
        yield provider


@contextmanager
def gitea(database: Database) -> Iterator[Provider]:
    with _hosted("gitea", database) as provider:
        yield provider


@contextmanager
def jira(database: Database) -> Iterator[Provider]:
    clock = FakeClock()
    site = JiraSite(clock, is_cloud=True, lag=lambda: 0)
    issue = site.create("PAY")
    config = {"deployment": "cloud"}
    with rest_http(JiraServer(site)) as server:
        endpoint = Endpoint(UUID(int=5), "site", "jira", server.url, config, lambda: "t", True, FakeBudget())
        client = jira_client(endpoint, clock)
        item = (ItemKind.JIRA_TICKET, issue.key)
        there = Hooked(database, client, kind="jira", item=item, secret=SECRET, clock=clock, config=config)

        def say(text: str) -> Posted:
            site.comment(issue, text)
            raw = json.dumps(site.posted[-1]).encode()
            return {"x-hub-signature": f"sha256={digest(raw)}"}, raw

        yield Provider(there, say, "comment_added")
        client.site.api.close()


@contextmanager
def slack_space(database: Database) -> Iterator[Provider]:
    clock = FakeClock()
    space = SlackWorkspace(clock, page_size=200)
    space.post("before")
    with slack_http(space) as server:
        client = slack.client(server.url, clock)
        item = (ItemKind.SLACK_CHANNEL, CHANNEL)
        there = Hooked(database, client, kind="slack", item=item, secret=SECRET, clock=clock)

        def say(text: str) -> Posted:
            space.post(text)
            return slack.delivery(space.done[-1].event, clock.now().timestamp())

        yield Provider(there, say, "message_posted")


PROVIDERS = {"github": github, "gitlab": gitlab, "gitea": gitea, "jira": jira, "slack": slack_space}


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest, database: Database) -> Iterator[Provider]:
    """A provider whose item was read as it was."""
    with PROVIDERS[request.param](database) as made:
        for _ in range(2):
            made.hooked.poll(120)
        made.hooked.clock.advance(seconds=30)
        assert made.hooked.events() == []
        yield made


def told(provider: Provider) -> list[str]:
    texts = [event["payload"] for event in provider.hooked.events() if event["kind"] == provider.kind]
    return [payload["text"] for payload in texts]


def test_what_a_webhook_told_is_not_told_again_by_the_next_polls(provider: Provider) -> None:
    taken = provider.hooked.post(*provider.say("ship it"))
    assert taken.events == 1, taken.because
    assert told(provider) == ["ship it"]
    for _ in range(3):
        provider.hooked.poll(120)
    assert told(provider) == ["ship it"]
    assert provider.hooked.letters() == []


def test_a_webhook_that_comes_after_the_poll_or_twice_tells_nothing_new(provider: Provider) -> None:
    headers, body = provider.say("ship it")
    provider.hooked.poll(120)
    assert told(provider) == ["ship it"]
    if "x-slack-signature" in headers:
        headers = slack.signed(body, provider.hooked.clock.now().timestamp())
    for _ in range(2):
        assert provider.hooked.post(headers, body).events == 0
    assert told(provider) == ["ship it"]


def test_webhooks_that_never_came_are_made_up_for_by_a_poll(provider: Provider) -> None:
    lost = [provider.say(text) for text in ("one", "two")]
    provider.hooked.clock.advance(seconds=1)
    provider.hooked.post(*provider.say("three"))
    provider.hooked.poll(120)
    provider.hooked.poll(120)
    assert len(lost) == 2
    assert sorted(told(provider)) == ["one", "three", "two"]


def test_a_delivery_that_somebody_else_signed_tells_nothing(provider: Provider) -> None:
    headers, body = provider.say("ship it")
    for name, forged in (("changed", body + b" "), ("unsigned", body)):
        given = {key: value for key, value in headers.items() if name == "changed" or "event" in key}
        if name == "changed" and "x-gitlab-token" in headers:
            given["x-gitlab-token"] = "another"
        with pytest.raises(DeliveryRefused):
            provider.hooked.post(given, forged)
    assert (provider.hooked.events(), provider.hooked.letters()) == ([], [])


def test_poisonous_deliveries_are_answered_and_stop_nothing(provider: Provider) -> None:
    headers, _ = provider.say("ship it")
    for poison in (b"{", b"[]", b'{"comment": 5, "issue": [], "event": null}', b"\xff\x00"):
        if "x-slack-signature" in headers:
            headers = slack.signed(poison, provider.hooked.clock.now().timestamp())
        elif "x-gitlab-token" not in headers:
            signed = next(name for name in headers if "signature" in name)
            prefix = "sha256=" if headers[signed].startswith("sha256=") else ""
            headers = headers | {signed: prefix + digest(poison)}
        assert provider.hooked.post(headers, poison).events == 0
    provider.hooked.poll(120)
    assert told(provider) == ["ship it"]
