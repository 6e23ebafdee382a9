"""Merge requests, as actions use them: find, open, merge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dct_pipelines.clients.answers import listed, parsed, refused_action, sorted_out
from dct_pipelines.clients.api import ApiAnswer
from dct_pipelines.clients.api_signs import said
from dct_pipelines.clients.gitlab.api import GitLabApi
from dct_pipelines.clients.gitlab.notes import bare_title
from dct_pipelines.clients.gitlab.shapes import MergeRequest, User
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted
from dct_pipelines.domain.hosting.port import HostedRequest, HostMerge, NewRequest
from dct_pipelines.domain.matching import shown

_EXISTS = 409
_MOVED = 409
_MERGE_REFUSALS = (401, 403, 405, 406, 409, 422)
"""GitLab says 401 to somebody who may not merge, also when the token is good.

Source: https://docs.gitlab.com/api/merge_requests/#merge-a-merge-request
"""
_NOT_SETTLED = frozenset({"unchecked", "checking", "preparing", "approvals_syncing"})
"""GitLab is still finding out whether it can be merged."""
NO_BRANCH_MERGE = (
    "GitLab has no call that merges one branch into another; let merge_branches merge by git, or open a "
    "merge request with create_pull_request and merge that"
)


class GitLabRequests:
    """The part of the code host that is about merge requests."""

    def __init__(self, api: GitLabApi) -> None:
        self._api = api

    def find_open_request(self, repository: str, source: str, target: str) -> HostedRequest | None:
        """The open merge request from that branch to that one, both of the project itself."""
        query = {"state": "opened", "source_branch": source, "target_branch": target, "scope": "all"}
        what = f"looking for a merge request from {shown(source)} to {shown(target)}"
        with refused_action(what):
            body = self._api.call("GET", self._path(repository), query=query).body
        found, _ = sorted_out(MergeRequest, listed(body, what), what)
        own = [request for request in found if not request.is_from_fork]
        return _hosted(repository, own[0]) if own else None

    def request(self, repository: str, number: int) -> HostedRequest:
        """One merge request."""
        return _hosted(repository, self._read(repository, number))

    def open_request(self, wanted: NewRequest) -> HostedRequest:
        """Open one; when GitLab says 409 because there is one, that one."""
        what = f"opening a merge request from {shown(wanted.source)} to {shown(wanted.target)}"
        reviewers = [self._user_id(name) for name in wanted.reviewers]
        asked: dict[str, Any] = {
            "source_branch": wanted.source,
            "target_branch": wanted.target,
            "title": f"Draft: {wanted.title}" if wanted.is_draft else wanted.title,
            "description": wanted.body,
        }
        if wanted.labels:
            asked["labels"] = ",".join(wanted.labels)
        if reviewers:
            asked["reviewer_ids"] = reviewers
        with refused_action(what):
            answer = self._api.call("POST", self._path(wanted.repository), json=asked, accept={_EXISTS})
        if answer.status != _EXISTS:
            return _hosted(wanted.repository, parsed(MergeRequest, answer.body, what))
        found = self.find_open_request(wanted.repository, wanted.source, wanted.target)
        if found is None:
            raise ActionFailed(f"{what}: GitLab refused it{said(answer.body)}")
        return found

    def merge_request(
        self, repository: str, number: int, *, head: str, method: str, message: str
    ) -> HostMerge:
        """Merge if the head is still `head`; whether that makes a merge commit is the project's setting."""
        if method == "rebase":
            return HostMerge("refused", reason="GitLab rebases by its project's merge method; ask for merge")
        now = self._read(repository, number)
        if now.is_merged:
            return HostMerge("contained", _merged_as(now), "it is merged already")
        if not now.is_open:
            return HostMerge("refused", reason=f"merge request {number} is {now.state}")
        asked: dict[str, Any] = {"sha": head, "squash": method == "squash"}
        if message:
            asked["squash_commit_message" if method == "squash" else "merge_commit_message"] = message
        what = f"merging merge request {number}"
        with refused_action(what):
            path = self._path(repository, number, "merge")
            answer = self._api.call("PUT", path, json=asked, accept=_MERGE_REFUSALS)
        if answer.status in _MERGE_REFUSALS:
            return self._refusal(repository, number, head, answer)
        merged = parsed(MergeRequest, answer.body, what)
        if not merged.is_merged:
            raise ActionInterrupted(f"{what}: GitLab has taken it in hand but not merged it yet")
        return HostMerge("merged", _merged_as(merged))

    def merge_branches(self, repository: str, *, source: str, target: str, message: str) -> HostMerge:
        """Always refused; the reason says what to do instead."""
        return HostMerge("refused", reason=NO_BRANCH_MERGE)

    def _refusal(self, repository: str, number: int, head: str, answer: ApiAnswer) -> HostMerge:
        """What a refused merge means, by how the merge request stands after it."""
        now = self._read(repository, number)
        if now.is_merged:
            return HostMerge("contained", _merged_as(now), "it is merged already")
        if now.sha != head or answer.status == _MOVED:
            return HostMerge("moved", reason=f"the head is {now.sha[:8] or 'not known yet'}, not {head[:8]}")
        if now.has_conflicts or now.detailed_merge_status == "conflict":
            return HostMerge("conflict", reason=f"{shown(now.source_branch)} conflicts with its target")
        if answer.status in (401, 403):
            return HostMerge("refused", reason="the credential's owner may not merge into that branch")
        if now.detailed_merge_status in _NOT_SETTLED:
            raise ActionInterrupted("GitLab is still finding out whether it can be merged; it is tried again")
        status = now.detailed_merge_status.replace("_", " ") or "not mergeable"
        return HostMerge("refused", reason=f"GitLab says: {status}{said(answer.body)}")

    def _read(self, repository: str, number: int) -> MergeRequest:
        what = f"merge request {number} of {shown(repository)}"
        with refused_action(what):
            return parsed(MergeRequest, self._api.call("GET", self._path(repository, number)).body, what)

    def _user_id(self, name: str) -> int:
        with refused_action(f"looking for the user {shown(name)}"):
            body = self._api.call("GET", "users", query={"username": name}).body
        users: Sequence[User] = sorted_out(User, listed(body, "users"), "users")[0]
        if not users:
            raise ActionFailed(f"GitLab knows no user {shown(name)}; give the user name as in their profile")
        return users[0].id

    def _path(self, repository: str, *parts: str | int) -> str:
        return self._api.project(repository, "merge_requests", *parts)


def _merged_as(request: MergeRequest) -> str:
    """The commit that brought it in; the head itself when it was fast-forwarded."""
    return request.merge_commit_sha or request.squash_commit_sha or request.sha


def _hosted(repository: str, request: MergeRequest) -> HostedRequest:
    return HostedRequest(
        repository=repository,
        number=request.iid,
        title=bare_title(request.title),
        source=request.source_branch,
        target=request.target_branch,
        head=request.sha,
        is_open=request.is_open,
        is_draft=request.draft,
        is_merged=request.is_merged,
        url=request.web_url,
    )
