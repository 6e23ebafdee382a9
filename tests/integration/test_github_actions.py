"""What actions and people ask of GitHub: merges, pull requests, workflows, the check of a connection."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from dct_pipelines.clients.github import GitHubClient
from dct_pipelines.domain.errors import (
    ActionInterrupted,
    ItemUnreadable,
)
from dct_pipelines.domain.hosting.port import HostMerge, NewRequest
from dct_pipelines.domain.hosting.reader import HostReader
from dct_pipelines.domain.words import ItemKind
from tests.fakes.github_server import GitHubServer, github_server
from tests.fakes.github_world import GitHubWorld, Pull
from tests.fakes.ports import FakeClock

SHOP = "acme/shop"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def world() -> GitHubWorld:
    world = GitHubWorld(FakeClock())
    base = world.push("main", {"a.txt": "1"})
    world.shop.commit("feature/pay", {"b.txt": "1"}, parents=[base])
    return world


@pytest.fixture
def server(world: GitHubWorld) -> Iterator[GitHubServer]:
    with github_server(world) as served:
        yield served


@pytest.fixture
def client(server: GitHubServer) -> GitHubClient:
    return server.client()


@pytest.fixture
def reader(client: GitHubClient, server: GitHubServer) -> HostReader:
    return client.reader(f"{server.url}/{SHOP}")


@pytest.fixture
def pull(world: GitHubWorld) -> Pull:
    return world.open("feature/pay", "main", "Pay by card", "What for")


MERGES = [
    (200, {"sha": "c" * 40, "merged": True}, HostMerge("merged", "c" * 40)),
    (405, {"message": "Required status check is expected."}, "refused"),
    (409, {"message": "Head branch was modified. Review and try the merge again."}, "moved"),
    (422, {"message": "Validation Failed"}, "refused"),
]


@pytest.mark.parametrize(("status", "body", "expected"), MERGES)
def test_a_merge_says_what_became_of_it(
    server: GitHubServer,
    client: GitHubClient,
    world: GitHubWorld,
    pull: Pull,
    status: int,
    body: Any,
    expected: Any,
) -> None:
    seen = world.head(pull)
    client.request(SHOP, 1)
    server.merge_reply = (status, {}, body)
    result = client.merge_request(SHOP, 1, head=seen, method="squash", message="Merge\n\nit")
    assert result == expected or result.state == expected


def test_a_base_that_moved_is_tried_again(
    server: GitHubServer, client: GitHubClient, world: GitHubWorld, pull: Pull
) -> None:
    words = "Base branch was modified. Review and try the merge again."
    server.merge_reply = (409, {}, {"message": words})
    with pytest.raises(ActionInterrupted):
        client.merge_request(SHOP, 1, head=world.head(pull), method="merge", message="Merge")


@pytest.mark.parametrize(
    ("status", "state"), [(204, "contained"), (409, "conflict"), (404, "refused"), (403, "refused")]
)
def test_a_merge_of_branches_says_what_became_of_it(
    server: GitHubServer, client: GitHubClient, status: int, state: str
) -> None:
    server.replies.append((status, {}, None if status == 204 else {"message": "so it is"}))
    assert client.merge_branches(SHOP, source="a", target="b", message="m").state == state


def test_labels_and_reviewers_are_given_to_what_was_opened_by_us_only(
    client: GitHubClient, world: GitHubWorld, pull: Pull
) -> None:
    wanted = NewRequest(
        SHOP, "feature/pay", "main", "Pay", "<!-- dct:k -->", labels=("qa",), reviewers=("lead", "acme/team")
    )
    assert client.open_request(wanted).number == pull.number
    assert pull.labels == []
    world.close(pull)
    opened = world.pulls[client.open_request(wanted).number]
    assert (opened.labels, opened.reviewers) == (["qa"], ["lead", "team:team"])
    assert client.open_request(wanted).number == opened.number


def test_a_dispatch_leaves_out_what_the_workflow_or_an_older_server_does_not_take(
    server: GitHubServer, client: GitHubClient, world: GitHubWorld
) -> None:
    words = 'Unexpected inputs provided: ["dct_key"]'
    server.replies += [
        (422, {}, {"message": "Invalid request.", "errors": ['"return_run_details" is not permitted']}),
        (422, {}, {"message": words}),
    ]
    assert client.dispatch(SHOP, workflow="d.yml", ref="main", inputs={"a": "b"}, key="k") is None
    assert len(world.runs) == 1


def test_the_check_says_who_and_what_and_how_much(client: GitHubClient) -> None:
    findings = {finding.what: finding for finding in client.check()}
    assert all(finding.is_ok for finding in findings.values())
    assert "dct-bot, by a classic personal access token" in findings["account"].said
    assert findings["permissions"].said == "scopes: repo, workflow"
    assert "+0 s" in findings["clock"].said
    assert "4999 of 5000" in findings["rate limit"].said


def test_a_look_says_what_is_there(client: GitHubClient, server: GitHubServer, pull: Pull) -> None:
    at = f"{server.url}/{SHOP}"
    assert "acme/shop" in client.look(ItemKind.GIT_REPOSITORY, at, {})
    assert "open: Pay by card" in client.look(ItemKind.PULL_REQUEST, f"{at}/pull/1", {})
    with pytest.raises(ItemUnreadable, match="may not see it"):
        client.look(ItemKind.PULL_REQUEST, f"{at}/pull/99", {})


def test_git_reaches_the_repository_by_the_same_token(client: GitHubClient, server: GitHubServer) -> None:
    ref = client.repository_ref(f"{server.url}/{SHOP}/pull/1")
    assert ref.url == f"{server.url}/{SHOP}"
    assert ref.credential is not None
    assert ref.credential() == "ghp_0123456789abcdef"
    assert "ghp_" not in repr(ref)
