"""Credentials of ours that will not be accepted any more before long."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from dct_pipelines.store.tables import api_tokens, users


def tokens(connection: Connection, until: datetime) -> Sequence[Row[Any]]:
    """Tokens in use that expire, or have expired, by then: name, user and when; the first one first."""
    token = api_tokens.c
    statement = (
        select(token.name, users.c.name.label("user"), token.expires_at)
        .join(users, users.c.id == token.user_id)
        .where(token.expires_at < until, token.revoked_at.is_(None), users.c.is_active)
    )
    return connection.execute(statement.order_by(token.expires_at, token.name)).all()
