"""Timers of items: moments at which an item has to be read again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, and_, delete, select
from sqlalchemy.dialects.postgresql import insert

from dct_pipelines.domain.listener import Timer
from dct_pipelines.store.tables import item_timers


def due_timers(connection: Connection, item_id: UUID, now: datetime) -> tuple[Timer, ...]:
    """Timers of an item whose moment has come."""
    statement = select(item_timers).where(item_timers.c.item_id == item_id, item_timers.c.due_at <= now)
    return tuple(
        Timer(row.item_id, row.subject, row.key, row.due_at)
        for row in connection.execute(statement.order_by(item_timers.c.due_at))
    )


def store_timers(
    connection: Connection,
    item_id: UUID | None,
    timers: Sequence[Timer],
    dropped: Sequence[tuple[str, str]] = (),
) -> None:
    """Set timers, replacing those of the same key, and drop those of the item that are done."""
    for subject, key in dropped:
        connection.execute(
            delete(item_timers).where(
                and_(
                    item_timers.c.item_id == item_id,
                    item_timers.c.subject == subject,
                    item_timers.c.key == key,
                )
            )
        )
    if timers:
        rows = [
            {"item_id": timer.item_id, "subject": timer.subject, "key": timer.key, "due_at": timer.due_at}
            for timer in timers
        ]
        statement = insert(item_timers)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["item_id", "subject", "key"], set_={"due_at": statement.excluded.due_at}
            ),
            rows,
        )
