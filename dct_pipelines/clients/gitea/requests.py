"""Pull requests, as actions use them: find, open, merge."""

from __future__ import annotations

from typing import Any

from dct_pipelines.clients.answers import parsed, refused_action, sorted_out
from dct_pipelines.clients.api import ApiAnswer
from dct_pipelines.clients.api_signs import said
from dct_pipelines.clients.gitea.api import MOST_PAGES, GiteaApi
from dct_pipelines.clients.gitea.shapes import Label, PullRequest
from dct_pipelines.domain.errors import ActionFailed
from dct_pipelines.domain.hosting.port import HostedRequest, HostMerge, NewRequest
from dct_pipelines.domain.matching import shown

_DRAFT = "WIP: "
"""Makes a draft of a pull request, at the beginning of its title."""
_EXISTS = 409
_MERGE_REFUSALS = (403, 405, 409, 422, 423)
_METHODS = {"merge": "merge", "squash": "squash", "rebase": "rebase"}
NO_BRANCH_MERGE = (
    "Gitea has no call that merges one branch into another; let merge_branches merge by git, or open a pull "
    "request with create_pull_request and merge that"
)


class GiteaRequests:
    """The part of the code host that is about pull requests."""

    def __init__(self, api: GiteaApi) -> None:
        self._api = api

    def find_open_request(self, repository: str, source: str, target: str) -> HostedRequest | None:
        """The open pull request from that branch to that one, both of the repository itself."""
        path = self._api.repository(repository, "pulls")
        what = f"looking for a pull request from {shown(source)} to {shown(target)}"
        query = {"state": "open", "sort": "recentupdate", "base_branch": target}
        for page in range(1, MOST_PAGES + 1):
            with refused_action(what):
                elements, more, _ = self._api.page(path, page, query)
            for found in sorted_out(PullRequest, elements, what)[0]:
                if (found.head.ref, found.base.ref) == (source, target) and not found.is_from_fork:
                    return _hosted(repository, found)
            if not more:
                break
        return None

    def request(self, repository: str, number: int) -> HostedRequest:
        """One pull request."""
        return _hosted(repository, self._read(repository, number))

    def open_request(self, wanted: NewRequest) -> HostedRequest:
        """Open one; when Gitea says 409 because there is one, that one."""
        what = f"opening a pull request from {shown(wanted.source)} to {shown(wanted.target)}"
        path = self._api.repository(wanted.repository, "pulls")
        asked: dict[str, Any] = {
            "head": wanted.source,
            "base": wanted.target,
            "title": f"{_DRAFT}{wanted.title}" if wanted.is_draft else wanted.title,
            "body": wanted.body,
        }
        if wanted.labels:
            asked["labels"] = self._label_ids(wanted.repository, wanted.labels)
        with refused_action(what):
            answer = self._api.call("POST", path, json=asked, accept={_EXISTS})
        opened: HostedRequest | None
        if answer.status == _EXISTS:
            opened = self.find_open_request(wanted.repository, wanted.source, wanted.target)
        else:
            opened = _hosted(wanted.repository, parsed(PullRequest, answer.body, what))
        if opened is None:
            raise ActionFailed(f"{what}: Gitea refused it{said(answer.body)}")
        if wanted.reviewers:
            with refused_action(f"asking for reviews of pull request {opened.number}"):
                reviewers = {"reviewers": list(wanted.reviewers)}
                self._api.call("POST", f"{path}/{opened.number}/requested_reviewers", json=reviewers)
        return opened

    def merge_request(
        self, repository: str, number: int, *, head: str, method: str, message: str
    ) -> HostMerge:
        """Merge if the head is still `head`."""
        now = self._read(repository, number)
        if now.merged:
            return HostMerge("contained", now.merge_commit_sha or None, "it is merged already")
        if not now.is_open:
            return HostMerge("refused", reason=f"pull request {number} is {now.state}")
        asked: dict[str, Any] = {"Do": _METHODS.get(method, "merge"), "head_commit_id": head}
        if message:
            title, _, rest = message.partition("\n")
            asked |= {"MergeTitleField": title, "MergeMessageField": rest.strip()}
        path = self._api.repository(repository, "pulls", number, "merge")
        with refused_action(f"merging pull request {number}"):
            answer = self._api.call("POST", path, json=asked, accept=_MERGE_REFUSALS)
        after = self._read(repository, number)
        if answer.status in _MERGE_REFUSALS:
            return _refusal(after, head, answer)
        return HostMerge("merged", after.merge_commit_sha or None)

    def merge_branches(self, repository: str, *, source: str, target: str, message: str) -> HostMerge:
        """Always refused; the reason says what to do instead."""
        return HostMerge("refused", reason=NO_BRANCH_MERGE)

    def _read(self, repository: str, number: int) -> PullRequest:
        what = f"pull request {number} of {shown(repository)}"
        with refused_action(what):
            body = self._api.call("GET", self._api.repository(repository, "pulls", number)).body
        return parsed(PullRequest, body, what)

    def _label_ids(self, repository: str, wanted: tuple[str, ...]) -> list[int]:
        """Labels of the repository, then of its organization, by their names."""
        with refused_action("looking for labels"):
            elements, _ = self._api.all_of(self._api.repository(repository, "labels"))
        known = {label.name.casefold(): label.id for label in sorted_out(Label, elements, "labels")[0]}
        missing = [name for name in wanted if name.casefold() not in known]
        if missing:
            raise ActionFailed(
                f"{shown(repository)} has no label {', '.join(map(shown, missing))}; make it there first"
            )
        return [known[name.casefold()] for name in wanted]


def _refusal(now: PullRequest, head: str, answer: ApiAnswer) -> HostMerge:
    """What a refused merge means, by how the pull request stands after it."""
    if now.merged:
        return HostMerge("contained", now.merge_commit_sha or None, "it is merged already")
    if now.head.sha != head or "out of date" in answer.text:
        return HostMerge("moved", reason=f"the head is {now.head.sha[:8]}, not {head[:8]}")
    if answer.status in (403, 423):
        return HostMerge("refused", reason=f"the credential's owner may not merge it{said(answer.body)}")
    if now.is_draft:
        return HostMerge("refused", reason="it is a draft")
    if not now.mergeable:
        where = f"; look at {now.html_url}" if now.html_url else ""
        return HostMerge("conflict", reason=f"it conflicts with {shown(now.base.ref)}{where}")
    return HostMerge("refused", reason=f"Gitea does not merge it{said(answer.body)}")


def _hosted(repository: str, request: PullRequest) -> HostedRequest:
    return HostedRequest(
        repository=repository,
        number=request.number,
        title=request.title.removeprefix(_DRAFT),
        source=request.head.ref,
        target=request.base.ref,
        head=request.head.sha,
        is_open=request.is_open,
        is_draft=request.is_draft,
        is_merged=request.merged,
        url=request.html_url,
    )
