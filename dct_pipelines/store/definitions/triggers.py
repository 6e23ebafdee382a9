"""Triggers and their versions. Every change, also of the status, is a version; a deleted one has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, and_, delete, func, insert, select, update

from dct_pipelines.domain.trigger import TriggerSpec
from dct_pipelines.domain.words import TriggerStatus
from dct_pipelines.store.tables import (
    dynamic_context_triggers,
    trigger_actions,
    trigger_conditions,
    trigger_items,
    trigger_versions,
)

_t, _v = dynamic_context_triggers, trigger_versions


@dataclass(frozen=True)
class StoredTrigger:
    """A trigger with the version in force and what became of it so far."""

    id: UUID
    name: str
    status: TriggerStatus
    status_detail: str | None
    version: int
    spec: Mapping[str, Any]
    item_ids: tuple[UUID, ...]
    active_since: datetime
    applied_set: str | None
    job_name: str
    last_triggered: datetime | None
    execution_count: int
    failure_count: int
    created_by: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class NewVersion:
    """What a change of a trigger writes. `from_seq` is the order's next place."""

    spec: TriggerSpec
    status: TriggerStatus
    item_ids: tuple[UUID, ...]
    draft_id: UUID | None
    job_name: str
    applied_set: str | None
    active_since: datetime
    from_seq: int
    reason: str
    by: str


def _stored(row: Row[Any]) -> StoredTrigger:
    return StoredTrigger(
        row.id,
        row.name,
        TriggerStatus(row.status),
        row.status_detail,
        row.version,
        row.spec,
        tuple(row.item_ids),
        row.active_since,
        row.applied_set,
        row.job_name,
        row.last_triggered,
        row.execution_count,
        row.failure_count,
        row.created_by,
        row.created_at,
        row.updated_at,
    )


_live = (
    select(_t, _v.c.spec, _v.c.item_ids)
    .join(_v, and_(_v.c.trigger_id == _t.c.id, _v.c.to_seq.is_(None)))
    .where(_t.c.deleted_at.is_(None))
)


def live(connection: Connection) -> dict[str, StoredTrigger]:
    """Every trigger that is not deleted, by name, in the order of names."""
    return {row.name: _stored(row) for row in connection.execute(_live.order_by(_t.c.name))}


def find(connection: Connection, name: str) -> StoredTrigger | None:
    """The trigger of that name that is not deleted."""
    row = connection.execute(_live.where(_t.c.name == name)).one_or_none()
    return _stored(row) if row is not None else None


def versions(connection: Connection, trigger_id: UUID) -> list[dict[str, Any]]:
    """Every version of a trigger, newest first, without its spec."""
    statement = (
        select(_v.c.version, _v.c.status, _v.c.reason, _v.c.created_by, _v.c.created_at, _v.c.from_seq)
        .where(_v.c.trigger_id == trigger_id)
        .order_by(_v.c.version.desc())
    )
    return [dict(row._mapping) for row in connection.execute(statement)]


def create(connection: Connection, new: NewVersion) -> UUID:
    """Store a new trigger as its version 1; returns its id."""
    statement = insert(_t).values(created_by=new.by, version=1, **_columns(new))
    trigger_id: UUID = connection.execute(statement.returning(_t.c.id)).scalar_one()
    _add_version(connection, trigger_id, 1, new)
    _write_parts(connection, trigger_id, new)
    return trigger_id


def change(connection: Connection, stored: StoredTrigger, new: NewVersion) -> None:
    """End the version in force and begin the next one; the owner stays."""
    version = stored.version + 1
    _end_version(connection, stored.id, new.from_seq)
    connection.execute(
        update(_t)
        .where(_t.c.id == stored.id)
        .values(version=version, updated_at=func.clock_timestamp(), status_detail=None, **_columns(new))
    )
    _add_version(connection, stored.id, version, new)
    for part in (trigger_items, trigger_conditions, trigger_actions):
        connection.execute(delete(part).where(part.c.trigger_id == stored.id))
    _write_parts(connection, stored.id, new)


def remove(connection: Connection, stored: StoredTrigger, from_seq: int, at: datetime) -> None:
    """Delete a trigger: no version is in force from now on; its history stays."""
    _end_version(connection, stored.id, from_seq)
    connection.execute(update(_t).where(_t.c.id == stored.id).values(deleted_at=at, updated_at=at))
    connection.execute(delete(trigger_items).where(trigger_items.c.trigger_id == stored.id))


def _columns(new: NewVersion) -> dict[str, Any]:
    spec = new.spec
    return {
        "name": spec.name,
        "description": spec.description,
        "status": new.status.value,
        "priority": spec.priority,
        "trigger_type": spec.type.value,
        "context_item_id": new.item_ids[0] if new.item_ids else None,
        "workspace_draft_id": new.draft_id,
        "deliverables": list(spec.deliverables),
        "resource_limits": spec.limits.model_dump(mode="json"),
        "match": spec.match.value,
        "on_own_writes": spec.on_own_writes,
        "job_name": new.job_name,
        "active_since": new.active_since,
        "applied_set": new.applied_set,
    }


def _end_version(connection: Connection, trigger_id: UUID, from_seq: int) -> None:
    connection.execute(
        update(_v).where(_v.c.trigger_id == trigger_id, _v.c.to_seq.is_(None)).values(to_seq=from_seq)
    )


def _add_version(connection: Connection, trigger_id: UUID, version: int, new: NewVersion) -> None:
    connection.execute(
        insert(_v).values(
            trigger_id=trigger_id,
            version=version,
            status=new.status.value,
            spec=new.spec.model_dump(mode="json"),
            item_ids=list(new.item_ids),
            from_seq=new.from_seq,
            active_since=new.active_since,
            reason=new.reason,
            created_by=new.by,
        )
    )


def _write_parts(connection: Connection, trigger_id: UUID, new: NewVersion) -> None:
    """The rows that users' tools read: items, conditions and actions in their order."""
    items: Sequence[UUID] = new.item_ids
    connection.execute(
        insert(trigger_items),
        [{"trigger_id": trigger_id, "item_id": item, "order_index": i} for i, item in enumerate(items)],
    )
    connection.execute(
        insert(trigger_conditions),
        [
            {
                "trigger_id": trigger_id,
                "condition_type": condition.type,
                "condition_config": condition.config,
                "order_index": index,
            }
            for index, condition in enumerate(new.spec.conditions)
        ],
    )
    connection.execute(
        insert(trigger_actions),
        [
            {
                "trigger_id": trigger_id,
                "action_type": action.type,
                "name": name,
                "action_config": action.config,
                "order_index": index,
            }
            for index, (action, name) in enumerate(zip(new.spec.actions, new.spec.step_names, strict=True))
        ],
    )
