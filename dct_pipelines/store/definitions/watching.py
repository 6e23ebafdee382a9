"""What became of an item since it was defined: its reading, its subjects, and who watches it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, func, select, update

from dct_pipelines.store.tables import (
    context_library,
    dynamic_context_triggers,
    events,
    item_cursors,
    item_timers,
    snapshots,
    trigger_items,
)
from dct_pipelines.store.watching.seen import seen_columns, with_cursors


def reading(connection: Connection, item_id: UUID) -> dict[str, Any]:
    """How the last reading of the item went, how much of it is known, and its latest event."""
    statement = select(
        *seen_columns(), item_cursors.c.changed_at, item_cursors.c.consecutive_failures
    ).select_from(context_library)
    cursor = connection.execute(with_cursors(statement).where(context_library.c.id == item_id)).one()
    subjects = select(func.count()).where(snapshots.c.item_id == item_id, snapshots.c.to_seq.is_(None))
    latest = (
        select(events.c.kind, events.c.subject, events.c.occurred_at, events.c.observed_at)
        .where(events.c.item_id == item_id)
        .order_by(events.c.seq.desc())
        .limit(1)
    )
    event = connection.execute(latest).one_or_none()
    return {
        "reading": dict(cursor._mapping) if cursor.state is not None else {"state": "new"},
        "subjects": connection.scalar(subjects) or 0,
        "latest_event": dict(event._mapping) if event is not None else None,
    }


def watchers(connection: Connection, item_id: UUID) -> list[str]:
    """Names of the triggers that watch the item."""
    statement = (
        select(dynamic_context_triggers.c.name)
        .join(trigger_items, trigger_items.c.trigger_id == dynamic_context_triggers.c.id)
        .where(trigger_items.c.item_id == item_id, dynamic_context_triggers.c.deleted_at.is_(None))
        .order_by(dynamic_context_triggers.c.name)
    )
    return list(connection.scalars(statement))


def forget_place(connection: Connection, item_id: UUID, from_seq: int) -> None:
    """The item is somewhere else now: its next reading is a first one, which reports nothing as changed."""
    connection.execute(delete(item_cursors).where(item_cursors.c.item_id == item_id))
    connection.execute(delete(item_timers).where(item_timers.c.item_id == item_id))
    connection.execute(
        update(snapshots)
        .where(snapshots.c.item_id == item_id, snapshots.c.to_seq.is_(None))
        .values(to_seq=from_seq)
    )
