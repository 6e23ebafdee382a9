"""One Jira site: its REST root, how we log in, and what its own signs mean."""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from dct_pipelines.clients.api import ApiAnswer, ApiClient, ApiRefusal, ApiRules
from dct_pipelines.clients.api_signs import retry_at
from dct_pipelines.domain.connected import Endpoint
from dct_pipelines.domain.errors import (
    ActionFailed,
    ActionInterrupted,
    ConnectionDown,
    CredentialRefused,
    DctError,
    Throttled,
)
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.tracking.config import JiraConnection

CALLS_PER_MINUTE = 300
"""Far below what Jira takes: its bursts are counted by the second."""
_LOGIN_REFUSED = frozenset({"AUTHENTICATED_FAILED", "AUTHENTICATION_DENIED", "AUTHORISATION_FAILED"})


@dataclass
class Site:
    """Calls below the REST root. `offset` is Jira's clock minus ours, by its last answer."""

    api: ApiClient
    config: JiraConnection
    clock: Clock
    name: str
    offset: timedelta | None = field(default=None)

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: Any = None,
        accept: Collection[int] = (),
    ) -> ApiAnswer:
        """One call, e.g. `search/jql`; ApiRefusal when Jira says no."""
        root = "rest/api/3" if self.config.is_cloud else "rest/api/2"
        answer = self.api.call(method, f"{root}/{path}", query=query or {}, json=json, accept=accept)
        if answer.date_offset_seconds is not None:
            self.offset = timedelta(seconds=answer.date_offset_seconds)
        return answer

    def read(self, method: str, path: str, **request: Any) -> Any:
        """What is read for the whole connection: a refusal means that nothing can be read."""
        try:
            return self.call(method, path, **request).body
        except ApiRefusal as refusal:
            raise ConnectionDown(
                f"{refusal}; correct the connection's configuration or the account's permissions"
            ) from refusal

    def write(self, method: str, path: str, **request: Any) -> Any:
        """What an action asks: a refusal is its failure, a conflict passes."""
        try:
            return self.call(method, path, **request).body
        except ApiRefusal as refusal:
            if refusal.status == 409:
                raise ActionInterrupted(f"{refusal}; somebody else changes the ticket just now") from refusal
            raise ActionFailed(str(refusal)) from refusal

    def now(self) -> datetime:
        """The time on Jira's clock."""
        if self.offset is None:
            self.read("GET", "serverInfo")
        return self.clock.now() + (self.offset or timedelta(0))


def part(text: str) -> str:
    """A variable part of a path: an id, or a key as somebody wrote it."""
    return quote(text, safe="")


def object_in(body: Any, name: str) -> list[Any]:
    """The list of that name in an answer; the connection is down when the answer is of another shape."""
    found = body.get(name) if isinstance(body, Mapping) else None
    if not isinstance(found, list):
        raise ConnectionDown(f"Jira answered without {name}; it is tried again")
    return found


def site_of(endpoint: Endpoint, clock: Clock, **changes: Any) -> Site:
    """The site of a connection."""
    config = JiraConnection.model_validate(endpoint.config)
    rules = ApiRules(
        authorize=_authorize(config), classify=classify, limits_per_minute={"rest": CALLS_PER_MINUTE}
    )
    return Site(ApiClient(endpoint, rules, clock, **changes), config, clock, endpoint.name)


def _authorize(config: JiraConnection) -> Callable[[str], Mapping[str, str]]:
    def headers(secret: str) -> Mapping[str, str]:
        if config.username is None:
            return {"authorization": f"Bearer {secret}"}
        pair = base64.b64encode(f"{config.username}:{secret}".encode()).decode()
        return {"authorization": f"Basic {pair}"}

    return headers


def classify(answer: ApiAnswer, now: datetime) -> DctError | None:
    """Jira's own signs. A refused token may be answered with what anybody may see: that is not our answer.

    https://developer.atlassian.com/cloud/jira/platform/rate-limiting
    """
    login = answer.headers.get("x-seraph-loginreason", "")
    if login in _LOGIN_REFUSED or answer.headers.get("x-authentication-denied-reason"):
        return CredentialRefused(f"Jira refused the credential ({login or 'login denied'}); renew it")
    reason = answer.headers.get("ratelimit-reason")
    if answer.status == 429 and reason:
        until = retry_at(answer.headers, now)
        return Throttled(f"Jira asks to wait until {until:%H:%M:%S} UTC ({reason[:60]})", not_before=until)
    return None
