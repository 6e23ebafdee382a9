"""Counts reads of connections by the hour: what `metrics.integration_health` is computed from."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Connection, func
from sqlalchemy.dialects.postgresql import insert

from dct_pipelines.domain.words import ReadOutcome
from dct_pipelines.store.tables import connection_reads


def count(
    connection: Connection,
    connection_id: UUID,
    outcome: ReadOutcome,
    now: datetime,
    last_ok_at: datetime | None = None,
) -> None:
    """Count one read that ended now. `last_ok_at` is when the good one before a good one ended."""
    gap = max((now - last_ok_at).total_seconds(), 0.0) if last_ok_at is not None else None
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    first = insert(connection_reads).values(
        connection_id=connection_id, hour=hour, outcome=outcome, reads=1, longest_gap_seconds=gap
    )
    known, new = connection_reads.c, first.excluded
    longest = func.greatest(known.longest_gap_seconds, new.longest_gap_seconds)
    counted = {"reads": known.reads + 1, "longest_gap_seconds": longest}
    keys = [known.connection_id, known.hour, known.outcome]
    connection.execute(first.on_conflict_do_update(index_elements=keys, set_=counted))
