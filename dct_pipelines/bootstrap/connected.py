"""Clients of connections: one for each connection and process, made when it is first asked for.

A new provider is one line in `MAKERS`, and one in the sets below it where its client is a tracker, a git
host, or read item by item.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from dct_pipelines import registry
from dct_pipelines.domain.connected import ConnectionPort, Endpoint
from dct_pipelines.domain.errors import NotFound
from dct_pipelines.domain.git import GitPort, RepositoryRef
from dct_pipelines.domain.hosting.port import CodeHostPort
from dct_pipelines.domain.hosting.reader import HostedRepository
from dct_pipelines.domain.ports import Clock, SecretsPort
from dct_pipelines.domain.repository.reader import RepositoryReader
from dct_pipelines.domain.tracking.port import TrackerPort
from dct_pipelines.store.budgets import StoredBudgets, account_of
from dct_pipelines.store.database import Database
from dct_pipelines.store.library import Library
from dct_pipelines.store.watching.sources import Source, SourceItem

if TYPE_CHECKING:
    from dct_pipelines.clients.slack import SlackClient

Maker = Callable[[Endpoint, Clock], Any]
"""Makes the client of a connection: a `ConnectionPort`, and what its listener and actions need."""


def _mail(endpoint: Endpoint, clock: Clock) -> Any:
    from dct_pipelines.clients.imap import ImapClient

    return ImapClient(endpoint, clock)


def _slack(endpoint: Endpoint, clock: Clock) -> Any:
    from dct_pipelines.clients.slack import SlackClient

    return SlackClient(endpoint, clock)


def _github(endpoint: Endpoint, clock: Clock) -> Any:
    from dct_pipelines.clients.github import GitHubClient

    return GitHubClient(endpoint, clock)


def _jira(endpoint: Endpoint, clock: Clock) -> Any:
    from dct_pipelines.clients.jira import jira_client

    return jira_client(endpoint, clock)


def _gitlab(endpoint: Endpoint, clock: Clock) -> Any:
    from dct_pipelines.clients.gitlab.client import GitLabClient

    return GitLabClient(endpoint, clock)


def _gitea(endpoint: Endpoint, clock: Clock) -> Any:
    from dct_pipelines.clients.gitea.client import GiteaClient

    return GiteaClient(endpoint, clock)


MAKERS: Mapping[str, Maker] = MappingProxyType(
    {
        "gitea": _gitea,
        "github": _github,
        "gitlab": _gitlab,
        "jira": _jira,
        "mail": _mail,
        "slack": _slack,
    }
)
"""By the kind of connection; git is made by `Connected` itself, which has the client of repositories."""
TRACKERS = frozenset({"jira"})
"""Kinds whose client is a `TrackerPort`."""
CODE_HOSTS = frozenset({"github", "gitlab", "gitea"})
"""Kinds whose client is a `CodeHostPort`."""
CHATS = frozenset({"slack"})
"""Kinds whose client posts messages."""
UNKNOWN = UUID(int=0)
"""The id of a connection that is not stored."""


@dataclass(frozen=True)
class Connected:
    """The connections as listeners and actions use them; also the domain's `ConnectionsPort`."""

    database: Database
    library: Library
    secrets: SecretsPort
    git: GitPort
    clock: Clock
    makers: Mapping[str, Maker] = field(default_factory=lambda: MAKERS)
    _kept: dict[str, tuple[str, Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def listener_port(self, source: Source, item: SourceItem | None) -> Any:
        """What the listener of a connection's kind reads an item through, or all of them."""
        client = self._client(source)
        if item is not None and source.kind in CODE_HOSTS:
            git = RepositoryReader(self.git, client.repository_ref(item.location))
            return HostedRepository(git, client.reader(item.location))
        return client.reader(item.location) if item is not None and source.kind == "git" else client

    def tracker(self, connection: str) -> TrackerPort:
        """The ticket tracker of that connection."""
        tracker: TrackerPort = self._of_kinds(connection, TRACKERS, "ticket tracker")
        return tracker

    def code_host(self, connection: str) -> CodeHostPort:
        """The git host of that connection."""
        host: CodeHostPort = self._of_kinds(connection, CODE_HOSTS, "git host")
        return host

    def hosted_ref(self, connection: str, location: str) -> RepositoryRef | None:
        """How git reaches a repository at a git host; None when the connection is to something else."""
        stored = self.library.connection(connection)
        if stored.spec["type"] not in CODE_HOSTS:
            return None
        ref: RepositoryRef = self._client(_source(stored.id, stored.spec)).repository_ref(location)
        return ref

    def chat(self, connection: str) -> SlackClient:
        """The chat of that connection."""
        chat: SlackClient = self._of_kinds(connection, CHATS, "chat")
        return chat

    def candidate(self, spec: Mapping[str, Any]) -> ConnectionPort:
        """The client of a connection as its manifest, as plain data, has it, stored or not."""
        client: ConnectionPort = self._client(_source(UNKNOWN, spec))
        return client

    def endpoint(self, source: Source) -> Endpoint:
        """What a client has to know of a connection."""
        reference = source.credential_ref
        base = registry.base_of(source.kind, source.config)
        account = account_of(source.kind, base, reference)
        return Endpoint(
            connection_id=source.id,
            name=source.name,
            kind=source.kind,
            base=base,
            config=source.config.get("config", {}),
            credential=partial(self.secrets.read, reference) if reference is not None else None,
            allow_private_network=bool(source.config.get("allow_private_network", False)),
            budget=StoredBudgets(self.database, account, self.clock),
            renew=partial(self.secrets.forget, reference or ""),
        )

    def _of_kinds(self, name: str, kinds: frozenset[str], what: str) -> Any:
        stored = self.library.connections()
        fitting = {one: known for one, known in stored.items() if known.spec["type"] in kinds}
        if name not in fitting:
            raise NotFound(
                f"there is no connection {name!r} to a {what}; {registry.nearest(name, frozenset(fitting))}"
            )
        return self._client(_source(fitting[name].id, fitting[name].spec))

    def _client(self, source: Source) -> Any:
        made_of = json.dumps(
            [str(source.id), source.kind, dict(source.config), source.credential_ref], sort_keys=True
        )
        with self._lock:
            known, client = self._kept.get(source.name, ("", None))
            if known != made_of:
                client = self._make(source)
                self._kept[source.name] = (made_of, client)
            return client

    def _make(self, source: Source) -> Any:
        endpoint = self.endpoint(source)
        if source.kind == "git":
            from dct_pipelines.clients.git.connection import GitConnection

            return GitConnection(self.git, endpoint)
        known = registry.listeners().get(source.kind)
        make = self.makers.get(source.kind) or (known.client if known is not None else None)
        if make is None:
            raise NotFound(
                f"connection {source.name}: this release cannot read connections of type {source.kind}"
            )
        return make(endpoint, self.clock)


def _source(connection_id: UUID, spec: Mapping[str, Any]) -> Source:
    """A connection's manifest, as plain data, in the form in which it is stored."""
    config = {key: value for key, value in spec.items() if key not in ("name", "type", "credential")}
    return Source(connection_id, str(spec["name"]), str(spec["type"]), config, spec.get("credential"), 0)
