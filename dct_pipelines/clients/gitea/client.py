"""The client of a Gitea or Forgejo connection: its check, what is at a location, and its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dct_pipelines.clients.answers import parsed, refused_item
from dct_pipelines.clients.api import ApiAnswer
from dct_pipelines.clients.gitea.api import GiteaApi
from dct_pipelines.clients.gitea.reader import GiteaReader
from dct_pipelines.clients.gitea.requests import GiteaRequests
from dct_pipelines.clients.gitea.runs import GiteaRuns
from dct_pipelines.clients.gitea.shapes import PullRequest, Repository, User, Version
from dct_pipelines.domain.connected import Endpoint, Finding
from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.words import ItemKind

MOST_CLOCK_SECONDS = 60.0
"""A clock that is further off makes times in events and explanations misleading."""
_NO_SCOPE = 403


class GiteaClient(GiteaRequests, GiteaRuns):
    """A `HostClient` for a server of Gitea or Forgejo."""

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        super().__init__(GiteaApi(endpoint, clock))
        self._credential: Callable[[], str] | None = endpoint.credential

    def close(self) -> None:
        """Close the connections that were kept open."""
        self._api.close()

    def reader(self, location: str) -> GiteaReader:
        """The repository of an item."""
        return GiteaReader(self._api, self._api.place(location).repository)

    def repository_ref(self, location: str) -> RepositoryRef:
        """How git reaches it: a token goes with any user name."""
        url = f"{self._api.base}/{self._api.place(location).repository}.git"
        return RepositoryRef(url, credential=self._credential, username="oauth2")

    def check(self) -> tuple[Finding, ...]:
        """Who we are, what the token may do, the release, and the clock. Gitea counts no calls."""
        with refused_item("the account"):
            answer = self._api.call("GET", "user", accept={_NO_SCOPE})
        findings = [_account(answer, self._api.name)]
        for scope, path in (("repository", "repos/search"), ("issue", "repos/issues/search")):
            with refused_item(path):
                asked = self._api.call("GET", path, query={"limit": "1"}, accept={_NO_SCOPE})
            findings.append(_scope(scope, asked))
        with refused_item("the server's release"):
            body = self._api.call("GET", "version").body
        findings.append(Finding("release", True, parsed(Version, body, f"{self._api.name}: version").version))
        offset = answer.date_offset_seconds
        if offset is not None:
            is_near = abs(offset) <= MOST_CLOCK_SECONDS
            findings.append(Finding("clock", is_near, f"the server's is {offset:+.0f} s off ours"))
        return tuple(findings)

    def look(self, kind: ItemKind, location: str, config: Mapping[str, Any]) -> str:
        """The repository's or the pull request's name."""
        place = self._api.place(location)
        with refused_item(location):
            path = self._api.repository(place.repository)
            repository = parsed(Repository, self._api.call("GET", path).body, location)
            if place.number is None:
                rights = "may push" if repository.permissions.push else "may only read"
                branch = shown(repository.default_branch or "(none yet)")
                return f"{shown(repository.full_name)}, default branch {branch}; the credential {rights}"
            path = self._api.repository(place.repository, "pulls", place.number)
            request = parsed(PullRequest, self._api.call("GET", path).body, location)
        return f"pull request {request.number}, {request.state}: {shown(request.title)}"


def _account(answer: ApiAnswer, name: str) -> Finding:
    if answer.status == _NO_SCOPE:
        return Finding("account", True, "not told: the token lacks the scope read:user, which is not needed")
    user = parsed(User, answer.body, f"{name}: the account")
    return Finding("account", True, f"{user.login} ({user.full_name})")


def _scope(scope: str, answer: ApiAnswer) -> Finding:
    """A token may be good and lack a scope: the server then says 403."""
    if answer.status == _NO_SCOPE:
        return Finding(
            "permissions", False, f"the token lacks the scope read:{scope}; give it write:{scope} for actions"
        )
    return Finding("permissions", True, f"may read of the scope {scope}")
