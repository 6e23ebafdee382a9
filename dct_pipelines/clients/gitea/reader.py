"""One repository of Gitea, as the listener reads it. The calls that each read costs are in docs/reference."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import BaseModel

from dct_pipelines.clients.answers import listed, parsed, refused_item, sorted_out, understood
from dct_pipelines.clients.api import ApiRefusal
from dct_pipelines.clients.gitea.api import MOST_PAGES, PAGE_SIZE, GiteaApi
from dct_pipelines.clients.gitea.comments import said_by, written
from dct_pipelines.clients.gitea.lists import page_of
from dct_pipelines.clients.gitea.reviews import approvals_of
from dct_pipelines.clients.gitea.shapes import (
    CombinedStatus,
    Comment,
    PullRequest,
    PullReview,
    Status,
)
from dct_pipelines.clients.gitea.words import check_state
from dct_pipelines.domain.errors import PayloadUnreadable
from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.hosting.people import stamp
from dct_pipelines.domain.hosting.reader import HostedCheck, HostedState, Listing, Requests
from dct_pipelines.domain.listener import DeadLetter

_GONE = (403, 404)
S = TypeVar("S", bound=BaseModel)


class GiteaReader:
    """Reads pull requests and checks of one repository."""

    def __init__(self, api: GiteaApi, repository: str) -> None:
        self._api = api
        self._repository = repository

    def changed(self, since: datetime, cursor: str | None) -> Listing:
        """Pull requests updated at or after `since`."""
        after = since.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        query = {"type": "pulls", "state": "all", "since": after}
        return page_of(self._api, self._repository, "issues", query, cursor)

    def open(self, cursor: str | None) -> Listing:
        """Open pull requests, the oldest first."""
        return page_of(self._api, self._repository, "pulls", {"state": "open", "sort": "oldest"}, cursor)

    def requests(self, numbers: Sequence[int]) -> Requests:
        """These pull requests: three calls for each, and one for each review with comments on lines."""
        states: list[HostedState] = []
        missing: dict[int, str] = {}
        letters: list[DeadLetter] = []
        for number in numbers:
            try:
                states.append(self._whole(number, letters))
            except (ApiRefusal, PayloadUnreadable) as fault:
                missing[number] = str(fault)
        if missing and not states:
            with refused_item(f"repository {self._repository}"):
                self._api.call("GET", self._api.repository(self._repository))
        return Requests(tuple(states), missing, tuple(letters))

    def checks(self, commits: Collection[str]) -> Mapping[str, Mapping[str, HostedCheck]]:
        """The latest status of each context, one call a commit."""
        known = {}
        for commit in filter(None, commits):
            try:
                known[commit] = self._statuses(commit)
            except ApiRefusal as refusal:
                if refusal.status not in _GONE:
                    raise
        return known

    def _statuses(self, commit: str) -> dict[str, HostedCheck]:
        path = self._api.repository(self._repository, "commits", commit, "status")
        found: list[Any] = []
        for page in range(1, MOST_PAGES + 1):
            body = self._api.call("GET", path, query={"page": str(page), "limit": str(PAGE_SIZE)}).body
            combined = parsed(CombinedStatus, body, f"{self._api.name}: statuses of a commit")
            found.extend(combined.statuses)
            if not combined.statuses or len(found) >= combined.total_count:
                break
        statuses = sorted(sorted_out(Status, found, "statuses")[0], key=lambda status: status.id)
        return {one.context: HostedCheck(check_state(one.status), one.target_url or None) for one in statuses}

    def _whole(self, number: int, letters: list[DeadLetter]) -> HostedState:
        path = self._api.repository(self._repository, "pulls", number)
        what = f"pull request {number}"
        request = understood(PullRequest, self._api.call("GET", path).body, what, letters)
        reviews, complete = self._reviews(f"{path}/reviews", letters)
        places = [self._api.repository(self._repository, "issues", number, "comments")]
        places += [f"{path}/reviews/{review.id}/comments" for review in reviews if review.comments_count]
        comments = [said_by(review) for review in reviews if review.body]
        for place in places:
            elements = listed(self._api.call("GET", place).body, f"{self._api.name}: {place}")
            found = _understood(Comment, elements, f"a comment of {what}", letters)
            comments.extend(map(written, found))
            complete = complete and len(found) == len(elements)
        return HostedState(
            number=request.number,
            title=request.title,
            description=request.body,
            source=request.head.ref,
            target=request.base.ref,
            head=request.head.sha,
            is_open=request.is_open,
            is_draft=request.is_draft,
            is_from_fork=request.is_from_fork,
            is_merged=request.merged,
            url=request.html_url,
            author=request.user.person if request.user else Person(),
            created_at=request.created_at,
            updated=stamp(request.updated_at),
            updated_at=request.updated_at,
            approvals=approvals_of(reviews),
            comments=tuple(comments),
            comments_complete=complete,
        )

    def _reviews(self, path: str, letters: list[DeadLetter]) -> tuple[list[PullReview], bool]:
        """Every review, and whether none is missing.

        Of a list with several pages one deletion can hide another entry: it is read twice, and believed to be
        complete when the second time begins with the first.
        """
        elements, pages = self._api.all_of(path)
        complete = True
        if pages > 1:
            again, _ = self._api.all_of(path)
            complete = _ids(again[: len(elements)]) == _ids(elements)
        reviews = _understood(PullReview, elements, "a review", letters)
        return reviews, complete and len(reviews) == len(elements)


def _understood(shape: type[S], elements: list[Any], what: str, letters: list[DeadLetter]) -> list[S]:
    understood, unread = sorted_out(shape, elements, what)
    letters.extend(unread)
    return understood


def _ids(elements: Sequence[Any]) -> list[Any]:
    return [element.get("id") if isinstance(element, dict) else None for element in elements]
