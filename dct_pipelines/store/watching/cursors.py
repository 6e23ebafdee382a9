"""Cursors: the resume tokens of items and of whole connections, and how the last read of each went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB, insert

from dct_pipelines.domain.listener import ItemReading, Page
from dct_pipelines.store.tables import connection_cursors, connections, context_library, item_cursors


@dataclass(frozen=True)
class ReadFrom:
    """Where a read began: the resume token, of the item (with its place) or of the connection, of then.

    `places` are the locations of all items of a connection that is read by one question.
    """

    token: Mapping[str, Any]
    location: str | None = None
    places: Mapping[UUID, str] = field(default_factory=dict)


def token_of(connection: Connection, connection_id: UUID) -> Mapping[str, Any]:
    """The resume token of a whole connection; empty before its first read."""
    statement = select(connection_cursors.c.token).where(connection_cursors.c.connection_id == connection_id)
    found: Mapping[str, Any] | None = connection.scalar(statement)
    return found or {}


def is_still(connection: Connection, connection_id: UUID, page: Page, since: ReadFrom) -> bool:
    """Whether nobody read it since and its items are where they were then; both stay so until the commit."""
    item_id = page.item_id
    if item_id is None:
        lock = select(connections.c.id).where(connections.c.id == connection_id)
        connection.execute(lock.with_for_update(key_share=True))
        unmoved = _are_there(connection, connection_id, page, since.places)
        return unmoved and token_of(connection, connection_id) == since.token
    token = func.coalesce(item_cursors.c.token, literal({}, JSONB)) == literal(dict(since.token), JSONB)
    statement = (
        select(token & (context_library.c.location == since.location))
        .select_from(context_library)
        .outerjoin(item_cursors, item_cursors.c.item_id == context_library.c.id)
        .where(context_library.c.id == item_id)
        .with_for_update(key_share=True, of=context_library)
    )
    return bool(connection.scalar(statement))


def _are_there(connection: Connection, connection_id: UUID, page: Page, places: Mapping[UUID, str]) -> bool:
    """What was read of a ticket must not become what is known of another one, to which its item was moved."""
    told = {reading.item_id for reading in page.readings} | {event.item_id for event in page.events}
    told |= {snapshot.item_id for snapshot in page.snapshots} | {item_id for item_id, _ in page.all_gone}
    if not (wanted := told & places.keys()):
        return True
    statement = (
        select(context_library.c.id, context_library.c.location)
        .where(context_library.c.id.in_(wanted), context_library.c.connection_id == connection_id)
        .order_by(context_library.c.id)
        .with_for_update(key_share=True)
    )
    return dict(connection.execute(statement).tuples().all()) == {one: places[one] for one in wanted}


def read_ok(connection: Connection, connection_id: UUID, page: Page, now: datetime) -> None:
    """Store a page's resume token, and that the item or the connection could be read."""
    for reading in page.readings:
        _store_reading(connection, connection_id, reading, now)
    if page.token is None:
        return
    detail = "; ".join(page.notes) or None
    if page.item_id is None:
        whole = {"token": dict(page.token), "polled_at": now, "read_ok_at": now, "detail": detail}
        statement = insert(connection_cursors).values(connection_id=connection_id, **whole)
        connection.execute(statement.on_conflict_do_update(index_elements=["connection_id"], set_=whole))
        return
    values = {
        "token": dict(page.token),
        "polled_at": now,
        "read_ok_at": now,
        "state": "ok" if page.is_last else "reading",
        "detail": detail,
        "consecutive_failures": 0,
    }
    if page.is_last and not page.is_unchanged:
        values["changed_at"] = now
    _store(connection, connection_id, page.item_id, values)


def _store_reading(connection: Connection, connection_id: UUID, reading: ItemReading, now: datetime) -> None:
    values: dict[str, Any] = {
        "token": dict(reading.token),
        "polled_at": now,
        "state": "unreadable" if reading.unreadable else "ok",
        "detail": reading.unreadable,
    }
    if reading.unreadable is None:
        values |= {"read_ok_at": now, "consecutive_failures": 0}
    _store(connection, connection_id, reading.item_id, values)


def _store(connection: Connection, connection_id: UUID, item_id: UUID, values: dict[str, Any]) -> None:
    connection.execute(
        insert(item_cursors)
        .values(item_id=item_id, connection_id=connection_id, **values)
        .on_conflict_do_update(index_elements=["item_id"], set_=values)
    )


def read_failed(connection: Connection, connection_id: UUID, item_id: UUID, now: datetime, why: str) -> None:
    """Store that an item could not be read; its token stays where it was."""
    failed = {"polled_at": now, "state": "unreadable", "detail": why}
    connection.execute(
        insert(item_cursors)
        .values(item_id=item_id, connection_id=connection_id, consecutive_failures=1, **failed)
        .on_conflict_do_update(
            index_elements=["item_id"],
            set_=failed | {"consecutive_failures": item_cursors.c.consecutive_failures + 1},
        )
    )


def interrupted(connection: Connection, connection_id: UUID, item_id: UUID, now: datetime, why: str) -> None:
    """Store that a read of the item was tried, and why it broke off; what is known of the item stays."""
    _store(connection, connection_id, item_id, {"polled_at": now, "detail": why})
