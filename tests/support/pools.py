"""Pools of toy workers for a test, ended after it, and notes of pools."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dct_pipelines.clients.stack.notes import PoolsNote
from tests.support.toy_pool import ROOT, ToyPool

__all__ = ["leave_note", "noted", "pool", "successor"]


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[ToyPool]:
    with_two = ToyPool(tmp_path, size={"base": 2, "linger_seconds": 0.5})
    yield with_two.start()
    with_two.stop()


@pytest.fixture
def successor(pool: ToyPool) -> Iterator[ToyPool]:
    """Another pool of the same home; it is not noted until a test says so."""
    another = ToyPool(pool.home, "two", size={"base": 2})
    another.service.start()
    assert another.service.wait_until_ready(30)
    yield another
    another.stop()


@contextmanager
def noted(home: Path) -> Iterator[None]:
    """For the block the home has the note of a pool, whose door is not open."""
    note = PoolsNote(home)
    note.write([home / "pool.sock"])
    try:
        yield
    finally:
        note.remove()


def leave_note(home: Path) -> None:
    """Leave the note of a pool as a `dct up` that is killed does."""
    writes = (
        "import os, signal, sys; from pathlib import Path; from tests.support.pools import noted\n"
        "with noted(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", writes, str(home)], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
