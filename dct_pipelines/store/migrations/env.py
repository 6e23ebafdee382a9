"""Run by Alembic for each command: uses the connection and transaction that `store/schema.py` hands in."""

from __future__ import annotations

from alembic import context

from dct_pipelines.store.migrations.options import ALEMBIC_OPTIONS
from dct_pipelines.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, **ALEMBIC_OPTIONS
)
with context.begin_transaction():
    context.run_migrations()
