"""What explanations read: sources and their cursors, decisions with their executions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, select

from dct_pipelines.domain.source import MANY_EVENTS
from dct_pipelines.store.tables import (
    connections,
    context_library,
    decisions,
    dynamic_context_triggers,
    events,
    trigger_executions,
    trigger_items,
)
from dct_pipelines.store.watching.seen import seen_columns, with_cursors


def item_id(connection: Connection, name: str) -> UUID | None:
    """The id of the item of that name."""
    return connection.scalar(
        select(context_library.c.id).where(
            context_library.c.name == name, context_library.c.deleted_at.is_(None)
        )
    )


def trigger(connection: Connection, name: str) -> Row[Any] | None:
    """The trigger of that name."""
    statement = select(dynamic_context_triggers).where(
        dynamic_context_triggers.c.name == name, dynamic_context_triggers.c.deleted_at.is_(None)
    )
    return connection.execute(statement).one_or_none()


def items_of(connection: Connection, trigger_id: UUID) -> list[UUID]:
    """The items that a trigger watches."""
    statement = select(trigger_items.c.item_id).where(trigger_items.c.trigger_id == trigger_id)
    return list(connection.scalars(statement.order_by(trigger_items.c.order_index)))


def event_of(connection: Connection, execution_id: UUID) -> UUID | None:
    """The event behind an execution."""
    return connection.scalar(
        select(trigger_executions.c.event_id).where(trigger_executions.c.id == execution_id)
    )


def sources(connection: Connection, item_ids: Sequence[UUID] | None) -> Sequence[Row[Any]]:
    """How items (None: all) are read: connection, health, cursor, number of stored events up to a bound."""
    some = (
        select(events.c.seq)
        .where(events.c.item_id == context_library.c.id)
        .limit(MANY_EVENTS + 1)
        .correlate(context_library)
        .subquery()
    )
    count = select(func.count()).select_from(some).scalar_subquery()
    statement = (
        select(
            context_library.c.name.label("item"),
            connections.c.name.label("connection"),
            connections.c.is_enabled,
            connections.c.health,
            connections.c.health_detail,
            connections.c.not_before,
            connections.c.next_due_at,
            *seen_columns(),
            count.label("events"),
        )
        .outerjoin(connections, connections.c.id == context_library.c.connection_id)
        .where(context_library.c.deleted_at.is_(None))
        .order_by(context_library.c.name)
    )
    if item_ids is not None:
        statement = statement.where(context_library.c.id.in_(item_ids))
    return connection.execute(with_cursors(statement)).all()


def decisions_of(connection: Connection, event_id: UUID) -> dict[UUID, Row[Any]]:
    """The stored decisions about an event by trigger, each with its execution if it made one."""
    execution = trigger_executions.c
    statement = (
        select(
            decisions,
            execution.status,
            execution.attempt,
            execution.wait_reason.label("execution_wait_reason"),
            execution.wait_detail,
            execution.not_before,
            execution.error_message,
            execution.created_at,
            execution.completed_at,
        )
        .outerjoin(trigger_executions, execution.id == decisions.c.execution_id)
        .where(decisions.c.event_id == event_id)
    )
    return {row.trigger_id: row for row in connection.execute(statement)}


def names_of(connection: Connection, by_trigger: Mapping[UUID, str]) -> dict[str, str]:
    """The same values under the triggers' names."""
    trigger = dynamic_context_triggers.c
    rows = connection.execute(select(trigger.id, trigger.name).where(trigger.id.in_(by_trigger)))
    return {row.name: by_trigger[row.id] for row in rows}
