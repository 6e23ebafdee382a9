"""One project of GitLab, as the listener reads it. The calls that each read costs are in docs/reference."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel

from dct_pipelines.clients.answers import listed, refused_item, sorted_out, understood
from dct_pipelines.clients.api import ApiRefusal
from dct_pipelines.clients.gitlab import notes as notes_of
from dct_pipelines.clients.gitlab.api import GitLabApi
from dct_pipelines.clients.gitlab.approvals import opinions
from dct_pipelines.clients.gitlab.lists import page_of
from dct_pipelines.clients.gitlab.shapes import Approvals, MergeRequest, Note, Reviewer, Status, Version
from dct_pipelines.clients.gitlab.words import check_state
from dct_pipelines.domain.errors import PayloadUnreadable
from dct_pipelines.domain.facts import Approval, Person
from dct_pipelines.domain.hosting.people import stamp
from dct_pipelines.domain.hosting.reader import HostedCheck, HostedState, Listing, Requests
from dct_pipelines.domain.listener import DeadLetter

_GONE = (403, 404)
_MISSING = "it is gone, or the credential's owner may not see it"
S = TypeVar("S", bound=BaseModel)


class GitLabReader:
    """Reads merge requests and checks of one project."""

    def __init__(self, api: GitLabApi, repository: str) -> None:
        self._api = api
        self._repository = repository

    def changed(self, since: datetime, cursor: str | None) -> Listing:
        """Merge requests updated at or after `since`."""
        return page_of(self._api, self._repository, "all", "updated_at", since, cursor)

    def open(self, cursor: str | None) -> Listing:
        """Open merge requests, the oldest first."""
        return page_of(self._api, self._repository, "opened", "created_at", None, cursor)

    def requests(self, numbers: Sequence[int]) -> Requests:
        """These merge requests: one call for all of them, and two to four more for each."""
        what = f"merge requests of {self._repository}"
        query = [("iids[]", str(number)) for number in numbers]
        query += [("state", "all"), ("scope", "all"), ("per_page", "100")]
        with refused_item(what):
            body = self._api.call("GET", self._path(), query=query).body
        found, letters = sorted_out(MergeRequest, listed(body, f"{self._api.name}: {what}"), what)
        states: list[HostedState] = []
        missing = dict.fromkeys(set(numbers) - {request.iid for request in found}, _MISSING)
        for request in found:
            try:
                states.append(self._whole(request, letters))
            except (ApiRefusal, PayloadUnreadable) as fault:
                missing[request.iid] = str(fault)
        return Requests(tuple(states), missing, tuple(letters))

    def checks(self, commits: Collection[str]) -> Mapping[str, Mapping[str, HostedCheck]]:
        """The statuses of each commit: jobs of its pipelines, and what others reported."""
        known = {}
        for commit in filter(None, commits):
            path = self._api.project(self._repository, "repository", "commits", commit, "statuses")
            try:
                elements = self._api.all_of(path)
            except PayloadUnreadable:
                continue
            except ApiRefusal as refusal:
                if refusal.status in _GONE:
                    continue
                raise
            known[commit] = _latest(sorted_out(Status, elements, "statuses")[0])
        return known

    def _whole(self, request: MergeRequest, letters: list[DeadLetter]) -> HostedState:
        notes, complete = self._notes(request, letters)
        title = notes_of.bare_title(request.title)
        retitlings = notes_of.retitlings_of(notes)
        return HostedState(
            number=request.iid,
            title=title,
            description=request.description,
            source=request.source_branch,
            target=request.target_branch,
            head=request.sha,
            is_open=request.is_open,
            is_draft=request.draft,
            is_merged=request.is_merged,
            is_from_fork=request.is_from_fork,
            url=request.web_url,
            author=request.author.person if request.author else Person(),
            created_at=request.created_at,
            updated=stamp(request.updated_at),
            updated_at=request.updated_at,
            approvals=self._approvals(request, notes, letters),
            comments=notes_of.comments_of(notes, request),
            comments_complete=complete,
            retitlings=retitlings if notes_of.is_told_whole(retitlings, title) else None,
            retitled=len(retitlings),
        )

    def _approvals(
        self, request: MergeRequest, notes: Sequence[Note], letters: list[DeadLetter]
    ) -> tuple[Approval, ...]:
        """Who approved which head. The pushes are only read where somebody approved."""
        path, what = self._path(request.iid), f"merge request {request.iid}"
        body = self._api.call("GET", f"{path}/approvals").body
        given = understood(Approvals, body, f"approvals of {what}", letters).approved_by
        reviewers, versions = [], []
        if request.reviewers:
            elements = self._api.all_of(f"{path}/reviewers")
            reviewers = _understood(Reviewer, elements, f"a reviewer of {what}", letters)
        if given:
            elements = self._api.all_of(f"{path}/versions")
            versions = _understood(Version, elements, f"a version of {what}", letters)
        return opinions(given, reviewers, versions, notes_of.approved_when(notes), request.sha)

    def _notes(self, request: MergeRequest, letters: list[DeadLetter]) -> tuple[list[Note], bool]:
        """Every note, and whether none is missing.

        Of a list with several pages one deletion can hide another note: it is read twice, and believed to be
        complete when the second time begins with the first.
        """
        path = f"{self._path(request.iid)}/notes"
        query = {"sort": "asc", "order_by": "created_at"}
        pages = list(self._api.pages(path, query))
        elements = [element for page in pages for element in page]
        complete = True
        if len(pages) > 1:
            again = self._api.all_of(path, query)
            complete = _ids(again[: len(elements)]) == _ids(elements)
        notes = _understood(Note, elements, f"a note of merge request {request.iid}", letters)
        return notes, complete and len(notes) == len(elements)

    def _path(self, *parts: str | int) -> str:
        return self._api.project(self._repository, "merge_requests", *parts)


def _understood(shape: type[S], elements: list[Any], what: str, letters: list[DeadLetter]) -> list[S]:
    understood, unread = sorted_out(shape, elements, what)
    letters.extend(unread)
    return understood


def _ids(elements: Sequence[Any]) -> list[Any]:
    return [element.get("id") if isinstance(element, dict) else None for element in elements]


def _latest(statuses: Sequence[Status]) -> dict[str, HostedCheck]:
    """By name the one that began last: pipelines of one commit may have jobs of the same name."""
    ordered = sorted(statuses, key=lambda status: status.id)
    return {one.name: HostedCheck(check_state(one), one.target_url or None) for one in ordered}
