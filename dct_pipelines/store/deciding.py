"""What deciding reads and writes: trigger versions in force, firings, decisions, new executions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import Connection, Row, and_, insert, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from dct_pipelines.domain.errors import InvalidInput
from dct_pipelines.domain.trigger import TriggerVersion
from dct_pipelines.domain.words import Coalesce
from dct_pipelines.store import coalescing, wakeups
from dct_pipelines.store.definitions import people
from dct_pipelines.store.tables import (
    activity,
    context_library,
    decisions,
    dynamic_context_triggers,
    trigger_executions,
    trigger_firings,
    trigger_versions,
    users,
)

VersionKey = tuple[UUID, int]
_VERSION = trigger_versions.c
_COUNT = text(
    """
    UPDATE dct.dynamic_context_triggers AS t
    SET execution_count = t.execution_count + n.fired, last_triggered = clock_timestamp()
    FROM unnest(CAST(:ids AS uuid[]), CAST(:counts AS integer[])) AS n(id, fired) WHERE t.id = n.id
    """
)
"""However many triggers fire in a page, one statement counts them."""


@dataclass(frozen=True)
class ItemFacts:
    """An item as templates and explanations name it."""

    id: UUID
    name: str
    kind: str
    location: str


def current_versions(connection: Connection) -> set[VersionKey]:
    """The version in force of every trigger that is not deleted."""
    statement = (
        select(_VERSION.trigger_id, _VERSION.version)
        .join(dynamic_context_triggers, dynamic_context_triggers.c.id == _VERSION.trigger_id)
        .where(_VERSION.to_seq.is_(None), dynamic_context_triggers.c.deleted_at.is_(None))
    )
    return {(row.trigger_id, row.version) for row in connection.execute(statement)}


def load_versions(connection: Connection, keys: Collection[VersionKey]) -> list[Row[Any]]:
    """These versions as they were saved, for `to_version`."""
    found: list[Row[Any]] = []
    wanted = list(keys)
    for start in range(0, len(wanted), 1000):
        chunk = wanted[start : start + 1000]
        rows = connection.execute(
            select(trigger_versions).where(tuple_(_VERSION.trigger_id, _VERSION.version).in_(chunk))
        )
        found.extend(rows)
    return found


def versions_at(
    connection: Connection, seq: int, *, item_id: UUID | None = None, trigger_id: UUID | None = None
) -> Sequence[Row[Any]]:
    """The versions in force for the event at `seq`, of one trigger or of those that watch an item."""
    statement = select(trigger_versions).where(
        _VERSION.from_seq <= seq, or_(_VERSION.to_seq.is_(None), _VERSION.to_seq > seq)
    )
    if item_id is not None:
        statement = statement.where(_VERSION.item_ids.contains([item_id]))
    if trigger_id is not None:
        statement = statement.where(_VERSION.trigger_id == trigger_id)
    return connection.execute(statement).all()


def to_version(row: Row[Any]) -> TriggerVersion:
    """The trigger version of a row; InvalidInput when another release saved what this one cannot read."""
    try:
        return TriggerVersion.model_validate(
            {name: value for name, value in row._mapping.items() if name in TriggerVersion.model_fields}
        )
    except ValidationError as error:
        faults = (
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False)
        )
        raise InvalidInput(f"another release saved it otherwise ({'; '.join(faults)})") from None


def item_facts(connection: Connection, item_ids: Collection[UUID]) -> dict[UUID, ItemFacts]:
    """Names and places of items."""
    statement = select(context_library).where(context_library.c.id.in_(item_ids))
    return {
        row.id: ItemFacts(row.id, row.name, row.kind, row.location) for row in connection.execute(statement)
    }


def owners(connection: Connection, trigger_ids: Collection[UUID]) -> dict[UUID, tuple[str, str | None]]:
    """By trigger: its owner's name, and role; None where the user is gone or not active.

    The local administrator is one before anybody has made users.
    """
    trigger, local = dynamic_context_triggers.c, people.LOCAL_USER
    statement = (
        select(trigger.id, trigger.created_by, users.c.role, users.c.is_active)
        .outerjoin(users, users.c.name == trigger.created_by)
        .where(trigger.id.in_(trigger_ids))
    )
    found: dict[UUID, tuple[str, str | None]] = {}
    for row in connection.execute(statement):
        role = row.role if row.is_active else None
        found[row.id] = (row.created_by, "admin" if row.created_by == local and row.role is None else role)
    return found


def win_firings(
    connection: Connection, firings: Mapping[tuple[UUID, str], UUID]
) -> dict[tuple[UUID, str], UUID]:
    """Of (trigger, once key) → new execution: those that nothing has fired for yet. The guard of §5."""
    if not firings:
        return {}
    rows = [
        {"trigger_id": trigger_id, "once_key": key, "execution_id": execution_id}
        for (trigger_id, key), execution_id in firings.items()
    ]
    statement = (
        upsert(trigger_firings)
        .on_conflict_do_nothing()
        .returning(trigger_firings.c.trigger_id, trigger_firings.c.once_key, trigger_firings.c.execution_id)
    )
    return {(row.trigger_id, row.once_key): row.execution_id for row in connection.execute(statement, rows)}


def fired_before(connection: Connection, keys: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], UUID]:
    """The execution that each (trigger, once key) has already fired."""
    if not keys:
        return {}
    statement = select(trigger_firings).where(
        tuple_(trigger_firings.c.trigger_id, trigger_firings.c.once_key).in_(keys)
    )
    return {(row.trigger_id, row.once_key): row.execution_id for row in connection.execute(statement)}


def insert_decisions(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store what was decided; a plain no is not among them."""
    if rows:
        connection.execute(insert(decisions), list(rows))


def insert_executions(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store new waiting executions, count them on their triggers, and tell who listens.

    Where only the newest firing of a line is wanted, the others that wait end here.
    """
    if not rows:
        return
    connection.execute(insert(trigger_executions), list(rows))
    latest = [row["id"] for row in rows if row["resource_limits"]["coalesce"] == Coalesce.LATEST]
    coalescing.supersede(connection, latest)
    counts: dict[UUID, int] = {}
    for row in rows:
        counts[row["trigger_id"]] = counts.get(row["trigger_id"], 0) + 1
    connection.execute(_COUNT, {"ids": list(counts), "counts": list(counts.values())})
    told = [
        {
            "kind": "execution_created",
            "execution_id": row["id"],
            "trigger_id": row["trigger_id"],
            "item_id": row["item_id"],
            "data": {"subject": row["subject"]},
        }
        for row in rows
    ]
    connection.execute(insert(activity), told)
    wakeups.notify(connection)


def mark_held(connection: Connection, waits: Mapping[UUID, str]) -> None:
    """Say of decisions that fired that a limit held their execution back (by execution → reason)."""
    for reason in set(waits.values()):
        ids = [execution_id for execution_id, why in waits.items() if why == reason]
        connection.execute(
            update(decisions)
            .where(and_(decisions.c.execution_id.in_(ids), decisions.c.outcome == "fired"))
            .values(outcome="held", wait_reason=reason)
        )
