"""Triggers, their versions, and what was decided about events."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from dct_pipelines.domain.words import DecisionOutcome, TriggerStatus, TriggerType
from dct_pipelines.store.tables.base import instant, json, metadata, one_of, reference, uuid_key, words

dynamic_context_triggers = Table(
    "dynamic_context_triggers",
    metadata,
    uuid_key(),
    words("name"),
    words("description", default=""),
    words("status", default="active"),
    words("status_detail", nullable=True),
    Column("priority", Integer, nullable=False, server_default=text("5")),
    words("trigger_type"),
    Column("requires_agent", Boolean, nullable=False, server_default=text("false")),
    reference("context_item_id", "context_library", nullable=True),
    reference("workspace_draft_id", "workspace_drafts", nullable=True),
    json("listener_config"),
    json("workspace_config"),
    json("agent_config"),
    json("deliverables", default="[]"),
    json("resource_limits"),
    words("match", default="any"),
    Column("on_own_writes", Boolean, nullable=False, server_default=text("false")),
    Column("version", Integer, nullable=False, server_default=text("1")),
    words("job_name"),
    instant("active_since", nullable=False),
    instant("last_triggered"),
    Column("execution_count", BigInteger, nullable=False, server_default=text("0")),
    Column("failure_count", BigInteger, nullable=False, server_default=text("0")),
    words("applied_set", nullable=True),
    words("created_by"),
    instant("created_at", now=True),
    instant("updated_at", now=True),
    instant("deleted_at"),
    CheckConstraint("priority BETWEEN 1 AND 10", name="priority_range"),
    CheckConstraint("match IN ('any', 'all')", name="match_known"),
    one_of("status", TriggerStatus),
    one_of("trigger_type", TriggerType),
    Index(
        "uq_dynamic_context_triggers_live_name",
        "name",
        unique=True,
        postgresql_where=text("deleted_at IS NULL"),
    ),
    Index("ix_dynamic_context_triggers_status", "status"),
)

trigger_items = Table(
    "trigger_items",
    metadata,
    reference("trigger_id", "dynamic_context_triggers", index=False, ondelete="CASCADE"),
    reference("item_id", "context_library"),
    Column("order_index", Integer, nullable=False),
    PrimaryKeyConstraint("trigger_id", "item_id"),
)

trigger_conditions = Table(
    "trigger_conditions",
    metadata,
    uuid_key(),
    reference("trigger_id", "dynamic_context_triggers", ondelete="CASCADE"),
    words("condition_type"),
    json("condition_config"),
    Column("order_index", Integer, nullable=False),
    instant("created_at", now=True),
)

trigger_actions = Table(
    "trigger_actions",
    metadata,
    uuid_key(),
    reference("trigger_id", "dynamic_context_triggers", ondelete="CASCADE"),
    words("action_type"),
    words("name"),
    json("action_config"),
    Column("requires_agent", Boolean, nullable=False, server_default=text("false")),
    Column("order_index", Integer, nullable=False),
    instant("created_at", now=True),
)

trigger_versions = Table(
    "trigger_versions",
    metadata,
    reference("trigger_id", "dynamic_context_triggers", index=False, ondelete="CASCADE"),
    Column("version", Integer, nullable=False),
    words("status"),
    json("spec"),
    Column("item_ids", ARRAY(UUID(as_uuid=True)), nullable=False),
    Column("from_seq", BigInteger, nullable=False),
    Column("to_seq", BigInteger),
    instant("active_since", nullable=False),
    words("reason", default=""),
    words("created_by"),
    instant("created_at", now=True),
    PrimaryKeyConstraint("trigger_id", "version"),
    Index("uq_trigger_versions_current", "trigger_id", unique=True, postgresql_where=text("to_seq IS NULL")),
    Index("ix_trigger_versions_item_ids", "item_ids", postgresql_using="gin"),
    comment="Every change, also of the status, is a version; in force for from_seq <= event.seq < to_seq.",
)

decisions = Table(
    "decisions",
    metadata,
    Column("event_id", UUID(as_uuid=True), nullable=False),
    Column("trigger_id", UUID(as_uuid=True), nullable=False),
    Column("trigger_version", Integer, nullable=False),
    words("outcome"),
    words("ignored_because", nullable=True),
    words("because"),
    json("conditions", default="[]"),
    words("once_key"),
    words("wait_reason", nullable=True),
    Column("execution_id", UUID(as_uuid=True), index=True),
    words("release"),
    instant("decided_at", now=True),
    PrimaryKeyConstraint("event_id", "trigger_id", "decided_at"),
    one_of("outcome", DecisionOutcome),
    Index("ix_decisions_trigger_id_decided_at", "trigger_id", text("decided_at DESC")),
    postgresql_partition_by="RANGE (decided_at)",
)

trigger_firings = Table(
    "trigger_firings",
    metadata,
    reference("trigger_id", "dynamic_context_triggers", index=False, ondelete="CASCADE"),
    words("once_key"),
    Column("execution_id", UUID(as_uuid=True), nullable=False),
    instant("created_at", now=True),
    PrimaryKeyConstraint("trigger_id", "once_key"),
    Index("ix_trigger_firings_created_at", "created_at"),
    comment="What a trigger has fired for: the guard that nothing fires twice. Kept longer than any replay.",
)
