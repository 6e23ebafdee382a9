"""Pull requests and merges, by REST.

https://docs.github.com/en/rest/pulls/pulls and https://docs.github.com/en/rest/branches/branches#merge-a-branch
"""

from __future__ import annotations

from typing import Any

from dct_pipelines.clients.answers import listed, parsed, refused_action
from dct_pipelines.clients.api import ApiRefusal
from dct_pipelines.clients.api_signs import said
from dct_pipelines.clients.github.api import GitHubApi
from dct_pipelines.clients.github.rest_shapes import Merged, Pull
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted
from dct_pipelines.domain.hosting.keys import marks_in
from dct_pipelines.domain.hosting.port import HostedRequest, HostMerge, NewRequest
from dct_pipelines.domain.matching import same_name, shown

METHODS = frozenset({"merge", "squash", "rebase"})
_EXISTS = "a pull request already exists"
_BASE_MOVED = "base branch was modified"


class GitHubRequests:
    """The part of the client that opens, finds and merges."""

    def __init__(self, api: GitHubApi) -> None:
        self._api = api

    def find_open_request(self, repository: str, source: str, target: str) -> HostedRequest | None:
        """The open pull request from that branch to that one; forks are other repositories."""
        pull = self._find(repository, source, target)
        return hosted(repository, pull) if pull else None

    def request(self, repository: str, number: int) -> HostedRequest:
        """One pull request."""
        return hosted(repository, self._pull(repository, number))

    def open_request(self, wanted: NewRequest) -> HostedRequest:
        """Open one, or take the one that is open; labels and reviewers are only given to one of ours."""
        pull = self._opened(wanted)
        if set(marks_in(wanted.body)) & set(marks_in(pull.body or "")) or wanted.body == (pull.body or ""):
            self._dress(wanted, pull.number)
        return hosted(wanted.repository, pull)

    def merge_request(
        self, repository: str, number: int, *, head: str, method: str, message: str
    ) -> HostMerge:
        """Merge it if its head is still that one. What was merged before is `contained`."""
        if method not in METHODS:
            raise ActionFailed(f"GitHub merges by {', '.join(sorted(METHODS))}, not by {shown(method)!r}")
        pull = self._pull(repository, number)
        if pull.merged_at is not None:
            return HostMerge("contained", pull.merge_commit_sha, "it was merged before")
        if pull.state != "open":
            return HostMerge("refused", reason=f"pull request {number} is closed")
        if pull.head.sha != head:
            return HostMerge("moved", reason=f"its head is {pull.head.sha[:8]} now, not {head[:8]}")
        if pull.mergeable is False:
            return HostMerge("conflict", reason=f"{pull.head.ref} conflicts with {pull.base.ref}")
        title, _, text = message.strip().partition("\n")
        body: dict[str, Any] = {"sha": head, "merge_method": method}
        if method != "rebase" and title:
            body |= {"commit_title": title, "commit_message": text.strip()}
        with refused_action(f"pull request {number} of {repository} cannot be merged"):
            path = self._api.repository(repository, "pulls", number, "merge")
            answer = self._api.call("PUT", path, json=body, accept=(405, 409, 422))
        words = said(answer.body).strip(" ()")
        if answer.status == 409 and _BASE_MOVED in words.casefold():
            raise ActionInterrupted(f"pull request {number}: {pull.base.ref} moved meanwhile; tried again")
        if answer.status == 409:
            return HostMerge("moved", reason=words)
        if answer.status in (405, 422):
            return HostMerge("refused", reason=words)
        return HostMerge("merged", parsed(Merged, answer.body, "the merge").sha)

    def merge_branches(self, repository: str, *, source: str, target: str, message: str) -> HostMerge:
        """Merge a branch or commit into a branch."""
        body = {"base": target, "head": source, "commit_message": message}
        with refused_action(f"{shown(source)} cannot be merged into {shown(target)} of {repository}"):
            path = self._api.repository(repository, "merges")
            answer = self._api.call("POST", path, json=body, accept=(403, 404, 409, 422))
        words = said(answer.body).strip(" ()")
        if answer.status == 409:
            return HostMerge("conflict", reason=words)
        if answer.status in (403, 404, 422):
            return HostMerge("refused", reason=words)
        if answer.status == 204:
            return HostMerge("contained", reason="the target contains it already")
        return HostMerge("merged", parsed(Merged, answer.body, "the merge").sha)

    def _opened(self, wanted: NewRequest) -> Pull:
        what = f"a pull request from {shown(wanted.source)} to {shown(wanted.target)} cannot be opened"
        body = {
            "title": wanted.title,
            "head": wanted.source,
            "base": wanted.target,
            "body": wanted.body,
            "draft": wanted.is_draft,
        }
        with refused_action(what):
            try:
                path = self._api.repository(wanted.repository, "pulls")
                return parsed(Pull, self._api.call("POST", path, json=body).body, what)
            except ApiRefusal as refusal:
                if refusal.status != 422 or _EXISTS not in said(refusal.body).casefold():
                    raise
                pull = self._find(wanted.repository, wanted.source, wanted.target)
                if pull is None:
                    raise
                return pull

    def _dress(self, wanted: NewRequest, number: int) -> None:
        """Labels and reviewers; giving them again changes nothing."""
        if wanted.labels:
            with refused_action(f"pull request {number} was opened, but cannot be labelled"):
                path = self._api.repository(wanted.repository, "issues", number, "labels")
                self._api.call("POST", path, json={"labels": list(wanted.labels)})
        if wanted.reviewers:
            teams = [name.rpartition("/")[2] for name in wanted.reviewers if "/" in name]
            people = [name for name in wanted.reviewers if "/" not in name]
            with refused_action(f"pull request {number} was opened, but these cannot be asked to review it"):
                path = self._api.repository(wanted.repository, "pulls", number, "requested_reviewers")
                self._api.call("POST", path, json={"reviewers": people, "team_reviewers": teams})

    def _find(self, repository: str, source: str, target: str) -> Pull | None:
        owner = repository.partition("/")[0]
        query = {"state": "open", "head": f"{owner}:{source}", "base": target, "per_page": "100"}
        what = f"pull requests of {repository}"
        with refused_action(f"{what} cannot be listed"):
            answer = self._api.call("GET", self._api.repository(repository, "pulls"), query=query)
        for element in listed(answer.body, what):
            pull = parsed(Pull, element, what)
            is_here = pull.head.repo is not None and same_name(repository, pull.head.repo.full_name)
            if is_here and pull.state == "open" and (pull.head.ref, pull.base.ref) == (source, target):
                return pull
        return None

    def _pull(self, repository: str, number: int) -> Pull:
        what = f"pull request {number} of {repository}"
        with refused_action(f"{what} cannot be read"):
            path = self._api.repository(repository, "pulls", number)
            return parsed(Pull, self._api.call("GET", path).body, what)


def hosted(repository: str, pull: Pull) -> HostedRequest:
    """As we say it."""
    return HostedRequest(
        repository=repository,
        number=pull.number,
        title=pull.title,
        source=pull.head.ref,
        target=pull.base.ref,
        head=pull.head.sha,
        is_open=pull.state == "open",
        is_draft=pull.draft,
        is_merged=pull.merged_at is not None,
        url=pull.html_url,
    )
