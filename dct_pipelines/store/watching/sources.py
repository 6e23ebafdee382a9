"""Connections that are due, their health, the items they are read for, cursors and timers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, and_, case, func, or_, select, text, update

from dct_pipelines.domain.words import ItemKind, ReadOutcome
from dct_pipelines.store.tables import checks, connections, context_library, item_cursors
from dct_pipelines.store.watching import reads

POLL_LOCK = 7_266_010
"""First key of the advisory locks that keep a connection from being read twice at the same time."""


@dataclass(frozen=True)
class Source:
    """A connection as intake needs it."""

    id: UUID
    name: str
    kind: str
    config: Mapping[str, Any]
    credential_ref: str | None
    consecutive_failures: int


@dataclass(frozen=True)
class Addressed:
    """A connection that somebody speaks to, due or not; until `not_before` it is not asked for anything."""

    source: Source
    is_enabled: bool
    not_before: datetime | None


@dataclass(frozen=True)
class SourceItem:
    """An item of a connection with its resume token."""

    id: UUID
    name: str
    kind: ItemKind
    location: str
    config: Mapping[str, Any]
    token: Mapping[str, Any]
    changed_at: datetime | None
    """When the item's page last brought something; checks reported since are handed to the next read."""
    consecutive_failures: int


def _source(row: Any) -> Source:
    return Source(row.id, row.name, row.kind, row.config, row.credential_ref, row.consecutive_failures)


def due(connection: Connection, kind: str, now: datetime) -> list[Source]:
    """Enabled connections of a kind whose interval and pauses are over, the longest due first."""
    statement = (
        select(connections)
        .where(
            connections.c.kind == kind,
            connections.c.is_enabled,
            or_(connections.c.next_due_at.is_(None), connections.c.next_due_at <= now),
            or_(connections.c.not_before.is_(None), connections.c.not_before <= now),
        )
        .order_by(connections.c.next_due_at.nulls_first())
    )
    return [_source(row) for row in connection.execute(statement)]


def by_name(connection: Connection, name: str) -> Addressed | None:
    """The connection of that name, if there is one."""
    row = connection.execute(select(connections).where(connections.c.name == name)).one_or_none()
    return Addressed(_source(row), row.is_enabled, row.not_before) if row is not None else None


def enabled(connection: Connection, kind: str) -> list[Source]:
    """Every connection of a kind that is switched on, by name."""
    statement = select(connections).where(connections.c.kind == kind, connections.c.is_enabled)
    return [_source(row) for row in connection.execute(statement.order_by(connections.c.name))]


def names(connection: Connection) -> list[str]:
    """The names of all connections."""
    return list(connection.scalars(select(connections.c.name)))


def of_items(connection: Connection, item_ids: Collection[UUID]) -> list[Source]:
    """The connections that these items are read through."""
    statement = (
        select(connections)
        .where(
            connections.c.id.in_(
                select(context_library.c.connection_id).where(context_library.c.id.in_(item_ids))
            )
        )
        .order_by(connections.c.name)
    )
    return [_source(row) for row in connection.execute(statement)]


def items(connection: Connection, connection_id: UUID) -> list[SourceItem]:
    """Every item of a connection, the one read longest ago first."""
    statement = (
        select(
            context_library,
            item_cursors.c.token,
            item_cursors.c.changed_at,
            func.coalesce(item_cursors.c.consecutive_failures, 0).label("consecutive_failures"),
        )
        .outerjoin(item_cursors, item_cursors.c.item_id == context_library.c.id)
        .where(context_library.c.connection_id == connection_id, context_library.c.deleted_at.is_(None))
        .order_by(item_cursors.c.polled_at.nulls_first(), context_library.c.name)
    )
    return [
        SourceItem(
            row.id,
            row.name,
            ItemKind(row.kind),
            row.location,
            row.config,
            row.token or {},
            row.changed_at,
            row.consecutive_failures,
        )
        for row in connection.execute(statement)
    ]


def try_lock(connection: Connection, connection_id: UUID) -> bool:
    """Take the reading lock of a connection for this database session; False: somebody reads it now."""
    return bool(
        connection.scalar(
            text("SELECT pg_try_advisory_lock(:space, hashtext(:id))"),
            {"space": POLL_LOCK, "id": str(connection_id)},
        )
    )


def unlock(connection: Connection, connection_id: UUID) -> None:
    """Give the reading lock back."""
    connection.execute(
        text("SELECT pg_advisory_unlock(:space, hashtext(:id))"),
        {"space": POLL_LOCK, "id": str(connection_id)},
    )


def healthy(
    connection: Connection, connection_id: UUID, now: datetime, next_due_at: datetime, began_at: datetime
) -> int:
    """The connection answered; it is due again at `next_due_at`, or earlier when told so during the read.

    Returns how many failures in a row came before.
    """
    before = _locked(connection, connection_id)
    told_meanwhile = and_(connections.c.next_due_at > began_at, connections.c.next_due_at <= now)
    connection.execute(
        update(connections)
        .where(connections.c.id == connection_id)
        .values(
            health="ok",
            health_detail=None,
            health_since=case((connections.c.health == "ok", connections.c.health_since), else_=now),
            consecutive_failures=0,
            not_before=None,
            last_polled_at=now,
            last_ok_at=now,
            next_due_at=case((told_meanwhile, connections.c.next_due_at), else_=next_due_at),
        )
    )
    if before is None:
        return 0
    reads.count(connection, connection_id, ReadOutcome.OK, now, before.last_ok_at)
    failures: int = before.consecutive_failures
    return failures


def due_at_once(connection: Connection, connection_id: UUID, now: datetime) -> None:
    """Have the connection read by the next tick, also when a read is under way: that one may have missed it.

    A pause that it was given after an error stays.
    """
    connection.execute(update(connections).where(connections.c.id == connection_id).values(next_due_at=now))


def unhealthy(
    connection: Connection,
    connection_id: UUID,
    now: datetime,
    *,
    health: str,
    why: str,
    not_before: datetime,
    counts_as: int = 1,
    outcome: ReadOutcome = ReadOutcome.UNREACHABLE,
) -> int:
    """The connection could not be read as a whole; it is left alone until `not_before`.

    Returns how many failures in a row came before. A throttled connection has not failed; one that is down
    at once counts as so many.
    """
    row = _locked(connection, connection_id)
    before: int = row.consecutive_failures if row else 0
    failures = before if health == "throttled" else max(before + 1, counts_as)
    connection.execute(
        update(connections)
        .where(connections.c.id == connection_id)
        .values(
            health=health,
            health_detail=why,
            health_since=case((connections.c.health == health, connections.c.health_since), else_=now),
            consecutive_failures=failures,
            not_before=not_before,
            last_polled_at=now,
        )
    )
    if row is not None:
        reads.count(connection, connection_id, outcome, now)
    return before


def _locked(connection: Connection, connection_id: UUID) -> Row[Any] | None:
    """What stood there before; None when the connection was deleted meanwhile."""
    statement = select(connections.c.consecutive_failures, connections.c.last_ok_at)
    return connection.execute(
        statement.where(connections.c.id == connection_id).with_for_update()
    ).one_or_none()


def reported_checks(
    connection: Connection, item_id: UUID, since: datetime | None
) -> dict[str, dict[str, dict[str, Any]]]:
    """Checks reported on a repository since then: commit → name → {state, url}. The bound is inclusive."""
    statement = select(checks).where(checks.c.repository_item_id == item_id)
    if since is not None:
        statement = statement.where(checks.c.reported_at >= since)
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in connection.execute(statement):
        found.setdefault(row.commit, {})[row.name] = {"state": row.state, "url": row.url}
    return found
