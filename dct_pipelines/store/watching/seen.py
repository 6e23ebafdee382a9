"""When an item was last read, by itself or together with all items of its connection, and how that went."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_

from dct_pipelines.store.tables import connection_cursors, context_library, item_cursors

_own, _whole = item_cursors.c, connection_cursors.c
_is_unreadable = func.coalesce(_own.state, "") == "unreadable"
_since_it_is_there = _whole.read_ok_at >= context_library.c.created_at
_by_all = and_(or_(_since_it_is_there, _own.item_id.is_not(None)), ~_is_unreadable)
"""A read of the whole connection counts for an item that was there then and could be read."""


def seen_columns() -> tuple[ColumnElement[Any], ...]:
    """`state`, `detail`, `polled_at` and `read_ok_at` of an item of `context_library`."""
    return (
        func.coalesce(_own.state, case((_since_it_is_there, "ok"))).label("state"),
        func.coalesce(_own.detail, case((_by_all, _whole.detail))).label("detail"),
        func.greatest(_own.polled_at, case((_since_it_is_there, _whole.polled_at))).label("polled_at"),
        func.greatest(_own.read_ok_at, case((_by_all, _whole.read_ok_at))).label("read_ok_at"),
    )


def with_cursors(statement: Select[Any]) -> Select[Any]:
    """A statement about `context_library` joined with what `seen_columns` needs."""
    return statement.outerjoin(item_cursors, _own.item_id == context_library.c.id).outerjoin(
        connection_cursors, _whole.connection_id == context_library.c.connection_id
    )
