"""What is watched and what was seen: connections, the context library, cursors, snapshots, events."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from dct_pipelines.domain.words import ItemKind, ReadOutcome
from dct_pipelines.store.tables.base import instant, json, metadata, one_of, reference, uuid_key, words

intake_order = Table(
    "intake_order",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False, server_default=text("1")),
    Column("next_seq", BigInteger, nullable=False, server_default=text("1")),
    Column("trigger_generation", BigInteger, nullable=False, server_default=text("1")),
    instant("restored_at"),
    instant("restored_to"),
    Column("restored_from", UUID(as_uuid=True)),
    CheckConstraint("id = 1", name="single_row"),
    comment="One row. Its lock orders events and changes of triggers in one total order (decision 0002).",
)

connections = Table(
    "connections",
    metadata,
    uuid_key(),
    Column("name", Text, nullable=False, unique=True),
    words("kind"),
    json("config"),
    words("credential_ref", nullable=True),
    Column("is_enabled", Boolean, nullable=False, server_default=text("true")),
    words("health", default="unknown"),
    words("health_detail", nullable=True),
    instant("health_since"),
    Column("consecutive_failures", Integer, nullable=False, server_default=text("0")),
    instant("not_before"),
    instant("last_polled_at"),
    instant("last_ok_at"),
    instant("next_due_at"),
    words("created_by"),
    instant("created_at", now=True),
    instant("updated_at", now=True),
    CheckConstraint("health IN ('unknown', 'ok', 'failing', 'down', 'throttled')", name="health_known"),
)

context_library = Table(
    "context_library",
    metadata,
    uuid_key(),
    Column("name", Text, nullable=False, unique=True),
    words("kind"),
    reference("connection_id", "connections", nullable=True),
    words("location"),
    words("title", default=""),
    json("config"),
    json("tags", default="[]"),
    words("created_by"),
    instant("created_at", now=True),
    instant("updated_at", now=True),
    instant("deleted_at"),
    one_of("kind", ItemKind),
)

item_cursors = Table(
    "item_cursors",
    metadata,
    Column("item_id", UUID(as_uuid=True), primary_key=True),
    reference("connection_id", "connections", ondelete="CASCADE"),
    json("token"),
    instant("polled_at"),
    instant("read_ok_at"),
    instant("changed_at"),
    words("state", default="new"),
    words("detail", nullable=True),
    Column("consecutive_failures", Integer, nullable=False, server_default=text("0")),
    CheckConstraint("state IN ('new', 'ok', 'reading', 'unreadable')", name="state_known"),
)

connection_cursors = Table(
    "connection_cursors",
    metadata,
    reference("connection_id", "connections", index=False, ondelete="CASCADE"),
    json("token"),
    instant("polled_at"),
    instant("read_ok_at"),
    words("detail", nullable=True),
    PrimaryKeyConstraint("connection_id"),
    comment="Cursors of connections whose items are all read by one question.",
)

credential_ends = Table(
    "credential_ends",
    metadata,
    reference("connection_id", "connections", index=False, ondelete="CASCADE"),
    words("credential_ref"),
    instant("ends_at"),
    instant("asked_at", nullable=False),
    instant("warned_of"),
    PrimaryKeyConstraint("connection_id"),
    comment="When the credential of a connection ends, as its provider said; where it says so at all.",
)

connection_reads = Table(
    "connection_reads",
    metadata,
    reference("connection_id", "connections", index=False, ondelete="CASCADE"),
    instant("hour", nullable=False),
    words("outcome"),
    Column("reads", Integer, nullable=False),
    Column("longest_gap_seconds", Double),
    PrimaryKeyConstraint("connection_id", "hour", "outcome"),
    one_of("outcome", ReadOutcome),
    Index("ix_connection_reads_hour", "hour"),
    comment="How many reads of a connection ended how in an hour of UTC; counted with its health.",
)

call_budgets = Table(
    "call_budgets",
    metadata,
    words("account"),
    words("bucket"),
    instant("minute", nullable=False),
    Column("calls", Integer, nullable=False, server_default=text("0")),
    Column("calls_before", Integer, nullable=False, server_default=text("0")),
    Column("limit_per_minute", Integer),
    Column("remaining", Integer),
    instant("resets_at"),
    instant("not_before"),
    PrimaryKeyConstraint("account", "bucket"),
    comment="Calls of one credential in this minute and the one before, and what the provider said is left.",
)

dead_letters = Table(
    "dead_letters",
    metadata,
    uuid_key(),
    reference("connection_id", "connections", index=False, ondelete="CASCADE"),
    reference("item_id", "context_library", nullable=True, ondelete="CASCADE"),
    words("key"),
    words("raw"),
    words("why"),
    Column("count", Integer, nullable=False, server_default=text("1")),
    instant("received_at", now=True),
    instant("last_received_at", now=True),
    UniqueConstraint("connection_id", "key"),
    comment="What providers sent and nobody could understand, as it came.",
)

item_timers = Table(
    "item_timers",
    metadata,
    reference("item_id", "context_library", index=False, ondelete="CASCADE"),
    words("subject"),
    words("key"),
    instant("due_at", nullable=False),
    PrimaryKeyConstraint("item_id", "subject", "key"),
    Index("ix_item_timers_due_at", "due_at"),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    reference("item_id", "context_library", index=False, ondelete="CASCADE"),
    words("subject"),
    Column("from_seq", BigInteger, nullable=False),
    Column("to_seq", BigInteger),
    json("state"),
    instant("observed_at", nullable=False),
    Index("uq_snapshots_current", "item_id", "subject", unique=True, postgresql_where=text("to_seq IS NULL")),
    Index("ix_snapshots_item_id_subject_from_seq", "item_id", "subject", "from_seq"),
    Index("ix_snapshots_to_seq", "to_seq", postgresql_where=text("to_seq IS NOT NULL")),
    comment="Valid for events with from_seq <= seq < to_seq; to_seq NULL is the current state.",
)

events = Table(
    "events",
    metadata,
    Column("id", UUID(as_uuid=True), nullable=False, server_default=text("gen_random_uuid()")),
    Column("seq", BigInteger, nullable=False),
    Column("connection_id", UUID(as_uuid=True), nullable=False),
    Column("item_id", UUID(as_uuid=True), nullable=False),
    words("subject"),
    words("kind"),
    words("dedup_key"),
    instant("occurred_at", nullable=False),
    instant("observed_at", nullable=False),
    json("actor", default=None),
    json("payload"),
    json("cause", default=None),
    words("release"),
    PrimaryKeyConstraint("id", "observed_at"),
    Index("ix_events_seq", "seq"),
    Index("ix_events_item_id_seq", "item_id", "seq"),
    Index("ix_events_item_id_subject_seq", "item_id", "subject", "seq"),
    Index("ix_events_occurred_at", text("occurred_at DESC")),
    Index("ix_events_observed_at", "observed_at", postgresql_using="brin"),
    Index("ix_events_kind_seq", "kind", "seq"),
    postgresql_partition_by="RANGE (observed_at)",
)

event_keys = Table(
    "event_keys",
    metadata,
    reference("connection_id", "connections", index=False, ondelete="CASCADE"),
    words("dedup_key"),
    Column("event_id", UUID(as_uuid=True), nullable=False),
    instant("created_at", now=True),
    PrimaryKeyConstraint("connection_id", "dedup_key"),
    Index("ix_event_keys_created_at", "created_at"),
    comment="Keys of events already taken in; kept longer than the events, than any overlap or replay.",
)

own_writes = Table(
    "own_writes",
    metadata,
    reference("item_id", "context_library", index=False, ondelete="CASCADE"),
    words("external_id"),
    Column("execution_id", UUID(as_uuid=True), nullable=False, index=True),
    Column("chain", ARRAY(UUID(as_uuid=True)), nullable=False),
    instant("created_at", now=True),
    PrimaryKeyConstraint("item_id", "external_id"),
    Index("ix_own_writes_created_at", "created_at"),
    comment="What we are about to write, said before the write, so that its event gets its cause.",
)
