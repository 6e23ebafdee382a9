"""One stack a home: a lock file that ends with its holder, however that dies, and names its process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from dct_pipelines.domain.errors import AlreadyRunning


@contextmanager
def only_one(path: Path, what: str) -> Iterator[None]:
    """Hold the lock for the block, or raise `AlreadyRunning` with the process that has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            raise AlreadyRunning(
                f"{what} runs already for {path.parent} (process {holder}): stop that one first, or set "
                "DCT_HOME to another directory"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def held_since(path: Path) -> datetime | None:
    """When the process that holds the lock took it; None when nobody does."""
    if holder(path) is None:
        return None
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def holder(path: Path) -> int | None:
    """The process that holds the lock; None when nobody does. Takes nothing, and makes no file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        said = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        return int(said) if said.isdigit() else 0
    finally:
        os.close(descriptor)
    return None
