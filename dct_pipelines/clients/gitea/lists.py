"""Lists of pull requests, page by page, of which none is left out because others change meanwhile.

Both lists are in the order of creation, which an update does not change. What is deleted or closed meanwhile
makes all behind it move up: the list then has fewer entries than before, and is read from its beginning.
"""

from __future__ import annotations

from collections.abc import Mapping

from dct_pipelines.clients.answers import refused_item, sorted_out
from dct_pipelines.clients.gitea.api import GiteaApi, total_of
from dct_pipelines.clients.gitea.shapes import Issue
from dct_pipelines.domain.hosting.people import stamp
from dct_pipelines.domain.hosting.reader import Listed, Listing


def page_of(
    api: GiteaApi, repository: str, path: str, query: Mapping[str, str], cursor: str | None
) -> Listing:
    """One page. A cursor is the page's number and how long the list was when the page before was read."""
    page, total = map(int, cursor.split()) if cursor else (1, 0)
    what = f"pull requests of {repository}"
    with refused_item(what):
        elements, more, answer = api.page(api.repository(repository, path), page, query)
    length = total_of(answer) or 0
    found, letters = sorted_out(Issue, elements, what)
    entries = [Listed(one.number, stamp(one.updated_at), one.updated_at) for one in found]
    following = f"{page + 1} {length}" if more else None
    if length < total:
        following = f"1 {length}"
    return Listing(tuple(entries), following, api.as_of(answer), tuple(letters))
