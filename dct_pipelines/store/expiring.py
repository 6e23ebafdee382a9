"""Credentials that will not be accepted any more before long: our own tokens, and those of connections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, literal, select, update
from sqlalchemy.dialects.postgresql import insert

from dct_pipelines.store.tables import api_tokens, connections, credential_ends, users


def tokens(connection: Connection, until: datetime) -> Sequence[Row[Any]]:
    """Tokens in use that expire, or have expired, by then: name, user and when; the first one first."""
    token = api_tokens.c
    statement = (
        select(token.name, users.c.name.label("user"), token.expires_at)
        .join(users, users.c.id == token.user_id)
        .where(token.expires_at < until, token.revoked_at.is_(None), users.c.is_active)
    )
    return connection.execute(statement.order_by(token.expires_at, token.name)).all()


def credentials(connection: Connection, until: datetime) -> Sequence[Row[Any]]:
    """Credentials of connections that are switched on which end, or have ended, by then; the first one first.

    What was told of another reference than the connection has now counts no more.
    """
    end = credential_ends.c
    statement = (
        select(
            connections.c.id,
            connections.c.name,
            connections.c.kind,
            end.credential_ref,
            end.ends_at,
            end.warned_of.is_not_distinct_from(end.ends_at).label("is_warned_of"),
        )
        .join(connections, connections.c.id == end.connection_id)
        .where(
            end.ends_at < until, connections.c.is_enabled, connections.c.credential_ref == end.credential_ref
        )
    )
    return connection.execute(statement.order_by(end.ends_at, connections.c.name)).all()


def asked_at(connection: Connection, connection_id: UUID, credential_ref: str) -> datetime | None:
    """When the provider was last asked for the end of this credential; None: never."""
    end = credential_ends.c
    statement = select(end.asked_at).where(
        end.connection_id == connection_id, end.credential_ref == credential_ref
    )
    moment: datetime | None = connection.scalar(statement)
    return moment


def note(
    connection: Connection, name: str, credential_ref: str, ends_at: datetime | None, now: datetime
) -> None:
    """Keep what the provider said, unless the connection was deleted or has another credential by now."""
    told = select(
        connections.c.id,
        connections.c.credential_ref,
        literal(ends_at, credential_ends.c.ends_at.type),
        literal(now, credential_ends.c.asked_at.type),
    ).where(connections.c.name == name, connections.c.credential_ref == credential_ref)
    statement = insert(credential_ends).from_select(
        ["connection_id", "credential_ref", "ends_at", "asked_at"], told.with_for_update(key_share=True)
    )
    taken = {key: statement.excluded[key] for key in ("credential_ref", "ends_at", "asked_at")}
    connection.execute(statement.on_conflict_do_update(index_elements=["connection_id"], set_=taken))


def warned(connection: Connection, ends: Mapping[UUID, datetime]) -> None:
    """Remember, by connection, of which end it was said."""
    end = credential_ends.c
    for connection_id, ends_at in ends.items():
        statement = update(credential_ends).where(end.connection_id == connection_id)
        connection.execute(statement.values(warned_of=ends_at))
