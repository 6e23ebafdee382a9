"""Pools of toy workers for a test, ended after it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.toy_pool import ToyPool

__all__ = ["pool", "successor"]


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[ToyPool]:
    with_two = ToyPool(tmp_path, size={"base": 2, "linger_seconds": 0.5})
    yield with_two.start()
    with_two.service.stop()


@pytest.fixture
def successor(pool: ToyPool) -> Iterator[ToyPool]:
    """Another pool of the same home; it is not noted until a test says so."""
    another = ToyPool(pool.home, "two", size={"base": 2})
    another.service.start()
    assert another.service.wait_until_ready(30)
    yield another
    another.service.stop()
