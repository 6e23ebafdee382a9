"""Incidents, and the messages about them that are on their way: an outbox, written with the incident."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table, text
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from dct_pipelines.domain.alerts import MessageKind
from dct_pipelines.domain.incidents import AlertRule, IncidentState
from dct_pipelines.store.tables.base import instant, json, metadata, one_of, uuid_key, words

incidents = Table(
    "incidents",
    metadata,
    uuid_key(),
    words("rule"),
    words("subject"),
    words("state"),
    words("group_name", default=""),
    words("text"),
    json("figures"),
    instant("first_seen_at", nullable=False),
    instant("last_seen_at", nullable=False),
    instant("well_since"),
    instant("opened_at"),
    instant("acknowledged_at"),
    words("acknowledged_by", nullable=True),
    instant("resolved_at"),
    words("resolved_by", nullable=True),
    one_of("rule", AlertRule),
    one_of("state", IncidentState),
    Index("uq_incidents_live", "rule", "subject", unique=True, postgresql_where=text("state <> 'resolved'")),
    Index("ix_incidents_opened_at", text("opened_at DESC")),
    Index("ix_incidents_resolved_at", text("resolved_at DESC"), postgresql_where=text("state = 'resolved'")),
    comment="What is, or was, out of order; one live row for each rule and subject.",
)

alert_messages = Table(
    "alert_messages",
    metadata,
    uuid_key(),
    words("kind"),
    words("destination"),
    Column("incident_ids", ARRAY(UUID(as_uuid=True)), nullable=False, server_default=text("'{}'")),
    json("message"),
    instant("created_at", nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    instant("next_attempt_at"),
    instant("sent_at"),
    instant("dropped_at"),
    words("last_error", nullable=True),
    one_of("kind", MessageKind),
    Index(
        "ix_alert_messages_next_attempt_at",
        "next_attempt_at",
        postgresql_where=text("sent_at IS NULL AND dropped_at IS NULL"),
    ),
    Index("ix_alert_messages_created_at", text("created_at DESC")),
    comment="Written with the incident that it tells of; sent afterwards, again until it arrives.",
)
