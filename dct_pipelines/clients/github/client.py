"""The client of a GitHub connection: its check, what is at a location, and its parts by inheritance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from dct_pipelines.clients.answers import parsed, refused_item
from dct_pipelines.clients.api import ApiAnswer, ApiRefusal
from dct_pipelines.clients.credential_ends import CredentialWatch, moment_of
from dct_pipelines.clients.github.api import GitHubApi
from dct_pipelines.clients.github.pipelines import GitHubPipelines
from dct_pipelines.clients.github.reader import GitHubReader
from dct_pipelines.clients.github.requests import GitHubRequests
from dct_pipelines.clients.github.rest_shapes import Account, Installed, Limits, Pull, Repo
from dct_pipelines.domain.connected import CredentialEnd, Endpoint, Finding
from dct_pipelines.domain.errors import CredentialRefused
from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.words import ItemKind

MOST_CLOCK_SECONDS = 60.0
"""A clock that is further off makes times in events and explanations misleading."""
_EXPIRY = "github-authentication-token-expiration"
_NEEDED_SCOPE = "repo"
_KINDS = {
    "ghp_": "a classic personal access token",
    "github_pat_": "a fine-grained personal access token",
    "gho_": "a token of an OAuth app",
    "ghu_": "a user's token of a GitHub App",
    "ghs_": "a token of an installed GitHub App",
}


class GitHubClient(GitHubRequests, GitHubPipelines):
    """Everything that we ask of GitHub through one connection."""

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        super().__init__(GitHubApi(endpoint, clock))
        self._endpoint = endpoint
        self._watch = CredentialWatch(endpoint.credential, self._token_end)

    def reader(self, location: str) -> GitHubReader:
        """The repository of an item."""
        return GitHubReader(self._api, self._api.place(location).repository)

    def repository_ref(self, location: str) -> RepositoryRef:
        """How git reaches it: by the same token."""
        url = f"{self._api.base}/{self._api.place(location).repository}"
        has_credential = self._endpoint.credential is not None
        return RepositoryRef(url, self._api.credentials.for_git if has_credential else None)

    def check(self) -> tuple[Finding, ...]:
        """Who we are, what the token may do, how far the clock is off, which calls are left."""
        return tuple(self._findings())

    def credential_end(self, *, is_due: bool) -> CredentialEnd | None:
        """Of a token, by a call that counts against no limit. A GitHub App's key does not end."""
        if self._api.credentials.is_app:
            return CredentialEnd(None) if is_due else None
        return self._watch.end(is_due=is_due)

    def look(self, kind: ItemKind, location: str, config: Mapping[str, Any]) -> str:
        """What is there."""
        place = self._api.place(location)
        with refused_item(location):
            answer = self._api.call("GET", self._api.repository(place.repository))
            repo = parsed(Repo, answer.body, location)
            if place.number is None:
                sort = "private" if repo.private else "public"
                return f"{sort} repository {repo.full_name}, default branch {shown(repo.default_branch)}"
            path = self._api.repository(place.repository, "pulls", place.number)
            pull = parsed(Pull, self._api.call("GET", path).body, location)
        state = "merged" if pull.merged_at else "a draft" if pull.draft else pull.state
        return f"pull request {pull.number} of {repo.full_name}, {state}: {shown(pull.title)}"

    def _findings(self) -> Iterator[Finding]:
        account, answer = self._account()
        yield account
        yield from _permissions(answer) if not self._api.credentials.is_app else ()
        offset = answer.date_offset_seconds
        is_ok = offset is not None and abs(offset) <= MOST_CLOCK_SECONDS
        told = (
            "GitHub did not say what time it is" if offset is None else f"GitHub is {offset:+.0f} s from us"
        )
        yield Finding("clock", is_ok, told)
        try:
            limits = parsed(Limits, self._api.call("GET", "rate_limit").body, "the rate limit").resources
        except ApiRefusal:
            yield Finding("rate limit", True, "this server does not limit calls")
            return
        for name, limit in (("REST", limits.core), ("GraphQL", limits.graphql)):
            if limit is not None:
                said = f"{limit.remaining} of {limit.limit} {name} calls left until {limit.at:%H:%M:%S} UTC"
                yield Finding("rate limit", limit.remaining > 0, said)

    def _token_end(self) -> datetime | None:
        """Each answer's headers say it; a server without limits says 404, with the same headers."""
        return moment_of(self._api.call("GET", "rate_limit", accept={403, 404}).headers.get(_EXPIRY))

    def _account(self) -> tuple[Finding, ApiAnswer]:
        """Who the credential is: a user, or an app where it is installed."""
        if self._api.credentials.is_app:
            answer = self._call("installation/repositories", {"per_page": "1"})
            total = parsed(Installed, answer.body, "the installation").total_count
            app_id = self._endpoint.config["app_id"]
            said = f"GitHub App {app_id}, installed on {total} repositories"
            return Finding("account", total > 0, said), answer
        answer = self._call("user", {})
        account = parsed(Account, answer.body, "the account")
        secret = self._endpoint.credential() if self._endpoint.credential else ""
        kind = next((kind for start, kind in _KINDS.items() if secret.startswith(start)), "a token")
        return Finding("account", True, f"{shown(account.login)}, by {kind}"), answer

    def _call(self, path: str, query: Mapping[str, str]) -> ApiAnswer:
        try:
            return self._api.call("GET", path, query=query)
        except ApiRefusal as refusal:
            raise CredentialRefused(f"{refusal.message}; give the connection another credential") from refusal


def _permissions(answer: ApiAnswer) -> Iterator[Finding]:
    """Classic tokens name their scopes. Of fine-grained ones it shows when it is done."""
    scopes = answer.headers.get("x-oauth-scopes")
    if scopes is not None:
        named = {scope.strip() for scope in scopes.split(",")}
        missing = "" if _NEEDED_SCOPE in named else f"; private repositories need {_NEEDED_SCOPE}"
        yield Finding("permissions", not missing, f"scopes: {scopes or 'none'}{missing}")
    if until := answer.headers.get(_EXPIRY):
        yield Finding("expiry", True, f"the token is valid until {shown(until)}")
