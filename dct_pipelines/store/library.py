"""What operators and teams have defined, as actions ask for it: by name, with the nearest name for a typo."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, select

from dct_pipelines.domain.channels import ChannelSpec
from dct_pipelines.domain.connected import ItemFacts
from dct_pipelines.domain.errors import InvalidInput, NotFound
from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.operations import DraftSpec, EnvironmentSpec, SuiteSpec
from dct_pipelines.domain.ports import Repository, SecretsPort
from dct_pipelines.domain.words import ItemKind, Kind
from dct_pipelines.registry import nearest
from dct_pipelines.store.database import Database
from dct_pipelines.store.definitions.shelves import SHELVES, Stored
from dct_pipelines.store.patience import patiently
from dct_pipelines.store.tables import connections, item_cursors, snapshots

PATIENCE_SECONDS = 120
T = TypeVar("T")
MAX_STATES = 200
"""States of a context item that go into a bundle: a repository may have ten thousand branches."""


def repository_ref(location: str, credential_ref: str | None, secrets: SecretsPort) -> RepositoryRef:
    """How to reach a repository; its secret is read anew at each use."""
    if credential_ref is None:
        return RepositoryRef(location)
    return RepositoryRef(location, credential=lambda: secrets.read(credential_ref))


@cache
def _channel() -> TypeAdapter[ChannelSpec]:
    return TypeAdapter(ChannelSpec)


def _facts(item: Stored) -> ItemFacts:
    spec = item.spec
    return ItemFacts(item.id, item.name, ItemKind(spec["type"]), spec["location"], spec["connection"])


def _by_credential(_connection: str, _location: str) -> RepositoryRef | None:
    return None


@dataclass(frozen=True)
class Library:
    """The definitions as they are now: each call reads them anew.

    `hosted_ref(connection, location)` says how git reaches a repository at a git host, whose credential need
    not be one that git understands; None where the connection's own credential is.
    """

    database: Database
    secrets: SecretsPort
    hosted_ref: Callable[[str, str], RepositoryRef | None] = _by_credential

    def repository(self, name: str) -> Repository:
        """The repository of that item name."""
        return self._repository(self._find(Kind.ITEM, name))

    def repository_by_id(self, item_id: UUID) -> Repository:
        """The repository of that item id."""
        return self._repository(self._by_id(item_id))

    def _by_id(self, item_id: UUID) -> Stored:
        stored = self._read(lambda connection: SHELVES[Kind.ITEM].find_by_id(connection, item_id))
        if stored is None:
            raise NotFound(f"there is no item with the id {item_id} any more; see `dct item list`")
        return stored

    def _repository(self, item: Stored) -> Repository:
        spec = item.spec
        if spec["type"] != ItemKind.GIT_REPOSITORY:
            raise NotFound(f"item {item.name!r} is a {spec['type']}, not a git repository; name another")
        connection, location = spec["connection"], spec["location"]
        ref = self.hosted_ref(connection, location) if connection is not None else None
        if ref is None:
            ref = repository_ref(location, self._credential(connection), self.secrets)
        return Repository(item.id, item.name, ref)

    def item(self, name: str) -> ItemFacts:
        """The context item of that name, of any kind."""
        return _facts(self._find(Kind.ITEM, name))

    def item_by_id(self, item_id: UUID) -> ItemFacts:
        """The context item of that id."""
        return _facts(self._by_id(item_id))

    def connection(self, name: str) -> Stored:
        """The connection of that name, as it is defined."""
        return self._find(Kind.CONNECTION, name)

    def connections(self) -> Mapping[str, Stored]:
        """Every connection by name."""
        return self._read(SHELVES[Kind.CONNECTION].all)

    def connection_kind(self, name: str) -> str:
        """What the connection of that name speaks to, e.g. `jira`."""
        return str(self.connection(name).spec["type"])

    def connection_root(self, name: str) -> str:
        """The path of its address below which everything of that connection lies; mostly empty."""
        return urlsplit(self.connection(name).spec.get("base") or "").path.rstrip("/")

    def environment(self, name: str) -> EnvironmentSpec:
        """The environment of that name."""
        return EnvironmentSpec.model_validate(self._find(Kind.ENVIRONMENT, name).spec)

    def suite(self, name: str) -> SuiteSpec:
        """The test suite of that name."""
        return SuiteSpec.model_validate(self._find(Kind.SUITE, name).spec)

    def draft(self, name: str) -> DraftSpec:
        """The workspace draft of that name."""
        return DraftSpec.model_validate(self._find(Kind.DRAFT, name).spec)

    def find_channel(self, name: str) -> ChannelSpec | None:
        """The channel of that name; InvalidInput when another release stored what this one cannot read."""
        stored = self._read(lambda connection: SHELVES[Kind.CHANNEL].find(connection, name))
        if stored is None:
            return None
        try:
            return _channel().validate_python(stored.spec)
        except ValidationError as error:
            faults = (
                f"{'.'.join(map(str, fault['loc'])) or 'type'}: {fault['msg']}"
                for fault in error.errors(include_input=False, include_url=False)
            )
            raise InvalidInput(
                f"channel {name!r} cannot be read, another release stored it ({'; '.join(faults)}); "
                "run that release, or a newer one"
            ) from None

    def channel_names(self) -> list[str]:
        """The names of all channels."""
        return self._read(SHELVES[Kind.CHANNEL].names)

    def readers_of(self, connection: str, channel: str) -> list[UUID]:
        """The items of a chat connection that are read in the channel of that id, as their last read says."""
        statement = (
            select(item_cursors.c.item_id)
            .join(connections, connections.c.id == item_cursors.c.connection_id)
            .where(connections.c.name == connection, item_cursors.c.token["channel"].astext == channel)
        )
        return self._read(lambda reader: list(reader.execute(statement).scalars()))

    def context_item(self, name: str) -> Mapping[str, Any]:
        """An item as plain data: name, kind, title, location, tags, and the latest states of its subjects."""
        item = self._find(Kind.ITEM, name)
        spec = item.spec
        return {
            "name": name,
            "kind": spec["type"],
            "title": spec["title"],
            "location": spec["location"],
            "tags": spec["tags"],
            "states": self._states(item),
        }

    def _states(self, item: Stored) -> dict[str, Any]:
        current = (
            select(snapshots.c.subject, snapshots.c.state)
            .where(snapshots.c.item_id == item.id, snapshots.c.to_seq.is_(None))
            .order_by(snapshots.c.observed_at.desc(), snapshots.c.subject)
            .limit(MAX_STATES)
        )
        return self._read(lambda connection: {row.subject: row.state for row in connection.execute(current)})

    def _credential(self, connection_name: str | None) -> str | None:
        if connection_name is None:
            return None
        credential: str | None = self.connection(connection_name).spec["credential"]
        return credential

    def _find(self, kind: Kind, name: str) -> Stored:
        stored = self._read(lambda connection: SHELVES[kind].find(connection, name))
        if stored is None:
            known = frozenset(self._read(SHELVES[kind].names))
            raise NotFound(f"there is no {kind} {name!r}; {nearest(name, known)}")
        return stored

    def _read(self, ask: Callable[[Connection], T]) -> T:
        """The answer; an action in the middle of its work waits for a database that is away."""

        def read() -> T:
            with self.database.at_once() as connection:
                return ask(connection)

        return patiently(read, PATIENCE_SECONDS)
