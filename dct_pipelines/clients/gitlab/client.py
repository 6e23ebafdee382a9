"""The client of a GitLab connection: its check, what is at a location, and its parts by inheritance."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dct_pipelines.clients.answers import parsed, refused_item
from dct_pipelines.clients.api import ApiRefusal
from dct_pipelines.clients.credential_ends import CredentialWatch, moment_of
from dct_pipelines.clients.gitlab.api import GitLabApi
from dct_pipelines.clients.gitlab.reader import GitLabReader
from dct_pipelines.clients.gitlab.requests import GitLabRequests
from dct_pipelines.clients.gitlab.runs import GitLabRuns
from dct_pipelines.clients.gitlab.shapes import MergeRequest, Metadata, Project, Token, User
from dct_pipelines.domain.connected import CredentialEnd, Endpoint, Finding
from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.words import ItemKind

MOST_CLOCK_SECONDS = 60.0
"""A clock that is further off makes times in events and explanations misleading."""
_ENOUGH = frozenset({"api"})
_READS = frozenset({"read_api"})


class GitLabClient(GitLabRequests, GitLabRuns):
    """A `HostClient` for GitLab.com or a server of one's own."""

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        super().__init__(GitLabApi(endpoint, clock))
        self._credential = endpoint.credential
        self._watch = CredentialWatch(endpoint.credential, self._token_end)

    def close(self) -> None:
        """Close the connections that were kept open."""
        self._api.close()

    def reader(self, location: str) -> GitLabReader:
        """The project of an item."""
        return GitLabReader(self._api, self._api.place(location).repository)

    def repository_ref(self, location: str) -> RepositoryRef:
        """How git reaches it: any token goes with the user name `oauth2`."""
        url = f"{self._api.base}/{self._api.place(location).repository}.git"
        return RepositoryRef(url, credential=self._credential, username="oauth2")

    def check(self) -> tuple[Finding, ...]:
        """Who we are, what the token may do, the release, the clock, and the calls that are left."""
        with refused_item("the account"):
            answer = self._api.call("GET", "user")
        user = parsed(User, answer.body, f"{self._api.name}: the account")
        findings = [Finding("account", True, f"{user.username} ({user.name})")]
        findings.append(self._scopes())
        findings.append(self._release())
        offset = answer.date_offset_seconds
        if offset is not None:
            is_near = abs(offset) <= MOST_CLOCK_SECONDS
            findings.append(Finding("clock", is_near, f"GitLab's is {offset:+.0f} s off ours"))
        left, limit = (answer.headers.get(f"ratelimit-{name}") for name in ("remaining", "limit"))
        if left and limit:
            findings.append(Finding("calls", True, f"{left} of {limit} are left for now"))
        return tuple(findings)

    def credential_end(self, *, is_due: bool) -> CredentialEnd | None:
        """Of a personal, group or project token; of an OAuth token nothing is told."""
        return self._watch.end(is_due=is_due)

    def look(self, kind: ItemKind, location: str, config: Mapping[str, Any]) -> str:
        """The project's or the merge request's name."""
        place = self._api.place(location)
        with refused_item(location):
            path = self._api.project(place.repository)
            project = parsed(Project, self._api.call("GET", path).body, location)
            if place.number is None:
                return f"{shown(project.path_with_namespace)}, default branch {shown(project.branch)}"
            path = self._api.project(place.repository, "merge_requests", place.number)
            request = parsed(MergeRequest, self._api.call("GET", path).body, location)
        return f"merge request {request.iid}, {request.state}: {shown(request.title)}"

    def _token(self) -> Token | None:
        """Only a personal, group or project token can be asked; an OAuth token says 401, 403 or 404."""
        answer = self._api.call("GET", "personal_access_tokens/self", accept={400, 401, 403, 404})
        return parsed(Token, answer.body, f"{self._api.name}: the token") if answer.status == 200 else None

    def _token_end(self) -> datetime | None:
        token = self._token()
        return moment_of(token.expires_at) if token is not None else None

    def _scopes(self) -> Finding:
        token = self._token()
        if token is None:
            return Finding("permissions", True, "an OAuth token; its scopes are not told")
        scopes = frozenset(token.scopes)
        until = f", until {token.expires_at}" if token.expires_at else ""
        said = f"scopes {', '.join(token.scopes) or 'none'}{until}"
        if scopes & _ENOUGH:
            return Finding("permissions", True, said)
        if scopes & _READS:
            return Finding("permissions", True, f"{said}: enough to listen; actions need the scope api")
        return Finding("permissions", False, f"{said}: give the token api (to listen only, read_api)")

    def _release(self) -> Finding:
        try:
            body = self._api.call("GET", "metadata").body
        except ApiRefusal:
            return Finding("release", True, "not told (older than 15.2)")
        return Finding("release", True, parsed(Metadata, body, f"{self._api.name}: metadata").version)
