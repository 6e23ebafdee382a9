"""Quotas that operators set at run time, and the slots of what is alive and counts against them."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Integer, PrimaryKeyConstraint, Table, Text
from sqlalchemy.dialects.postgresql import UUID

from dct_pipelines.domain.quotas import AgentClass, Quota, SlotKind
from dct_pipelines.store.tables.base import instant, metadata, one_of, words

quotas = Table(
    "quotas",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Integer, nullable=False),
    words("set_by"),
    instant("set_at", now=True),
    one_of("name", Quota),
    CheckConstraint("value >= 0", name="value_not_negative"),
    CheckConstraint(f"name <> '{Quota.AGENT_RESERVATION_PERCENT}' OR value <= 100", name="percent_range"),
    comment="What operators set instead of the settings; a quota without a row is that of its setting.",
)

slots = Table(
    "slots",
    metadata,
    words("kind"),
    Column("holder", UUID(as_uuid=True), nullable=False),
    words("agent_class", nullable=True),
    Column("execution_id", UUID(as_uuid=True), index=True),
    Column("attempt", Integer),
    instant("taken_at", now=True),
    instant("heartbeat_at"),
    PrimaryKeyConstraint("kind", "holder"),
    one_of("kind", SlotKind),
    one_of("agent_class", AgentClass),
    CheckConstraint(
        f"(kind = '{SlotKind.AGENT}') = (agent_class IS NOT NULL AND heartbeat_at IS NOT NULL)",
        name="agents_have_a_class_and_beat",
    ),
    comment="One row for each live agent and workspace. They outlive the run that made them.",
)
