"""What Cloud and Data Center answer alike: the time, priorities, our account, listings of comments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dct_pipelines.clients.jira.site import Site, object_in, part
from dct_pipelines.domain.errors import ConnectionDown
from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.tracking.raw import person_of
from dct_pipelines.domain.tracking.reader import Named

FIELDS = (
    "summary,description,status,assignee,priority,labels,project,updated,created,creator,reporter,comment"
)
COMMENTS_PAGE = 100
MOST_LISTINGS = 5
"""How often a listing is begun anew because comments were deleted while it was read."""


class CommonReading:
    """Part of a Jira client."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._me: Person | None = None

    def now(self) -> datetime:
        """The time on the site's own clock."""
        return self.site.now()

    def priorities(self) -> tuple[str, ...]:
        """The names of the priorities, the most urgent first."""
        answer = self.site.read("GET", "priority")
        listed = answer if isinstance(answer, list) else []
        return tuple(str(one["name"]) for one in listed if isinstance(one, Mapping) and one.get("name"))

    def me(self) -> Person:
        """Our own account."""
        if self._me is None:
            person = person_of(self.site.read("GET", "myself"), "our own account")
            if person is None or person.id is None:
                raise ConnectionDown("Jira does not say who we are; it is tried again")
            self._me = person
        return self._me

    def account(self) -> str | None:
        """The id of our own account."""
        return self.me().id

    def name_of(self, ticket: Named) -> str:
        """How this site is asked for a ticket."""
        return ticket.id or ticket.key

    def comments(self, ticket: Named) -> Sequence[Any] | None:
        """Every comment, the oldest first; None when the ticket is not there any more."""
        for _ in range(MOST_LISTINGS):
            listed = self._listing(self.name_of(ticket))
            if listed is not None:
                return None if listed == _NO_TICKET else listed
        raise ConnectionDown(f"the comments of {ticket.key} change faster than they can be read")

    def _listing(self, name: str) -> Sequence[Any] | None:
        """One pass. Each page begins with the comment that ended the page before: else some are gone."""
        found: list[Any] = []
        while True:
            start = max(len(found) - 1, 0)
            answer = self.site.call(
                "GET",
                f"issue/{part(name)}/comment",
                query={
                    "startAt": str(start),
                    "maxResults": str(COMMENTS_PAGE),
                    "orderBy": "created",
                },
                accept={404},
            )
            if answer.status == 404:
                return _NO_TICKET
            page = object_in(answer.body, "comments")
            if found and (not page or _id(page[0]) != _id(found[-1])):
                return None
            more = page[1:] if found else page
            found += more
            total = answer.body.get("total")
            if not more or not isinstance(total, int) or len(found) >= total:
                return found


_NO_TICKET: Sequence[Any] = ("no ticket",)


def _id(comment: Any) -> Any:
    return comment.get("id") if isinstance(comment, Mapping) else None
