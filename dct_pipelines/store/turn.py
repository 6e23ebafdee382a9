"""One at a time, on whichever machine: a session's advisory lock, held while somebody is at work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from dct_pipelines.store.database import Database

MAINTENANCE = 7_266_015
"""Key of the lock of whoever maintains."""


@contextmanager
def taken(database: Database, key: int) -> Iterator[bool]:
    """Hold the lock until the end of the block; False when somebody else has it."""
    with database.connect() as pooled:
        connection = pooled.execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()  # so that the lock ends with it, whatever happens
        is_mine = bool(connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}))
        try:
            yield is_mine
        finally:
            if is_mine:  # at once: a session that is closed ends a little later
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
