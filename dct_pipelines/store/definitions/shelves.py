"""Everything that is defined by a name and a manifest, read and written alike: one `Shelf` for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, Table, bindparam, func, insert, select, update

from dct_pipelines.domain.words import Kind
from dct_pipelines.store.tables import (
    channels,
    connections,
    context_library,
    environments,
    test_suites,
    workspace_drafts,
)


@dataclass(frozen=True)
class Stored:
    """A definition as it is stored. `spec` is its manifest as plain data, `state` what became of it since."""

    id: UUID
    name: str
    spec: Mapping[str, Any]
    created_by: str
    created_at: datetime
    updated_at: datetime
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Shelf:
    """One kind of definition: where it is stored, how it becomes columns, and how it is read back."""

    table: Table
    query: Select[Any]
    to_columns: Callable[[Connection, Mapping[str, Any]], dict[str, Any]]
    to_spec: Callable[[Row[Any]], dict[str, Any]]
    state: tuple[str, ...] = ()

    def all(self, connection: Connection) -> dict[str, Stored]:
        """Every definition by its name, in the order of names."""
        rows = connection.execute(self.query.order_by(self.table.c.name))
        return {row.name: self._stored(row) for row in rows}

    def find(self, connection: Connection, name: str) -> Stored | None:
        """The definition of that name."""
        row = connection.execute(self._by_name, {"the_name": name}).one_or_none()
        return self._stored(row) if row is not None else None

    def find_by_id(self, connection: Connection, definition_id: UUID) -> Stored | None:
        """The definition of that id."""
        row = connection.execute(self.query.where(self.table.c.id == definition_id)).one_or_none()
        return self._stored(row) if row is not None else None

    @cached_property
    def _by_name(self) -> Select[Any]:
        return self.query.where(self.table.c.name == bindparam("the_name"))

    def names(self, connection: Connection) -> list[str]:
        """The names of all definitions."""
        return list(self.all(connection))

    def insert(self, connection: Connection, spec: Mapping[str, Any], by: str) -> UUID:
        """Store a new definition; returns its id."""
        columns = self.to_columns(connection, spec)
        statement = insert(self.table).values(name=spec["name"], created_by=by, **columns)
        made: UUID = connection.execute(statement.returning(self.table.c.id)).scalar_one()
        return made

    def update(self, connection: Connection, stored: Stored, spec: Mapping[str, Any]) -> None:
        """Replace a definition; its name stays."""
        columns = self.to_columns(connection, spec)
        statement = update(self.table).where(self.table.c.id == stored.id)
        connection.execute(statement.values(updated_at=func.clock_timestamp(), **columns))

    def _stored(self, row: Row[Any]) -> Stored:
        state = {name: getattr(row, name) for name in self.state}
        return Stored(
            row.id, row.name, self.to_spec(row), row.created_by, row.created_at, row.updated_at, state
        )


def _whole(_connection: Connection, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"spec": dict(spec), "description": spec.get("description", "")}


def _environment(connection: Connection, spec: Mapping[str, Any]) -> dict[str, Any]:
    return _whole(connection, spec) | {"branch": spec["branch"]}


def _spec(row: Row[Any]) -> dict[str, Any]:
    return dict(row.spec)


def _connection_columns(_connection: Connection, spec: Mapping[str, Any]) -> dict[str, Any]:
    columns = ("name", "type", "credential")
    config = {key: value for key, value in spec.items() if key not in columns and value is not None}
    # A changed connection is tried at once, whatever pause its last failure had earned.
    return {
        "kind": spec["type"],
        "config": config,
        "credential_ref": spec.get("credential"),
        "not_before": None,
        "next_due_at": None,
    }


def _connection_spec(row: Row[Any]) -> dict[str, Any]:
    return {"name": row.name, "type": row.kind, "credential": row.credential_ref} | dict(row.config)


def _item_columns(connection: Connection, spec: Mapping[str, Any]) -> dict[str, Any]:
    by_name = select(connections.c.id).where(connections.c.name == spec.get("connection"))
    return {
        "kind": spec["type"],
        "connection_id": connection.scalar(by_name) if spec.get("connection") else None,
        "location": spec["location"],
        "title": spec.get("title", ""),
        "config": dict(spec.get("config", {})),
        "tags": list(spec.get("tags", ())),
    }


def _item_spec(row: Row[Any]) -> dict[str, Any]:
    return {
        "name": row.name,
        "type": row.kind,
        "connection": row.connection,
        "location": row.location,
        "title": row.title,
        "tags": list(row.tags),
        "config": dict(row.config),
    }


_HEALTH = (
    "health",
    "health_detail",
    "health_since",
    "is_enabled",
    "last_polled_at",
    "last_ok_at",
    "next_due_at",
    "not_before",
)
_RUNS = ("current_commit", "merged_from", "running_since")
_items = (
    select(context_library, connections.c.name.label("connection"))
    .outerjoin(connections, connections.c.id == context_library.c.connection_id)
    .where(context_library.c.deleted_at.is_(None))
)

SHELVES: Mapping[Kind, Shelf] = MappingProxyType(
    {
        Kind.CONNECTION: Shelf(
            connections, select(connections), _connection_columns, _connection_spec, _HEALTH
        ),
        Kind.ITEM: Shelf(context_library, _items, _item_columns, _item_spec, ("connection_id",)),
        Kind.SUITE: Shelf(test_suites, select(test_suites), _whole, _spec),
        Kind.CHANNEL: Shelf(channels, select(channels), _whole, _spec),
        Kind.ENVIRONMENT: Shelf(environments, select(environments), _environment, _spec, _RUNS),
        Kind.DRAFT: Shelf(workspace_drafts, select(workspace_drafts), _whole, _spec),
    }
)
"""The shelf of every kind but triggers, which have versions (`store.definitions.triggers`)."""
