"""Gitea's client on answers in the documented shape, and on everything else that a server may say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from dct_pipelines.clients.gitea.client import GiteaClient
from dct_pipelines.domain.errors import (
    ActionFailed,
    ConnectionDown,
    CredentialRefused,
    DctError,
    ItemUnreadable,
    Throttled,
)
from dct_pipelines.domain.hosting.port import NewRequest
from dct_pipelines.domain.words import CheckState, ItemKind
from tests.fakes.gitea_server import GiteaServer
from tests.fakes.hosted_world import REPOSITORY
from tests.fakes.ports import NOON
from tests.support.hosted import FAULTS, Hosted, gitea, say

Gitea = Hosted[GiteaServer, GiteaClient]


@pytest.fixture
def tea() -> Iterator[Gitea]:
    with gitea() as hosted:
        yield hosted


@pytest.mark.parametrize(("fault", "error"), FAULTS)
def test_what_passes_is_a_transient_error_of_the_connection(
    tea: Gitea, fault: str, error: type[DctError]
) -> None:
    tea.http.fault = lambda _asked: fault
    for call in (
        lambda: tea.client.reader(tea.location()).changed(NOON, None),
        lambda: tea.client.request(REPOSITORY, 1),
        lambda: tea.client.reader(tea.location()).checks(["c" * 40]),
    ):
        with pytest.raises(error) as caught:
            call()
        assert caught.value.transient


def test_throttling_waits_exactly_as_told(tea: Gitea) -> None:
    tea.http.fault = lambda _asked: "429"
    with pytest.raises(Throttled) as caught:
        tea.client.request(REPOSITORY, 1)
    assert caught.value.not_before == NOON + timedelta(seconds=7)


def test_a_refused_token_is_a_refused_credential(tea: Gitea) -> None:
    tea.secrets[0] = "a-token-that-was-revoked"
    with pytest.raises(CredentialRefused) as caught:
        tea.client.reader(tea.location()).changed(NOON, None)
    assert "a-token-that-was-revoked" not in str(caught.value)


def test_a_check_of_an_address_that_is_no_giteas_says_so(tea: Gitea) -> None:
    say(tea, 404, {"message": "Not Found"})
    with pytest.raises(ItemUnreadable, match="404"):
        tea.client.check()


@pytest.mark.parametrize("status", [403, 404])
def test_a_repository_that_may_not_be_seen_is_an_unreadable_item_and_not_an_empty_one(
    tea: Gitea, status: int
) -> None:
    say(tea, status, {"message": "The target couldn't be found."})
    reader = tea.client.reader(tea.location())
    with pytest.raises(ItemUnreadable, match="credential's owner"):
        reader.changed(NOON, None)
    with pytest.raises(ItemUnreadable):
        reader.requests([1])
    assert reader.checks(["c" * 40]) == {}


def test_an_answer_of_another_type_is_never_an_empty_list(tea: Gitea) -> None:
    say(tea, 200, {"message": "no list"})
    with pytest.raises(ConnectionDown):
        tea.client.reader(tea.location()).changed(NOON, None)


def test_one_pull_request_that_is_not_understood_is_kept_raw_and_its_siblings_are_read(tea: Gitea) -> None:
    for name in ("feature/a", "feature/b"):
        tea.world.open(name)
    bad = tea.server.shown(tea.world.requests[1]) | {"head": "main"}
    say(tea, 200, bad, to="/pulls/1")
    read = tea.client.reader(tea.location()).requests([1, 2])
    assert [state.number for state in read.states] == [2]
    assert list(read.missing) == [1]
    assert len(read.letters) == 1


def test_a_comment_that_is_not_understood_makes_the_comments_incomplete(tea: Gitea) -> None:
    request = tea.world.open("feature/a")
    tea.world.comment(request, "good")
    say(tea, 200, [tea.server.comment(request.comments[0]), {"id": "x"}], to="/comments")
    [state] = tea.client.reader(tea.location()).requests([1]).states
    assert [comment.text for comment in state.comments] == ["good"]
    assert not state.comments_complete


def test_comments_on_lines_and_texts_of_reviews_are_comments(tea: Gitea) -> None:
    request = tea.world.open("feature/a")
    review = tea.world.review(request, "lead", "commented", "As a whole")
    tea.world.comment(request, "On a line", "lead", line=review.id)
    tea.world.comment(request, "Below")
    [state] = tea.client.reader(tea.location()).requests([1]).states
    assert sorted(comment.text for comment in state.comments) == ["As a whole", "Below", "On a line"]


def test_only_official_reviews_may_approve_and_dismissed_ones_say_so(tea: Gitea) -> None:
    request = tea.world.open("feature/a")
    tea.world.review(request, "lead", "approved").is_official = False
    tea.world.review(request, "guest", "approved").is_dismissed = True
    [state] = tea.client.reader(tea.location()).requests([1]).states
    found = {one.user.id: (one.state, one.may_approve, one.head) for one in state.approvals}
    head = tea.world.head(request)
    assert found == {"lead": ("approved", False, head), "guest": ("dismissed", True, head)}


@pytest.mark.parametrize(
    ("status", "state"),
    {
        "pending": CheckState.PENDING,
        "success": CheckState.SUCCESS,
        "error": CheckState.FAILURE,
        "failure": CheckState.FAILURE,
        "warning": CheckState.NEUTRAL,
        "skipped": CheckState.SKIPPED,
        "a state of next year": CheckState.PENDING,
    }.items(),
)
def test_every_state_of_a_status_is_one_of_ours_and_only_success_is_a_success(
    tea: Gitea, status: str, state: CheckState
) -> None:
    tea.world.report("c" * 40, "unit", status)
    assert tea.client.reader(tea.location()).checks(["c" * 40])["c" * 40]["unit"].state is state


def test_a_commit_without_statuses_has_no_checks(tea: Gitea) -> None:
    assert tea.client.reader(tea.location()).checks(["c" * 40]) == {"c" * 40: {}}


@pytest.mark.parametrize(
    ("status", "said", "state"),
    [
        (403, "User not allowed to merge PR", "refused"),
        (405, "Not all required status checks successful", "refused"),
        (409, "head out of date", "moved"),
        (422, "invalid", "refused"),
        (423, "repository is archived", "refused"),
    ],
)
def test_a_merge_that_is_refused_says_why(tea: Gitea, status: int, said: str, state: str) -> None:
    request = tea.world.open("feature/a")
    say(tea, status, {"message": said}, to="/merge")
    asked = {"head": tea.world.head(request), "method": "merge", "message": "m"}
    merged = tea.client.merge_request(REPOSITORY, 1, **asked)
    assert merged.state == state
    assert merged.reason


def test_a_merge_whose_answer_was_lost_is_found_done(tea: Gitea) -> None:
    request = tea.world.open("feature/a")
    asked = {"head": tea.world.head(request), "method": "merge", "message": "m"}
    tea.http.fault = lambda request: "lost" if request.method == "POST" else None
    with pytest.raises(ConnectionDown):
        tea.client.merge_request(REPOSITORY, 1, **asked)
    assert tea.client.merge_request(REPOSITORY, 1, **asked).state == "contained"


def test_labels_are_known_by_their_names_and_a_missing_one_is_named(tea: Gitea) -> None:
    wanted = NewRequest(REPOSITORY, "main", "qa", "t", "b", labels=("urgent",), reviewers=("lead",))
    with pytest.raises(ActionFailed, match="loud"):
        tea.client.open_request(replace(wanted, labels=("urgent", "loud")))
    tea.client.open_request(wanted)
    posted = [call for call in tea.http.calls if call.method == "POST"]
    assert posted[0].body["labels"] == [11]
    assert posted[1].body == {"reviewers": ["lead"]}


def test_a_workflow_that_is_not_there_is_explained(tea: Gitea) -> None:
    tea.server.has_actions = False
    with pytest.raises(ActionFailed, match=r"Gitea 1\.23"):
        tea.client.dispatch(REPOSITORY, workflow="deploy.yml", ref="qa", inputs={}, key="k")


def test_a_server_that_does_not_say_what_a_dispatch_became_has_its_run_found_by_the_key(tea: Gitea) -> None:
    tea.server.tells_runs = False
    asked = {"workflow": "deploy.yml", "ref": "qa", "key": "dct-17"}
    assert tea.client.dispatch(REPOSITORY, inputs={}, **asked) is None
    assert tea.client.find_run(REPOSITORY, **asked) is not None


def test_the_check_names_account_scopes_release_and_clock(tea: Gitea) -> None:
    findings = tea.client.check()
    assert all(finding.is_ok for finding in findings)
    assert {finding.what for finding in findings} == {"account", "permissions", "release", "clock"}
    tea.server.scopes = {"repository"}
    bad = [finding.said for finding in tea.client.check() if not finding.is_ok]
    assert len(bad) == 1
    assert "read:issue" in bad[0]


def test_a_look_tells_what_is_there(tea: Gitea) -> None:
    tea.world.open("feature/a", title="Pay by card")
    assert "may push" in tea.client.look(ItemKind.GIT_REPOSITORY, tea.location(), {})
    assert "Pay by card" in tea.client.look(ItemKind.PULL_REQUEST, tea.location("pulls", 1), {})
    with pytest.raises(ItemUnreadable):
        tea.client.look(ItemKind.PULL_REQUEST, tea.location("pulls", 9), {})


def test_a_server_below_a_path_is_asked_below_it() -> None:
    with gitea(root="/git") as tea:
        tea.world.open("feature/a")
        assert tea.client.reader(tea.location()).changed(NOON, None).entries[0].number == 1
        assert tea.client.repository_ref(tea.location()).url == f"{tea.base}/acme/shop.git"


def test_a_list_that_grew_shorter_while_it_was_read_is_read_again() -> None:
    with gitea(page_size=3) as tea:
        for number in range(7):
            tea.world.open(f"feature/{number}")
        reader = tea.client.reader(tea.location())
        first = reader.open(None)
        tea.world.close(tea.world.requests[1])
        found, cursor = {entry.number for entry in first.entries}, first.cursor
        while cursor:
            listing = reader.open(cursor)
            found |= {entry.number for entry in listing.entries}
            cursor = listing.cursor
        assert found == set(range(1, 8))
