"""What a code location is built from, read before any service is there."""

from __future__ import annotations

from dct_pipelines.settings import Settings
from dct_pipelines.store.shapes import KnownShapes, known_shapes

DEFINITIONS_TIMEOUT_SECONDS = 5


def load_shapes(settings: Settings) -> KnownShapes:
    """The shapes that definitions are built from, within seconds and whatever the database does."""
    hurried = {"statement_timeout_seconds": DEFINITIONS_TIMEOUT_SECONDS, "database_pool_size": 1}
    return known_shapes(settings.model_copy(update=hurried))
