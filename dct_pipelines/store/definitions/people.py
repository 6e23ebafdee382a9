"""Users with their roles, and the audit log: who changed what, when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from dct_pipelines.store.tables import audit_log, users

LOCAL_USER = "local"
"""Who the command line acts as, unless `--as` says otherwise: the administrator of this machine."""


@dataclass(frozen=True)
class User:
    """Somebody who may do what `role` allows."""

    name: str
    role: str
    email: str | None
    is_active: bool
    created_at: datetime


def _user(row: Row[Any]) -> User:
    return User(row.name, row.role, row.email, row.is_active, row.created_at)


def ensure_local_admin(connection: Connection) -> None:
    """Make sure that the local administrator is there; an existing row stays as it is."""
    statement = upsert(users).values(name=LOCAL_USER, role="admin")
    connection.execute(statement.on_conflict_do_nothing(index_elements=["name"]))


def find(connection: Connection, name: str) -> User | None:
    """The user of that name."""
    row = connection.execute(select(users).where(users.c.name == name)).one_or_none()
    return _user(row) if row is not None else None


def every(connection: Connection) -> dict[str, User]:
    """Every user by name."""
    return {row.name: _user(row) for row in connection.execute(select(users).order_by(users.c.name))}


def save(connection: Connection, name: str, role: str, email: str | None) -> None:
    """Add a user, or change role and address of an existing one."""
    statement = upsert(users).values(name=name, role=role, email=email)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["name"],
            set_={"role": role, "email": email, "updated_at": func.clock_timestamp()},
        )
    )


def audit(
    connection: Connection, actor: str, verb: str, kind: str, name: str, detail: Mapping[str, Any]
) -> None:
    """Note a change. `detail` never holds a secret: definitions hold references only."""
    connection.execute(
        insert(audit_log).values(
            actor=actor, verb=verb, object_kind=kind, object_name=name, detail=dict(detail)
        )
    )


def audited(connection: Connection, kind: str, name: str, limit: int = 20) -> list[dict[str, Any]]:
    """The latest changes of one definition, newest first."""
    statement = (
        select(audit_log.c.at, audit_log.c.actor, audit_log.c.verb, audit_log.c.detail)
        .where(audit_log.c.object_kind == kind, audit_log.c.object_name == name)
        .order_by(audit_log.c.id.desc())
        .limit(limit)
    )
    return [dict(row._mapping) for row in connection.execute(statement)]
