"""How items are read, as it was noted at their last read."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from dct_pipelines.domain.source import SourceStory
from dct_pipelines.store import explaining
from dct_pipelines.store.database import Connection


def source_stories(connection: Connection, item_ids: Sequence[UUID] | None = None) -> tuple[SourceStory, ...]:
    """How these items (None: all) are read."""
    rows = (row._mapping for row in explaining.sources(connection, item_ids))
    return tuple(
        SourceStory(**{name: row[name] for name in SourceStory.model_fields if row.get(name) is not None})
        for row in rows
    )
