"""Snapshots: the state of each subject, now and as it was when an event was decided."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Connection, and_, delete, insert, or_, select, tuple_, update

from dct_pipelines.domain.snapshot import Snapshot, State
from dct_pipelines.store.tables import snapshots

_STATE: TypeAdapter[State] = TypeAdapter(State)


def states(connection: Connection, item_id: UUID) -> dict[str, State]:
    """The current state of every subject of an item."""
    rows = connection.execute(
        select(snapshots.c.subject, snapshots.c.state).where(
            snapshots.c.item_id == item_id, snapshots.c.to_seq.is_(None)
        )
    )
    return {row.subject: _STATE.validate_python(row.state) for row in rows}


def of_subjects(
    connection: Connection, subjects: Collection[tuple[UUID, str]]
) -> dict[tuple[UUID, str], State]:
    """The current states of these (item, subject) pairs; those that are not known are left out."""
    if not subjects:
        return {}
    rows = connection.execute(
        select(snapshots.c.item_id, snapshots.c.subject, snapshots.c.state).where(
            tuple_(snapshots.c.item_id, snapshots.c.subject).in_(subjects), snapshots.c.to_seq.is_(None)
        )
    )
    return {(row.item_id, row.subject): _STATE.validate_python(row.state) for row in rows}


def below(connection: Connection, item_id: UUID, prefix: str) -> dict[str, State]:
    """The current states of an item's subjects that begin with `prefix`."""
    rows = connection.execute(
        select(snapshots.c.subject, snapshots.c.state).where(
            snapshots.c.item_id == item_id,
            snapshots.c.subject.startswith(prefix, autoescape=True),
            snapshots.c.to_seq.is_(None),
        )
    )
    return {row.subject: _STATE.validate_python(row.state) for row in rows}


def replace(
    connection: Connection, seq: int, new: Sequence[Snapshot], gone: Collection[tuple[UUID, str]] = ()
) -> None:
    """Make `new` the current states for events from `seq` on; `gone` (item, subject) have none any more."""
    subjects = [(snapshot.item_id, snapshot.subject) for snapshot in new] + list(gone)
    if not subjects:
        return
    current = and_(
        tuple_(snapshots.c.item_id, snapshots.c.subject).in_(subjects), snapshots.c.to_seq.is_(None)
    )
    connection.execute(delete(snapshots).where(current, snapshots.c.from_seq == seq))
    connection.execute(update(snapshots).where(current).values(to_seq=seq))
    if new:
        rows = [
            {
                "item_id": snapshot.item_id,
                "subject": snapshot.subject,
                "from_seq": seq,
                "state": snapshot.state.model_dump(mode="json"),
                "observed_at": snapshot.observed_at,
            }
            for snapshot in new
        ]
        connection.execute(insert(snapshots), rows)


def as_of(
    connection: Connection,
    item_ids: Collection[UUID],
    seq: int | None,
    *,
    kinds: Collection[str] | None = None,
    subject: str | None = None,
) -> list[Snapshot]:
    """Snapshots of items that an event at `seq` saw (None: the current ones), by kind or subject."""
    in_force = (
        snapshots.c.to_seq.is_(None)
        if seq is None
        else and_(snapshots.c.from_seq <= seq, or_(snapshots.c.to_seq.is_(None), snapshots.c.to_seq > seq))
    )
    statement = select(snapshots).where(snapshots.c.item_id.in_(item_ids), in_force)
    if kinds is not None:
        statement = statement.where(snapshots.c.state["kind"].astext.in_(kinds))
    if subject is not None:
        statement = statement.where(snapshots.c.subject == subject)
    rows = connection.execute(statement.order_by(snapshots.c.subject))
    return [Snapshot.model_validate(_fields(row._mapping)) for row in rows]


def _fields(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {name: row[name] for name in Snapshot.model_fields}
