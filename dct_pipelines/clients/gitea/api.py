"""How Gitea and Forgejo are called: rules, the address of a repository, and lists that others change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from dct_pipelines.clients.answers import listed
from dct_pipelines.clients.api import ApiAnswer, ApiClient, ApiRules
from dct_pipelines.domain.connected import Endpoint
from dct_pipelines.domain.errors import ItemUnreadable, PayloadUnreadable
from dct_pipelines.domain.hosting.places import HostedPlace, place_of
from dct_pipelines.domain.ports import Clock

PAGE_SIZE = 50
"""The most that a server gives unless its operator allows more; one may also allow less."""
MOST_PAGES = 500
RULES = ApiRules(authorize=lambda secret: {"authorization": f"token {secret}"})


class GiteaApi:
    """The calls that all parts of the client share. A base may have a path."""

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        self.base = endpoint.base.rstrip("/")
        self.name = endpoint.name
        self._clock = clock
        self._client = ApiClient(endpoint, RULES, clock, api_base=f"{self.base}/api/v1")
        self.call = self._client.call
        self.close = self._client.close

    def repository(self, repository: str, *parts: str | int) -> str:
        """The path of something of a repository."""
        owner, _, name = repository.partition("/")
        return "/".join(("repos", *(quote(str(part), safe="") for part in (owner, name, *parts))))

    def page(
        self, path: str, page: int, query: Mapping[str, str] | None = None
    ) -> tuple[list[Any], bool, ApiAnswer]:
        """A page of a list, and whether `Link` or a full page promises another one."""
        asked = {**(query or {}), "limit": str(PAGE_SIZE), "page": str(page)}
        answer = self.call("GET", path, query=asked)
        elements = listed(answer.body, f"{self.name}: {path}")
        link = answer.headers.get("link")
        more = 'rel="next"' in link if link is not None else len(elements) >= PAGE_SIZE
        return elements, more and bool(elements), answer

    def all_of(self, path: str, query: Mapping[str, str] | None = None) -> tuple[list[Any], int]:
        """Every element of a list, and from how many pages.

        A page may hold less than was asked for: servers have limits of their own, and leave out what we may
        not see. So pages are read until there are as many as `X-Total-Count` says, or one is empty. A list
        that does not end is `PayloadUnreadable`: half of it would be taken for all.
        """
        found: list[Any] = []
        for page in range(1, MOST_PAGES + 1):
            elements, more, answer = self.page(path, page, query)
            found.extend(elements)
            if (total := total_of(answer)) is not None:
                more = bool(elements) and len(found) < total
            if not more:
                return found, page
        raise PayloadUnreadable(f"{self.name}: {path}: more than {MOST_PAGES} pages")

    def place(self, location: str) -> HostedPlace:
        """The repository of an item's location."""
        place = place_of(location, urlsplit(self.base).path)
        if place is None or place.repository.count("/") != 1:
            raise ItemUnreadable(f"{location} names no repository of {self.base}; correct its location")
        return place

    def as_of(self, answer: ApiAnswer) -> datetime:
        """The server's own time of an answer."""
        return self._clock.now() + timedelta(seconds=answer.date_offset_seconds or 0)


def total_of(answer: ApiAnswer) -> int | None:
    """How long the whole list is, where the server says so."""
    counted = answer.headers.get("x-total-count", "")
    return int(counted) if counted.isdigit() and len(counted) < 10 else None
