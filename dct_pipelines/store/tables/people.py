"""Users and what they did: accounts, tokens, sessions, the audit log and the activity stream."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from dct_pipelines.store.tables.base import instant, json, metadata, reference, uuid_key, words

ROLES = ("developer", "tester", "product_manager", "operator", "admin")

users = Table(
    "users",
    metadata,
    uuid_key(),
    Column("name", Text, nullable=False, unique=True),
    words("email", nullable=True),
    words("role"),
    words("password_hash", nullable=True),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    instant("created_at", now=True),
    instant("updated_at", now=True),
    CheckConstraint(f"role IN ({', '.join(repr(role) for role in ROLES)})", name="role_known"),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    uuid_key(),
    reference("user_id", "users", ondelete="CASCADE"),
    words("name"),
    Column("token_sha256", Text, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    instant("created_at", now=True),
    instant("expires_at"),
    instant("last_used_at"),
    instant("revoked_at"),
)

sessions = Table(
    "sessions",
    metadata,
    uuid_key(),
    reference("user_id", "users", ondelete="CASCADE"),
    Column("token_sha256", Text, nullable=False, unique=True),
    instant("created_at", now=True),
    instant("expires_at", nullable=False),
    instant("last_seen_at"),
    instant("revoked_at"),
)

activity = Table(
    "activity",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    instant("at", now=True),
    words("kind"),
    Column("trigger_id", UUID(as_uuid=True)),
    Column("execution_id", UUID(as_uuid=True)),
    Column("item_id", UUID(as_uuid=True)),
    json("data"),
    Index("ix_activity_at", text("at DESC")),
    Index("ix_activity_execution_id", "execution_id"),
    comment="Append-only: what happened, in order, for live views.",
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    instant("at", now=True),
    words("actor"),
    words("verb"),
    words("object_kind"),
    words("object_name"),
    json("detail"),
    Index("ix_audit_log_at", text("at DESC")),
    Index("ix_audit_log_object_kind_object_name", "object_kind", "object_name"),
)
