"""How GitHub is called: where, with which headers, what its refusals mean, and its errors within a 200.

Limits: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api. A secondary limit is
a 403 or 429 with `Retry-After`, else until the reset, else for a minute. REST and GraphQL count apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from dct_pipelines.clients.api import ApiAnswer, ApiClient, ApiRefusal, ApiRules
from dct_pipelines.clients.api_signs import UNTOLD_PAUSE_SECONDS, left_of, retry_at, said
from dct_pipelines.clients.github.credentials import Credentials
from dct_pipelines.domain.connected import Endpoint
from dct_pipelines.domain.errors import ConnectionDown, DctError, ItemUnreadable, Throttled
from dct_pipelines.domain.hosting.places import HostedPlace, place_of
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.ports import Clock

HEADERS = {"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28"}
GRAPHQL = "graphql"
"""The bucket of GraphQL's own limit."""


@dataclass(frozen=True)
class GraphAnswer:
    """What GraphQL said: `data` may have holes, and `faults` says why, by where in `data`."""

    data: Mapping[str, Any]
    faults: Mapping[tuple[str | int, ...], str]
    as_of: datetime
    """GitHub's own time."""

    def fault_below(self, *path: str) -> str | None:
        """Why something at or below that path is missing; None when everything is there."""
        for where, why in self.faults.items():
            if where[: len(path)] == path:
                return why
        return None


class GitHubApi:
    """The calls that all parts of the client share."""

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        parts = urlsplit(endpoint.base)
        self.base = f"{parts.scheme}://{parts.netloc}"
        self.name = endpoint.name
        self.clock = clock
        rest, graphql = api_bases(self.base)
        self.credentials = Credentials(endpoint, clock, rest)
        rules = ApiRules(authorize=self.credentials.headers, classify=self._classified, headers=HEADERS)
        self._rest = ApiClient(endpoint, rules, clock, api_base=rest)
        self._graphql = ApiClient(endpoint, rules, clock, api_base=graphql)
        self.call = self._rest.call

    def repository(self, repository: str, *parts: str | int) -> str:
        """The path of something of a repository, each part quoted."""
        return "/".join(("repos", *repository.split("/"), *(quote(str(part), safe="") for part in parts)))

    def place(self, location: str) -> HostedPlace:
        """The repository of an item's location."""
        place = place_of(location)
        if place is None or place.repository.count("/") != 1:
            raise ItemUnreadable(
                f"{location} names no repository of {self.base}; correct the item's location"
            )
        return place

    def query(self, text: str, **variables: Any) -> GraphAnswer:
        """One question by GraphQL. `ItemUnreadable` when nothing of it could be answered."""
        try:
            answer = self._graphql.call(
                "POST", "graphql", json={"query": text, "variables": variables}, bucket=GRAPHQL
            )
        except ApiRefusal as refusal:
            raise ItemUnreadable(f"{refusal.message}; check what the credential may do") from refusal
        body = answer.body if isinstance(answer.body, dict) else {}
        data, errors = body.get("data"), body.get("errors") or []
        if not isinstance(data, dict) or not isinstance(errors, list):
            why = said({"errors": errors}) or " (neither data nor errors)"
            raise ConnectionDown(f"{self.name}: GraphQL gave no data{why}; it is tried again")
        return GraphAnswer(data, _faults(errors), self.as_of(answer))

    def as_of(self, answer: ApiAnswer) -> datetime:
        """GitHub's own time of an answer."""
        return self.clock.now() + timedelta(seconds=answer.date_offset_seconds or 0)

    def _classified(self, answer: ApiAnswer, now: datetime) -> DctError | None:
        if answer.status == 401:
            self.credentials.forget()
        until = told_to_wait(answer, now)
        if until is None:
            return None
        words = said(answer.body) or " (the calls of this hour are used up)"
        return Throttled(f"{self.name}: wait until {until:%H:%M:%S} UTC{words}", not_before=until)


def api_bases(base: str) -> tuple[str, str]:
    """Where REST is, and the parent of where GraphQL is."""
    parts = urlsplit(base)
    host = parts.hostname or ""
    if host == "github.com" or host.endswith(".ghe.com"):
        api = f"{parts.scheme}://api.{parts.netloc}"
        return api, api
    return f"{base}/api/v3", f"{base}/api"


def told_to_wait(answer: ApiAnswer, now: datetime) -> datetime | None:
    """Until when GitHub wants to be left alone, or None."""
    if answer.status in (403, 429):
        if "retry-after" in answer.headers:
            return retry_at(answer.headers, now)
        left = left_of(answer.headers, now)
        if left is not None and left.remaining == 0:
            return left.resets_at
        if answer.status == 429 or "rate limit" in said(answer.body).casefold():
            return now + timedelta(seconds=UNTOLD_PAUSE_SECONDS)
    if answer.status == 200 and isinstance(answer.body, dict) and answer.body.get("data") is None:
        errors = answer.body.get("errors")
        if isinstance(errors, list) and any(_type(error) == "RATE_LIMITED" for error in errors):
            left = left_of(answer.headers, now)
            if left is not None and left.remaining == 0:
                return left.resets_at
            return now + timedelta(seconds=UNTOLD_PAUSE_SECONDS)
    return None


def _type(error: Any) -> str:
    return str(error.get("type", "")) if isinstance(error, dict) else ""


def _faults(errors: Sequence[Any]) -> dict[tuple[str | int, ...], str]:
    faults: dict[tuple[str | int, ...], str] = {}
    for error in errors:
        told = error if isinstance(error, dict) else {}
        path = told.get("path")
        where = tuple(path) if isinstance(path, list) else ()
        faults[where] = shown(str(told.get("message") or told.get("type") or "no reason was given"))
    return faults
