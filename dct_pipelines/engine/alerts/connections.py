"""Connections as signs: down, with items that cannot be read, or read by nobody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from dct_pipelines.domain.counting import length_of
from dct_pipelines.domain.incidents import AlertRule, Sign
from dct_pipelines.engine.reading import DOWN_AFTER_FAILURES
from dct_pipelines.store.database import Row


def down_signs(connections: Sequence[Row[Any]]) -> Iterator[Sign]:
    """A connection that is down has failed three times in a row, or its credential was refused."""
    for row in connections:
        if row.consecutive_failures:
            yield Sign(
                AlertRule.CONNECTION,
                row.name,
                f"Connection {row.name} ({row.kind}) is down: {row.health_detail or 'no answer'}",
                is_over=row.consecutive_failures >= DOWN_AFTER_FAILURES,
                group=group_of(row.name),
                figures={"failures": row.consecutive_failures},
            )


def unreadable_signs(items: Sequence[Row[Any]]) -> Iterator[Sign]:
    """An item that could not be read three times in a row, or of which the provider says that it is gone.

    Its connection is well: without its items nothing happens there all the same. The subject has a slash,
    which no name has, so that an item is never taken for a connection.
    """
    for row in items:
        is_said = row.consecutive_failures == 0
        yield Sign(
            AlertRule.CONNECTION,
            f"{row.connection}/{row.item}",
            f"Item {row.item} of connection {row.connection} ({row.kind}) cannot be read: "
            f"{row.detail or 'no reason is known'}",
            is_over=is_said or row.consecutive_failures >= DOWN_AFTER_FAILURES,
            group=group_of(row.connection),
            figures={"item": row.item, "failures": row.consecutive_failures},
        )


def listener_signs(overdue: Sequence[Row[Any]], now: datetime) -> Iterator[Sign]:
    """A sign for each connection that is overdue."""
    for row in overdue:
        late = now - row.due_at
        yield Sign(
            AlertRule.LISTENER,
            row.name,
            f"Connection {row.name} ({row.kind}) is due for {length_of(late)} and "
            f"nobody reads it; is its sensor {row.kind}_listener running?",
            group=group_of(row.name),
            figures={"due_at": row.due_at.isoformat(), "late_seconds": round(late.total_seconds())},
        )


def overdue(
    connections: Sequence[Row[Any]], limit_seconds: float, paused_at: datetime | None, now: datetime
) -> list[Row[Any]]:
    """Connections that are due for longer than that. Before a restore nobody could read them."""
    since = now - timedelta(seconds=limit_seconds)
    return [row for row in connections if row.due_at < since and (paused_at is None or paused_at < since)]


def group_of(connection: str) -> str:
    """What incidents of one connection have in common."""
    return f"connection {connection}"
