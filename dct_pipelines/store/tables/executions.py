"""Executions, their attempts, the results of their actions, leases, and the shapes that are Dagster jobs."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from dct_pipelines.domain.execution import AttemptState, ExecutionState, TriggeredBy
from dct_pipelines.domain.words import ResultState
from dct_pipelines.store.tables.base import instant, json, metadata, one_of, reference, uuid_key, words

_LINE = """
CASE WHEN trigger_id IS NOT NULL AND item_id IS NOT NULL AND subject IS NOT NULL
THEN hash_array_extended(ARRAY[
    uuid_hash_extended(trigger_id, 0), uuid_hash_extended(item_id, 0), hashtextextended(subject, 0)
], 0) END
"""
"""The line of an execution: those of one trigger about one subject have the same number."""
_COHORT = """
hash_array_extended(ARRAY[
    COALESCE(uuid_hash_extended(trigger_id, 0), 0), COALESCE(uuid_hash_extended(connection_id, 0), 0),
    hashtextextended(job_name, 0), hash_array_extended(lease_keys, 0),
    jsonb_hash_extended(resource_limits, 0), priority, agents, workspaces, (attempt > 0)::int
], 0)
"""
"""The cohort of an execution: for admission those of one cohort differ by their line and age only."""


def _where_set(column: str, order: TextClause | None = None) -> Index:
    """An index of the rows that have the column: most rows do not, for long, and are written often."""
    return Index(
        f"ix_trigger_executions_{column}",
        column if order is None else order,
        postgresql_where=text(f"{column} IS NOT NULL"),
    )


trigger_executions = Table(
    "trigger_executions",
    metadata,
    uuid_key(),
    reference("trigger_id", "dynamic_context_triggers", nullable=True, index=False),
    Column("trigger_version", Integer),
    Column("event_id", UUID(as_uuid=True), index=True),
    reference("item_id", "context_library", nullable=True),
    Column("connection_id", UUID(as_uuid=True)),
    words("subject", nullable=True),
    Column("line", BigInteger, Computed(_LINE, persisted=True)),
    Column("line_order", BigInteger, nullable=False, server_default=text(str(2**62))),
    Column("cohort", BigInteger, Computed(_COHORT, persisted=True)),
    words("status", default="waiting"),
    words("triggered_by"),
    words("created_by"),
    Column("priority", Integer, nullable=False, server_default=text("5")),
    words("job_name"),
    json("actions"),
    json("resource_limits"),
    Column("lease_keys", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("agents", SmallInteger, nullable=False, server_default=text("0")),
    Column("workspaces", SmallInteger, nullable=False, server_default=text("0")),
    json("context_snapshot"),
    Column("cause_chain", ARRAY(UUID(as_uuid=True)), nullable=False, server_default=text("'{}'")),
    instant("created_at", now=True),
    instant("waits_since", now=True),
    instant("not_before"),
    words("wait_reason", nullable=True),
    words("wait_detail", nullable=True),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    instant("first_dispatched_at"),
    instant("dispatched_at"),
    instant("started_at"),
    instant("completed_at"),
    instant("deadline_at"),
    instant("cancel_requested_at"),
    words("cancel_requested_by", nullable=True),
    Column("dagster_run_id", Text),
    reference("workspace_id", "workspaces", nullable=True, index=False),
    reference("agent_id", "agents", nullable=True, index=False),
    json("deliverables", default="[]"),
    json("deliverables_completed", default="[]"),
    words("error_message", nullable=True),
    Column("error_is_transient", Boolean),
    json("metrics"),
    CheckConstraint("priority BETWEEN 1 AND 10", name="priority_range"),
    one_of("status", ExecutionState),
    one_of("triggered_by", TriggeredBy),
    Index("ix_trigger_executions_status", "status"),
    Index("ix_trigger_executions_started_at", text("started_at DESC")),
    Index("ix_trigger_executions_created_at", text("created_at DESC")),
    _where_set("completed_at", text("completed_at DESC")),
    _where_set("dagster_run_id"),
    _where_set("workspace_id"),
    _where_set("agent_id"),
    Index(
        "ix_trigger_executions_queue",
        "cohort",
        "waits_since",
        "line_order",
        postgresql_where=text("status = 'waiting' AND not_before IS NULL"),
    ),
    Index(
        "ix_trigger_executions_pausing",
        "not_before",
        postgresql_where=text("status = 'waiting' AND not_before IS NOT NULL"),
    ),
    Index(
        "ix_trigger_executions_line",
        "line",
        "line_order",
        postgresql_include=["cohort", "waits_since", "not_before"],
        postgresql_where=text("status = 'waiting'"),
    ),
    Index(
        "ix_trigger_executions_starts",
        "trigger_id",
        text("first_dispatched_at DESC"),
        postgresql_where=text("first_dispatched_at IS NOT NULL"),
    ),
    Index(
        "ix_trigger_executions_long",
        "completed_at",
        postgresql_where=text("completed_at - created_at > '01:00:00'::interval"),
    ),
    Index("ix_trigger_executions_trigger_id_created_at", "trigger_id", text("created_at DESC")),
)

execution_attempts = Table(
    "execution_attempts",
    metadata,
    reference("execution_id", "trigger_executions", index=False, ondelete="CASCADE"),
    Column("attempt", Integer, nullable=False),
    words("state", default="dispatched"),
    words("run_id", nullable=True),
    words("process", nullable=True),
    instant("dispatched_at", now=True),
    instant("started_at"),
    instant("heartbeat_at"),
    instant("ended_at"),
    words("error_message", nullable=True),
    PrimaryKeyConstraint("execution_id", "attempt"),
    one_of("state", AttemptState),
    Index("ix_execution_attempts_run_id", "run_id"),
    Index("ix_execution_attempts_lost", "ended_at", postgresql_where=text("state = 'lost'")),
    Index(
        "ix_execution_attempts_live",
        "state",
        "heartbeat_at",
        postgresql_where=text("state IN ('dispatched', 'running')"),
    ),
)

action_results = Table(
    "action_results",
    metadata,
    reference("execution_id", "trigger_executions", index=False, ondelete="CASCADE"),
    Column("action_index", Integer, nullable=False),
    words("action_type"),
    words("name"),
    words("state"),
    Column("attempt", Integer, nullable=False),
    words("idempotency_key"),
    json("config"),
    words("summary", default=""),
    json("outputs"),
    json("links", default="[]"),
    words("error_message", nullable=True),
    instant("started_at", nullable=False),
    instant("ended_at"),
    PrimaryKeyConstraint("execution_id", "action_index"),
    UniqueConstraint("idempotency_key"),
    one_of("state", ResultState),
)

leases = Table(
    "leases",
    metadata,
    Column("key", Text, primary_key=True),
    Column("execution_id", UUID(as_uuid=True), nullable=False),
    Column("attempt", Integer, nullable=False),
    instant("acquired_at", now=True),
    ForeignKeyConstraint(
        ["execution_id", "attempt"],
        ["dct.execution_attempts.execution_id", "dct.execution_attempts.attempt"],
        ondelete="CASCADE",
    ),
    Index("ix_leases_execution_id_attempt", "execution_id", "attempt"),
    comment="Exclusive holds. A lease lives as long as its attempt's heartbeat does.",
)

shapes = Table(
    "shapes",
    metadata,
    Column("job_name", Text, primary_key=True),
    Column("actions", ARRAY(Text), nullable=False, unique=True),
    instant("created_at", now=True),
    instant("last_used_at", now=True),
)
