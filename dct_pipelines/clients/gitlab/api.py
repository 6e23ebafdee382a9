"""How GitLab is called: its rules, the address of a project, and lists that others change meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from dct_pipelines.clients.answers import listed
from dct_pipelines.clients.api import ApiAnswer, ApiClient, ApiRules
from dct_pipelines.domain.connected import Endpoint
from dct_pipelines.domain.errors import ConnectionDown, ItemUnreadable, PayloadUnreadable
from dct_pipelines.domain.hosting.places import HostedPlace, place_of
from dct_pipelines.domain.ports import Clock

PAGE_SIZE = 100
MOST_PAGES = 500
"""Pages of one list that are read: GitLab itself refuses what lies behind 50,000 entries."""
RULES = ApiRules(authorize=lambda secret: {"authorization": f"Bearer {secret}"})
"""A Bearer header carries personal, group, project and OAuth tokens alike.

Source: https://docs.gitlab.com/api/rest/authentication/
"""


class GitLabApi:
    """The calls that all parts of the client share. A base may have a path (a relative URL root)."""

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        base = endpoint.base.rstrip("/")
        self.base = base
        self.name = endpoint.name
        self._clock = clock
        self._client = ApiClient(endpoint, RULES, clock, api_base=f"{base}/api/v4")
        self.call = self._client.call
        self.close = self._client.close

    def project(self, repository: str, *parts: str | int) -> str:
        """The path of something of a project; the project's own path is one part of it."""
        return "/".join(("projects", *(quote(str(part), safe="") for part in (repository, *parts))))

    def pages(self, path: str, query: Mapping[str, str] | None = None) -> Iterator[list[Any]]:
        """The pages of a list by their numbers, which the server itself counts on (`x-next-page`).

        `Link` is not followed: behind a proxy it names an address that is not the connection's. A list that
        does not end is `PayloadUnreadable`: half of it would be taken for all.
        """
        page = "1"
        for _ in range(MOST_PAGES):
            asked = {**(query or {}), "per_page": str(PAGE_SIZE), "page": page}
            answer = self.call("GET", path, query=asked)
            elements = listed(answer.body, f"{self.name}: {path}")
            yield elements
            following = answer.headers.get("x-next-page", "")
            if not following or not elements:
                return
            if not following.isdigit() or int(following) <= int(page):
                raise ConnectionDown(f"{self.name}: {path}: the list's pages repeat; it is tried again")
            page = following
        raise PayloadUnreadable(f"{self.name}: {path}: more than {MOST_PAGES * PAGE_SIZE} entries")

    def all_of(self, path: str, query: Mapping[str, str] | None = None) -> list[Any]:
        """Every element of a list."""
        return [element for page in self.pages(path, query) for element in page]

    def place(self, location: str) -> HostedPlace:
        """The project of an item's location."""
        place = place_of(location, urlsplit(self.base).path)
        if place is None:
            raise ItemUnreadable(f"{location} names no project of {self.base}; correct the item's location")
        return place

    def as_of(self, answer: ApiAnswer) -> datetime:
        """GitLab's own time of an answer."""
        return self._clock.now() + timedelta(seconds=answer.date_offset_seconds or 0)
