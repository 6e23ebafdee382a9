"""Lists of merge requests, page by page, of which none is left out because others change meanwhile.

With page numbers a merge request that is updated while pages are read moves to the end of the list, and all
behind it move up: one of them is then on no page. So each page is asked for from the time of the last one
seen; page numbers only count those of the very same millisecond. And no page goes beyond the time of the
first one, so that a list ends although people go on working: what they do is in the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from dct_pipelines.clients.answers import listed, refused_item, sorted_out
from dct_pipelines.clients.gitlab.api import GitLabApi
from dct_pipelines.clients.gitlab.shapes import MergeRequest
from dct_pipelines.domain.errors import ConnectionDown
from dct_pipelines.domain.hosting.people import stamp
from dct_pipelines.domain.hosting.reader import Listed, Listing

PAGE_SIZE = 50
Moment = Literal["updated_at", "created_at"]


def page_of(
    api: GitLabApi, repository: str, state: str, moment: Moment, since: datetime | None, cursor: str | None
) -> Listing:
    """One page of merge requests in the order of `moment`, from `since` or from where `cursor` says."""
    place = _Place.read(cursor) if cursor else _Place(_written(since) if since else "", "", 1)
    name = moment.removesuffix("_at")
    bounds = {f"{name}_after": place.after, f"{name}_before": place.before}
    query = {"state": state, "scope": "all", "order_by": moment, "sort": "asc"}
    query |= {"per_page": str(PAGE_SIZE), "page": str(place.page)}
    query |= {bound: written for bound, written in bounds.items() if written}
    what = f"merge requests of {repository}"
    with refused_item(what):
        answer = api.call("GET", api.project(repository, "merge_requests"), query=query)
    as_of = api.as_of(answer)
    elements = listed(answer.body, f"{api.name}: {what}")
    requests, letters = sorted_out(MergeRequest, elements, what)
    entries = [Listed(one.iid, stamp(one.updated_at), one.updated_at) for one in requests]
    following = None
    if elements and answer.headers.get("x-next-page", ""):
        last = _written(getattr(requests[-1], moment)) if requests else place.after
        if last < place.after:
            raise ConnectionDown(f"{api.name}: {what}: the list does not keep its order; it is tried again")
        page = place.page + 1 if last == place.after else 1
        following = _Place(last, place.before or _written(as_of), page).written
    return Listing(tuple(entries), following, as_of, tuple(letters))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the list to go on: bounds of time (empty: none), and the page of those between them."""

    after: str
    before: str
    page: int

    @staticmethod
    def read(cursor: str) -> _Place:
        after, before, page = cursor.split(" ")
        return _Place(after, before, int(page))

    @property
    def written(self) -> str:
        return f"{self.after} {self.before} {self.page}"


def _written(moment: datetime) -> str:
    """As GitLab writes it, in milliseconds: later ones are greater as texts too."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
