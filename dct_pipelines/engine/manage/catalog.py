"""Answers what is defined: lists, one definition with what became of it, and manifests to keep in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dct_pipelines import registry
from dct_pipelines.domain.errors import DctError, NotFound, NotPermitted
from dct_pipelines.domain.manifest import brief, parse
from dct_pipelines.domain.roles import Role, launch_fault, users_fault
from dct_pipelines.domain.trigger import TriggerSpec
from dct_pipelines.domain.words import Kind, TriggerStatus
from dct_pipelines.engine.manage.probe import Probe
from dct_pipelines.engine.manage.stored import load
from dct_pipelines.registry import nearest
from dct_pipelines.store.database import Database
from dct_pipelines.store.definitions import people, triggers, watching
from dct_pipelines.store.definitions.people import User
from dct_pipelines.store.definitions.shelves import SHELVES, Stored
from dct_pipelines.store.definitions.triggers import StoredTrigger


@dataclass(frozen=True)
class Looked:
    """What a look at one item gave."""

    item: str
    is_ok: bool
    said: str


@dataclass(frozen=True)
class Catalog:
    """Reads definitions; changes none of them."""

    database: Database
    probe: Probe

    def every(self, kind: Kind) -> list[Stored]:
        """All definitions of a kind that is not `trigger`, by name."""
        with self.database.connect() as connection:
            return list(SHELVES[kind].all(connection).values())

    def triggers(self, status: TriggerStatus | None = None) -> list[StoredTrigger]:
        """All triggers, or those in one state, by name."""
        with self.database.connect() as connection:
            live = triggers.live(connection).values()
        return [stored for stored in live if status is None or stored.status is status]

    def find(self, kind: Kind, name: str) -> Stored:
        """One definition, or NotFound with the nearest name."""
        with self.database.connect() as connection:
            stored = SHELVES[kind].find(connection, name)
            if stored is None:
                known = frozenset(SHELVES[kind].names(connection))
                raise NotFound(f"there is no {kind} {name!r}; {nearest(name, known)}")
        return stored

    def show(self, kind: Kind, name: str) -> dict[str, Any]:
        """One definition with what became of it and who changed it, as plain data."""
        if kind is Kind.TRIGGER:
            return self._show_trigger(name)
        stored = self.find(kind, name)
        with self.database.connect() as connection:
            shown = {
                "kind": kind.value,
                **stored.spec,
                **stored.state,
                "id": stored.id,
                "created_by": stored.created_by,
                "created_at": stored.created_at,
                "updated_at": stored.updated_at,
            }
            if kind is Kind.ITEM:
                shown |= watching.reading(connection, stored.id)
                shown["watched_by"] = watching.watchers(connection, stored.id)
            return shown | {"changes": people.audited(connection, kind.value, name)}

    def _show_trigger(self, name: str) -> dict[str, Any]:
        with self.database.connect() as connection:
            stored = load(connection).trigger(name)
            shown = {"kind": Kind.TRIGGER.value, **dict(stored.spec), **_without_spec(stored)}
            return shown | {
                "versions": triggers.versions(connection, stored.id),
                "changes": people.audited(connection, Kind.TRIGGER.value, name),
            }

    def export(self, kind: Kind, names: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Definitions as manifests, without what is the default; all of the kind when no name is given."""
        with self.database.connect() as connection:
            storage = load(connection)
        if kind is Kind.TRIGGER:
            chosen = [storage.trigger(name) for name in names] or list(storage.triggers.values())
            return [_trigger_manifest(stored) for stored in chosen]
        found = [self.find(kind, name) for name in names] or list(storage.shelves[kind].values())
        return [{"kind": kind.value, **brief(parse(kind, stored.spec))} for stored in found]

    def kind_of(self, name: str) -> str | None:
        """`trigger` or `item`, whichever is called so; a trigger first."""
        with self.database.connect() as connection:
            if triggers.find(connection, name) is not None:
                return Kind.TRIGGER.value
            found = SHELVES[Kind.ITEM].find(connection, name)
        return Kind.ITEM.value if found is not None else None

    def nearest_of(self, name: str) -> str:
        """A clause with the nearest name of a trigger or item."""
        with self.database.connect() as connection:
            known = {*triggers.live(connection), *SHELVES[Kind.ITEM].names(connection)}
        return nearest(name, frozenset(known))

    def permit_launch(self, by: str) -> None:
        """`NotPermitted` unless this user may cancel and retry executions."""
        with self.database.connect() as connection:
            role = load(connection).role(by)
        if message := launch_fault(role):
            raise NotPermitted(message)

    def check_connection(self, name: str) -> list[Looked]:
        """Look at every item of a connection through its provider, now."""
        with self.database.connect() as connection:
            world = load(connection).world
        spec = world.find(Kind.CONNECTION, name)
        if spec is None:
            known = frozenset(world.names(Kind.CONNECTION))
            raise NotFound(f"there is no connection {name!r}; {nearest(name, known)}")
        looked = []
        for item in world.definitions[Kind.ITEM].values():
            if item.connection == name:
                try:
                    looked.append(Looked(item.name, True, self.probe(spec, item)))
                except DctError as error:
                    looked.append(Looked(item.name, False, str(error)))
        return looked

    def users(self) -> list[User]:
        """Every user, by name."""
        with self.database.connect() as connection:
            return list(people.every(connection).values())

    def save_user(self, name: str, role: Role, email: str | None, by: str) -> None:
        """Add a user or change a role; only an admin may."""
        with self.database.begin() as connection:
            if message := users_fault(load(connection).role(by)):
                raise NotPermitted(message)
            people.save(connection, name, role.value, email)
            people.audit(connection, by, "save", "user", name, {"role": role.value})


def _ordered(part: dict[str, Any], types: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a configuration in the order of its model: the database keeps none."""
    if part["type"] not in types or "config" not in part:
        return part
    order = list(types[part["type"]].config.model_fields)
    place = {key: index for index, key in enumerate(order)}
    config = dict(sorted(part["config"].items(), key=lambda one: place.get(one[0], len(order))))
    return part | {"config": config}


def _without_spec(stored: StoredTrigger) -> dict[str, Any]:
    return {key: value for key, value in asdict(stored).items() if key not in ("spec", "name")}


def _trigger_manifest(stored: StoredTrigger) -> dict[str, Any]:
    manifest = {"kind": Kind.TRIGGER.value, **brief(TriggerSpec.model_validate(stored.spec))}
    for key, types in (("conditions", registry.conditions()), ("actions", registry.actions())):
        manifest[key] = [_ordered(part, types) for part in manifest[key]]
    if stored.status in (TriggerStatus.PAUSED, TriggerStatus.DISABLED):
        manifest["status"] = stored.status.value
    return manifest
