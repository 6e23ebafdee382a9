"""The definitions as they are stored, read in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dct_pipelines.domain.errors import NotFound, NotPermitted
from dct_pipelines.domain.manifest import parse
from dct_pipelines.domain.roles import Role
from dct_pipelines.domain.trigger import TriggerSpec
from dct_pipelines.domain.words import Kind
from dct_pipelines.engine.manifests import World
from dct_pipelines.registry import nearest
from dct_pipelines.store.definitions import Connection, people, triggers
from dct_pipelines.store.definitions.people import User
from dct_pipelines.store.definitions.shelves import SHELVES, Stored
from dct_pipelines.store.definitions.triggers import StoredTrigger
from dct_pipelines.store.order import current_generation


@dataclass(frozen=True)
class Storage:
    """Everything that is defined, and the world that manifests are checked against."""

    shelves: Mapping[Kind, Mapping[str, Stored]]
    triggers: Mapping[str, StoredTrigger]
    users: Mapping[str, User]
    world: World

    def role(self, name: str) -> Role:
        """The role of a user, or why there is none to act with."""
        return _role(name, self.users)

    def trigger(self, name: str) -> StoredTrigger:
        """The trigger, or NotFound with the nearest name."""
        if name not in self.triggers:
            raise NotFound(f"there is no trigger {name!r}; {nearest(name, self.triggers)}")
        return self.triggers[name]


def role_of(connection: Connection, name: str) -> Role:
    """The role of a user, or why there is none to act with; reads no definition, which may be unreadable."""
    return _role(name, people.every(connection))


def _role(name: str, users: Mapping[str, User]) -> Role:
    user = users.get(name)
    if user is None and name == people.LOCAL_USER:
        return Role.ADMIN
    if user is None:
        raise NotFound(f"there is no user {name!r}; {nearest(name, users)}")
    if not user.is_active:
        raise NotPermitted(f"user {name!r} is switched off; ask an admin")
    return Role(user.role)


def load(connection: Connection) -> Storage:
    """Read every definition. The generation is read first: what is read may be newer, never older."""
    generation = current_generation(connection)
    shelves = {kind: shelf.all(connection) for kind, shelf in SHELVES.items()}
    live = triggers.live(connection)
    definitions = {
        kind: {name: parse(kind, stored.spec) for name, stored in entries.items()}
        for kind, entries in shelves.items()
    }
    specs = {name: TriggerSpec.model_validate(stored.spec) for name, stored in live.items()}
    world = World({**definitions, Kind.TRIGGER: specs}, generation)
    return Storage(shelves, live, people.every(connection), world)
