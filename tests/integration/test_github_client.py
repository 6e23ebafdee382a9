"""The client of GitHub on answers in the documented shape, its refusals and failures included."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dct_pipelines.clients.github import GitHubClient
from dct_pipelines.domain.connected import CredentialEnd
from dct_pipelines.domain.errors import (
    ActionFailed,
    ConnectionDown,
    CredentialRefused,
    DctError,
    ItemUnreadable,
    Throttled,
)
from dct_pipelines.domain.hosting.reader import HostReader
from dct_pipelines.domain.words import CheckState
from tests.fakes.github_server import GitHubServer, github_server
from tests.fakes.github_world import Account, Comment, GitHubWorld, Pull
from tests.fakes.ports import NOON, FakeClock

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


Asked = Callable[[GitHubClient, HostReader], object]


def _read(_client: GitHubClient, reader: HostReader) -> object:
    return reader.open(None)


def _act(client: GitHubClient, _reader: HostReader) -> object:
    return client.request(SHOP, 1)


WAIT = {"retry-after": "17"}
USED_UP = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOON.timestamp()) + 90)}
SECONDARY = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}
PRIMARY = {"message": "API rate limit exceeded for user ID 1."}


@pytest.mark.parametrize("ask", [_read, _act])
@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"),
    [
        (403, WAIT, SECONDARY, 17),
        (429, WAIT, SECONDARY, 17),
        (403, USED_UP, PRIMARY, 90),
        (403, WAIT | USED_UP, SECONDARY, 17),
        (403, {}, SECONDARY, 60),
        (429, {}, PRIMARY, 60),
        (503, WAIT, "<html>", 17),
    ],
)
def test_a_limit_is_obeyed_as_it_is_told(
    server: GitHubServer,
    client: GitHubClient,
    reader: HostReader,
    ask: Asked,
    status: int,
    headers: Mapping[str, str],
    body: Any,
    seconds: int,
) -> None:
    server.replies.append((status, headers, body))
    with pytest.raises(Throttled) as told:
        ask(client, reader)
    assert told.value.not_before == NOON + timedelta(seconds=seconds)


def test_a_limit_of_graphql_comes_within_a_200(server: GitHubServer, reader: HostReader) -> None:
    fault = {"type": "RATE_LIMITED", "message": "API rate limit exceeded for user ID 1."}
    server.replies.append((200, USED_UP, {"errors": [fault]}))
    with pytest.raises(Throttled) as told:
        reader.open(None)
    assert told.value.not_before == NOON + timedelta(seconds=90)


@pytest.mark.parametrize("ask", [_read, _act])
@pytest.mark.parametrize("fault", ["500", "502", "reset", "half", "html"])
def test_a_failure_of_the_server_passes(
    server: GitHubServer, client: GitHubClient, reader: HostReader, pull: Pull, ask: Asked, fault: str
) -> None:
    server.faults.append(fault)
    with pytest.raises(ConnectionDown) as told:
        ask(client, reader)
    assert not isinstance(told.value, Throttled)


@pytest.mark.parametrize(
    "body", [[], {}, {"data": []}, {"data": None, "errors": [{"message": "Something went wrong"}]}, '"x"']
)
def test_an_answer_of_another_form_is_no_empty_answer(
    server: GitHubServer, reader: HostReader, body: Any
) -> None:
    server.replies.append((200, {}, body))
    with pytest.raises(ConnectionDown):
        reader.open(None)


@pytest.mark.parametrize(
    ("ask", "error"), [(_read, ItemUnreadable), (_act, ActionFailed)], ids=["read", "action"]
)
@pytest.mark.parametrize("status", [403, 404, 422])
def test_a_refusal_is_the_items_or_the_actions_and_says_what_github_said(
    server: GitHubServer,
    client: GitHubClient,
    reader: HostReader,
    ask: Asked,
    error: type[DctError],
    status: int,
) -> None:
    server.replies.append((status, {}, {"message": "Resource not accessible by personal access token"}))
    with pytest.raises(error, match="not accessible") as told:
        ask(client, reader)
    assert told.value.transient is False


def test_a_refused_credential_is_the_connections(server: GitHubServer) -> None:
    with pytest.raises(CredentialRefused, match="Bad credentials"):
        server.client(secret="ghp_revoked").check()


def test_a_repository_that_is_not_shown_is_unreadable_and_not_empty(
    client: GitHubClient, server: GitHubServer
) -> None:
    with pytest.raises(ItemUnreadable, match="may not see it"):
        client.reader(f"{server.url}/acme/other").open(None)


def test_one_pull_request_that_may_not_be_read_hides_no_other(world: GitHubWorld, reader: HostReader) -> None:
    for branch in ("a", "b", "c"):
        world.open(branch, "main", branch)
    world.hidden = {2}
    answer = reader.requests([1, 2, 3, 4])
    assert [state.number for state in answer.states] == [1, 3]
    assert set(answer.missing) == {2, 4}
    assert "not accessible" in answer.missing[2]


def test_lists_that_are_cut_are_read_to_their_end(world: GitHubWorld, reader: HostReader, pull: Pull) -> None:
    world.page_size = 2
    for number in range(7):
        world.comment(pull, "dev", f"comment {number}")
        world.retitle(pull, f"title {number}")
        world.check(world.head(pull), f"check {number}", "SUCCESS")
    world.review(pull, "lead", "APPROVED", "fine", tuple(f"line {number}" for number in range(5)))
    for who in ("a", "b", "c"):
        world.review(pull, who, "CHANGES_REQUESTED")
    [state] = reader.requests([1]).states
    assert len(state.comments) == 7 + 5 + 1
    assert (state.retitled, len(state.retitlings or ())) == (7, 7)
    assert [approval.user.name for approval in state.approvals] == ["lead", "a", "b", "c"]
    assert len(reader.checks([state.head])[state.head]) == 7


def test_the_latest_opinion_of_each_reviewer_counts_for_the_head_that_it_was_given_for(
    world: GitHubWorld, reader: HostReader, pull: Pull
) -> None:
    head = world.head(pull)
    world.person("guest", can_push=False)
    world.person("helper", type="Bot")
    world.review(pull, "lead", "CHANGES_REQUESTED")
    taken_back = world.review(pull, "owner", "APPROVED")
    for who in ("lead", "guest", "helper"):
        world.review(pull, who, "APPROVED")
    world.review(pull, "lead", "COMMENTED")
    world.dismiss(pull, taken_back)
    later = world.push("feature/pay", {"b.txt": "2"})
    [state] = reader.requests([1]).states
    told = [(one.user.name, one.state, one.may_approve, one.user.is_bot) for one in state.approvals]
    assert told == [
        ("owner", "dismissed", True, False),
        ("lead", "approved", True, False),
        ("guest", "approved", False, False),
        ("helper[bot]", "approved", True, True),
    ]
    assert {one.head for one in state.approvals} == {head}
    assert state.head == later


def test_a_comment_that_is_not_understood_is_kept_raw_and_hides_no_other(
    world: GitHubWorld, reader: HostReader, pull: Pull
) -> None:
    world.comment(pull, "dev", "well")
    pull.comments.append(Comment(9, "surprise=", Account("dev", 1), "odd", NOON, NOON))
    answer = reader.requests([1])
    [state] = answer.states
    assert [comment.text for comment in state.comments] == ["well"]
    assert state.comments_complete is False
    [letter] = answer.letters
    assert "odd" in letter.raw


def test_checks_that_are_pending_or_of_one_name_never_pass_for_more_than_they_are(
    world: GitHubWorld, reader: HostReader
) -> None:
    head = world.shop.head("main")
    assert head
    assert reader.checks([head]) == {head: {}}
    world.check(head, "unit", "SUCCESS")
    world.check(head, "unit", "FAILURE", workflow="nightly")
    world.check(head, "slow", None)
    world.check(head, "docs", "SKIPPED")
    world.status(head, "ci/lint", "error")
    found = {name: check.state for name, check in reader.checks([head])[head].items()}
    assert found == {
        "unit": CheckState.FAILURE,
        "slow": CheckState.PENDING,
        "docs": CheckState.SKIPPED,
        "ci/lint": CheckState.FAILURE,
    }


def test_checks_of_a_commit_that_is_unknown_are_left_out(reader: HostReader) -> None:
    assert reader.checks(["f" * 40]) == {}


def test_what_was_updated_is_listed_until_the_time_asked_for(world: GitHubWorld, reader: HostReader) -> None:
    world.page_size = 2
    for number in range(5):
        world.open(f"b{number}", "main", str(number))
        assert isinstance(world.clock, FakeClock)
        world.clock.advance(seconds=10)
    first = reader.changed(NOON + timedelta(seconds=20), None)
    assert [entry.number for entry in first.entries] == [5, 4]
    assert first.as_of == NOON + timedelta(seconds=50)
    second = reader.changed(NOON + timedelta(seconds=20), first.cursor)
    assert ([entry.number for entry in second.entries], second.cursor) == ([3], None)


@pytest.mark.parametrize("status", [200, 404])
def test_the_end_of_a_token_is_read_from_the_headers_of_a_call_that_counts_against_no_limit(
    server: GitHubServer, client: GitHubClient, status: int
) -> None:
    assert client.credential_end(is_due=False) is None
    assert server.calls == []
    until = {"github-authentication-token-expiration": "2026-03-09 06:00:00 UTC"}
    server.replies.append((status, until, {"message": "Rate limiting is not enabled."}))
    assert client.credential_end(is_due=True) == CredentialEnd(datetime(2026, 3, 9, 6, tzinfo=UTC))
    assert [path for _, path in server.calls] == ["/api/v3/rate_limit"]
    assert client.credential_end(is_due=True) == CredentialEnd(None)


def test_the_key_of_a_github_app_has_no_end_and_is_said_to_have_none(server: GitHubServer) -> None:
    app = server.client({"app_id": 1, "installation_id": 2}, "a key")
    assert app.credential_end(is_due=False) is None
    assert app.credential_end(is_due=True) == CredentialEnd(None)
    assert server.calls == []
