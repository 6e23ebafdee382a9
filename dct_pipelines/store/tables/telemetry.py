"""What telling others needs to remember: how far endings were told, and totals that never fall."""

from __future__ import annotations

from sqlalchemy import Column, Float, PrimaryKeyConstraint, Table, Text, text

from dct_pipelines.store.tables.base import instant, metadata, words

telemetry_cursors = Table(
    "telemetry_cursors",
    metadata,
    Column("name", Text, primary_key=True),
    instant("through", nullable=False),
    comment="Up to which moment the endings of executions were counted (metrics) and sent (traces).",
)

telemetry_totals = Table(
    "telemetry_totals",
    metadata,
    words("measure"),
    words("label"),
    Column("bound", Float, nullable=False, server_default=text("0")),
    Column("value", Float, nullable=False),
    PrimaryKeyConstraint("measure", "label", "bound"),
    comment="Totals for Prometheus since they were first asked for; retention does not make them fall.",
)
