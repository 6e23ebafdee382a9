"""Lists of merge requests, page by page, of which none is left out because others change meanwhile.

With page numbers a merge request that is updated while pages are read moves to the end of the list, and all
behind it move up: one of them is then on no page. So each page is asked for from the time of the last one
seen; page numbers only count those of the very same millisecond.
"""

from __future__ import annotations

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
    after, page = _read(cursor) if cursor else (_written(since) if since else "", 1)
    query = {"state": state, "scope": "all", "order_by": moment, "sort": "asc"}
    query |= {"per_page": str(PAGE_SIZE), "page": str(page)}
    if after:
        query[f"{moment.removesuffix('_at')}_after"] = after
    what = f"merge requests of {repository}"
    with refused_item(what):
        answer = api.call("GET", api.project(repository, "merge_requests"), query=query)
    elements = listed(answer.body, f"{api.name}: {what}")
    requests, letters = sorted_out(MergeRequest, elements, what)
    entries = [Listed(one.iid, stamp(one.updated_at), one.updated_at) for one in requests]
    following = None
    if len(elements) >= PAGE_SIZE:
        last = _written(getattr(requests[-1], moment)) if requests else after
        if after and last < after:
            raise ConnectionDown(f"{api.name}: {what}: the list does not keep its order; it is tried again")
        following = f"{last} {page + 1 if last == after else 1}"
    return Listing(tuple(entries), following, api.as_of(answer), tuple(letters))


def _written(moment: datetime) -> str:
    """As GitLab writes it, in milliseconds: later ones are greater as texts too."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _read(cursor: str) -> tuple[str, int]:
    after, _, page = cursor.rpartition(" ")
    return after, int(page)
