"""How connections stand: when they were read, how far behind that is, and whether they are read at all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, select, update

from dct_pipelines.store.tables import (
    connection_cursors,
    connections,
    context_library,
    dead_letters,
    item_cursors,
)


def standings(connection: Connection) -> Sequence[Row[Any]]:
    """Every connection by name, with `items`, `unreadable` ones, `letters`, and `read_up_to`.

    That is when the item read longest ago was read, or all of them by one question; None: never.
    """
    item = (
        select(
            context_library.c.connection_id,
            func.count().label("items"),
            func.count().filter(item_cursors.c.state == "unreadable").label("unreadable"),
            func.min(item_cursors.c.read_ok_at).filter(item_cursors.c.state != "unreadable").label("oldest"),
        )
        .outerjoin(item_cursors, item_cursors.c.item_id == context_library.c.id)
        .where(context_library.c.deleted_at.is_(None))
        .group_by(context_library.c.connection_id)
        .subquery()
    )
    letters = (
        select(func.count())
        .where(dead_letters.c.connection_id == connections.c.id)
        .correlate(connections)
        .scalar_subquery()
    )
    statement = (
        select(
            connections,
            func.coalesce(item.c["items"], 0).label("items"),
            func.coalesce(item.c.unreadable, 0).label("unreadable"),
            letters.label("letters"),
            func.coalesce(connection_cursors.c.read_ok_at, item.c.oldest).label("read_up_to"),
        )
        .outerjoin(item, item.c.connection_id == connections.c.id)
        .outerjoin(connection_cursors, connection_cursors.c.connection_id == connections.c.id)
        .order_by(connections.c.name)
    )
    return connection.execute(statement).all()


def switch(connection: Connection, connection_id: UUID, *, is_enabled: bool, now: datetime) -> None:
    """Read a connection from now on, at once, or not any more; its cursors stay."""
    connection.execute(
        update(connections)
        .where(connections.c.id == connection_id)
        .values(is_enabled=is_enabled, updated_at=now, next_due_at=None, not_before=None)
    )
