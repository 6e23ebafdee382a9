"""Servers that a test starts, kills and stops itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from dct_pipelines.store.embedded import EmbeddedPostgres

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 150
"""Longer than users wait: initialising syncs a thousand files, perhaps beside many other tests."""
START = """
import sys
from pathlib import Path
from dct_pipelines.store.embedded import EmbeddedPostgres
EmbeddedPostgres(Path(sys.argv[1])).ensure()
"""
"""A process that starts the server of the home that it is given, and ends."""


@pytest.fixture
def server(reachable_directory: Path) -> Iterator[EmbeddedPostgres]:
    """A server of this test alone, not yet started."""
    embedded = EmbeddedPostgres(
        reachable_directory / "home", shared=reachable_directory / "shared", timeout_seconds=TIMEOUT_SECONDS
    )
    yield embedded
    embedded.stop()


def answer(url: str) -> object:
    """What the server behind `url` answers to a question."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return connection.scalar(text("SELECT 42"))
