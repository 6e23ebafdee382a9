"""GitLab's client on answers in the documented shape, and on everything else that a server may say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dct_pipelines.clients.gitlab.client import GitLabClient
from dct_pipelines.clients.gitlab.shapes import Status
from dct_pipelines.clients.gitlab.words import check_state
from dct_pipelines.domain.connected import CredentialEnd
from dct_pipelines.domain.errors import (
    ActionFailed,
    ActionInterrupted,
    ConnectionDown,
    CredentialRefused,
    DctError,
    ItemUnreadable,
    Throttled,
)
from dct_pipelines.domain.hosting.port import NewRequest
from dct_pipelines.domain.words import CheckState, ItemKind
from tests.fakes.gitlab_server import GitLabServer
from tests.fakes.hosted_world import REPOSITORY
from tests.fakes.ports import NOON
from tests.fakes.rest_http import Answered
from tests.support.hosted import FAULTS, Hosted, gitlab, say

GitLab = Hosted[GitLabServer, GitLabClient]


@pytest.fixture
def lab() -> Iterator[GitLab]:
    with gitlab() as hosted:
        yield hosted


@pytest.mark.parametrize(("fault", "error"), FAULTS)
def test_what_passes_is_a_transient_error_of_the_connection(
    lab: GitLab, fault: str, error: type[DctError]
) -> None:
    lab.http.fault = lambda _asked: fault
    for call in (
        lambda: lab.client.reader(lab.location()).changed(NOON, None),
        lambda: lab.client.request(REPOSITORY, 1),
        lambda: lab.client.reader(lab.location()).checks(["c" * 40]),
    ):
        with pytest.raises(error) as caught:
            call()
        assert caught.value.transient


def test_throttling_waits_exactly_as_told(lab: GitLab) -> None:
    lab.http.fault = lambda _asked: "429"
    with pytest.raises(Throttled) as caught:
        lab.client.request(REPOSITORY, 1)
    assert caught.value.not_before == NOON + timedelta(seconds=7)


def test_a_refused_token_is_a_refused_credential(lab: GitLab) -> None:
    lab.secrets[0] = "glpat-revoked"
    with pytest.raises(CredentialRefused) as caught:
        lab.client.reader(lab.location()).changed(NOON, None)
    assert "glpat-revoked" not in str(caught.value)


@pytest.mark.parametrize("status", [403, 404])
def test_a_project_that_may_not_be_seen_is_an_unreadable_item_and_not_an_empty_one(
    lab: GitLab, status: int
) -> None:
    say(lab, status, {"message": f"{status} Project"})
    reader = lab.client.reader(lab.location())
    with pytest.raises(ItemUnreadable, match="credential's owner"):
        reader.changed(NOON, None)
    with pytest.raises(ItemUnreadable):
        reader.requests([1])
    assert reader.checks(["c" * 40]) == {}


def test_an_answer_of_another_type_is_never_an_empty_list(lab: GitLab) -> None:
    say(lab, 200, {"message": "no list"})
    with pytest.raises(ConnectionDown):
        lab.client.reader(lab.location()).changed(NOON, None)


def test_one_merge_request_that_is_not_understood_is_kept_raw_and_its_siblings_are_read(lab: GitLab) -> None:
    for name in ("feature/a", "feature/b"):
        lab.world.open(name)
    shown = [lab.server.shown(request) for request in lab.world.requests.values()]
    shown[0]["created_at"] = ["yesterday"]
    say(lab, 200, shown, to="/merge_requests")
    listing = lab.client.reader(lab.location()).changed(NOON, None)
    assert [entry.number for entry in listing.entries] == [2]
    assert [letter.why for letter in listing.letters] != []
    assert "yesterday" in listing.letters[0].raw


def test_a_note_that_is_not_understood_makes_the_comments_incomplete(lab: GitLab) -> None:
    request = lab.world.open("feature/a")
    lab.world.comment(request, "good")
    bad = {"id": "seventeen", "body": 17}
    say(lab, 200, [lab.server.note(request.comments[0]), bad], to="/notes")
    read = lab.client.reader(lab.location()).requests([1])
    assert [comment.text for comment in read.states[0].comments] == ["good"]
    assert not read.states[0].comments_complete
    assert len(read.letters) == 1


def test_a_missing_merge_request_is_named_and_not_taken_for_gone(lab: GitLab) -> None:
    lab.world.open("feature/a")
    read = lab.client.reader(lab.location()).requests([1, 9])
    assert [state.number for state in read.states] == [1]
    assert list(read.missing) == [9]


def test_approvals_hold_for_the_head_that_stood_when_they_were_given(lab: GitLab) -> None:
    request = lab.world.open("feature/a")
    lab.clock.advance(seconds=5)
    lab.world.review(request, "lead", "approved")
    seen = lab.world.head(request)
    lab.clock.advance(seconds=5)
    now = lab.world.push(request, "more\n")
    lab.clock.advance(seconds=5)
    lab.world.review(request, "guest", "approved")
    [state] = lab.client.reader(lab.location()).requests([1]).states
    assert {one.user.id: one.head for one in state.approvals} == {"lead": seen, "guest": now}


def test_an_approval_of_unknown_time_counts_only_where_nothing_was_pushed_since(lab: GitLab) -> None:
    lab.server.tells_approval_time = False
    request = lab.world.open("feature/a")
    lab.clock.advance(seconds=5)
    lab.world.review(request, "lead", "approved")
    reader = lab.client.reader(lab.location())
    assert [one.head for one in reader.requests([1]).states[0].approvals] == [lab.world.head(request)]
    lab.clock.advance(seconds=5)
    lab.world.push(request, "more\n")
    assert [one.head for one in reader.requests([1]).states[0].approvals] == [""]


def test_system_notes_are_no_comments(lab: GitLab) -> None:
    request = lab.world.open("feature/a")
    lab.world.comment(request, "approved this merge request", "lead", system=True)
    assert lab.client.reader(lab.location()).requests([1]).states[0].comments == ()


def test_a_title_is_told_without_what_makes_a_draft(lab: GitLab) -> None:
    lab.world.draft(lab.world.open("feature/a", title="Pay"), True)
    [state] = lab.client.reader(lab.location()).requests([1]).states
    assert (state.title, state.is_draft) == ("Pay", True)


STATUSES = {
    "pending": CheckState.PENDING,
    "running": CheckState.PENDING,
    "manual": CheckState.PENDING,
    "success": CheckState.SUCCESS,
    "failed": CheckState.FAILURE,
    "canceled": CheckState.CANCELLED,
    "skipped": CheckState.SKIPPED,
    "a state of next year": CheckState.PENDING,
}


@pytest.mark.parametrize(("status", "state"), STATUSES.items())
def test_every_state_of_a_job_is_one_of_ours_and_only_success_is_a_success(
    lab: GitLab, status: str, state: CheckState
) -> None:
    lab.world.report("c" * 40, "unit", status)
    assert lab.client.reader(lab.location()).checks(["c" * 40])["c" * 40]["unit"].state is state


def test_a_job_that_may_fail_neither_passes_nor_stands_in_the_way(lab: GitLab) -> None:
    lab.world.report("c" * 40, "lint", "failed", allow_failure=True)
    lab.world.report("c" * 40, "deploy", "manual", allow_failure=True)
    checks = lab.client.reader(lab.location()).checks(["c" * 40])["c" * 40]
    assert {name: check.state for name, check in checks.items()} == {
        "lint": CheckState.NEUTRAL,
        "deploy": CheckState.SKIPPED,
    }


REFUSALS = [
    (401, {"message": "401 Unauthorized"}, "may not merge"),
    (403, {"message": "403 Forbidden"}, "may not merge"),
    (405, {"message": "405 Method Not Allowed"}, "not approved"),
    (406, {"message": "Branch cannot be merged"}, "not approved"),
    (422, {"message": "Branch cannot be merged"}, "not approved"),
]


@pytest.mark.parametrize(("status", "content", "reason"), REFUSALS)
def test_a_merge_that_is_refused_says_why(lab: GitLab, status: int, content: Any, reason: str) -> None:
    request = lab.world.open("feature/a")
    lab.server.mergeability = "not_approved"
    say(lab, status, content, method="PUT")
    merged = lab.client.merge_request(
        REPOSITORY, 1, head=lab.world.head(request), method="merge", message="m"
    )
    assert merged.state == "refused"
    assert reason in merged.reason


def test_a_merge_that_gitlab_is_still_looking_at_is_tried_again(lab: GitLab) -> None:
    request = lab.world.open("feature/a")
    lab.server.mergeability = "checking"
    with pytest.raises(ActionInterrupted):
        lab.client.merge_request(REPOSITORY, 1, head=lab.world.head(request), method="merge", message="m")


def test_a_merge_whose_answer_was_lost_is_found_done(lab: GitLab) -> None:
    request = lab.world.open("feature/a")
    asked = {"head": lab.world.head(request), "method": "merge", "message": "m"}
    lab.http.fault = lambda request: "lost" if request.method == "PUT" else None
    with pytest.raises(ConnectionDown):
        lab.client.merge_request(REPOSITORY, 1, **asked)
    assert lab.client.merge_request(REPOSITORY, 1, **asked).state == "contained"


def test_what_cannot_be_opened_says_what_gitlab_said(lab: GitLab) -> None:
    wanted = NewRequest(REPOSITORY, "feature/none", "qa", "t", "b")
    with pytest.raises(ActionFailed, match="does not exist"):
        lab.client.open_request(wanted)
    with pytest.raises(ActionFailed, match="no user"):
        lab.client.open_request(NewRequest(REPOSITORY, "main", "qa", "t", "b", reviewers=("nobody",)))


def test_the_check_names_account_scopes_release_clock_and_calls(lab: GitLab) -> None:
    found = {finding.what: finding for finding in lab.client.check()}
    assert all(finding.is_ok for finding in found.values())
    assert "dct" in found["account"].said
    assert "api" in found["permissions"].said
    assert found["release"].said == "18.4.1"
    assert "1999 of 2000" in found["calls"].said
    lab.server.scopes = ["read_user"]
    assert not {one.what: one.is_ok for one in lab.client.check()}["permissions"]


def test_a_look_tells_what_is_there(lab: GitLab) -> None:
    lab.world.open("feature/a", title="Pay by card")
    assert "acme/shop" in lab.client.look(ItemKind.GIT_REPOSITORY, lab.location(), {})
    there = lab.location("-", "merge_requests", 1)
    assert "Pay by card" in lab.client.look(ItemKind.PULL_REQUEST, there, {})
    with pytest.raises(ItemUnreadable):
        lab.client.look(ItemKind.PULL_REQUEST, lab.location("-", "merge_requests", 9), {})


def test_a_server_below_a_path_is_asked_below_it() -> None:
    with gitlab(root="/gitlab") as lab:
        lab.world.open("feature/a")
        assert lab.client.reader(lab.location()).changed(NOON, None).entries[0].number == 1
        assert lab.client.repository_ref(lab.location()).url == f"{lab.base}/acme/shop.git"
        assert lab.client.repository_ref(lab.location()).username == "oauth2"


def test_a_burst_over_many_pages_is_listed_whole_with_a_bounded_number_of_calls() -> None:
    with gitlab(page_size=3) as lab:
        for number in range(10):
            lab.world.open(f"feature/{number}")
        reader, cursor, found = lab.client.reader(lab.location()), None, list[int]()
        while True:
            listing = reader.changed(NOON, cursor)
            found += [entry.number for entry in listing.entries]
            cursor = listing.cursor
            if cursor is None:
                break
        assert sorted(set(found)) == list(range(1, 11))
        assert len(lab.http.calls) <= 6


def test_no_secret_is_in_an_address(lab: GitLab) -> None:
    lab.client.check()
    assert not [call for call in lab.http.calls if lab.secrets[0] in call.path + str(call.query)]


def test_a_list_whose_pages_repeat_is_no_endless_read(lab: GitLab) -> None:
    request = lab.world.open("feature/a")
    lab.world.comment(request, "one")
    again = Answered(200, [lab.server.note(request.comments[0])], {"x-next-page": "1"})
    lab.http.instead = lambda asked: again if asked.path.endswith("/notes") else None
    with pytest.raises(ConnectionDown, match="repeat"):
        lab.client.reader(lab.location()).requests([1])


def test_a_flag_that_is_null_is_not_set() -> None:
    status = {"id": 1, "name": "lint", "status": "failed", "allow_failure": None, "target_url": None}
    assert check_state(Status.model_validate(status)) is CheckState.FAILURE


def test_the_end_of_a_token_is_asked_when_due_or_renewed_and_an_oauth_token_has_none(lab: GitLab) -> None:
    assert lab.client.credential_end(is_due=False) is None
    assert lab.client.credential_end(is_due=True) == CredentialEnd(datetime(2027, 1, 31, tzinfo=UTC))
    say(lab, 401, {"message": "401 Unauthorized"}, to="personal_access_tokens")
    assert lab.client.credential_end(is_due=True) == CredentialEnd(None)
    lab.secrets[0] = "glpat-renewed"
    assert lab.client.credential_end(is_due=False) == CredentialEnd(None)
    assert lab.client.credential_end(is_due=False) is None
