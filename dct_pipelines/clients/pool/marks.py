"""What workers leave on the disk: a locked file each, with the key of what they work on.

A worker that outlives its zygote is found by the next one through its mark. The lock is the kernel's: it is
there exactly as long as the worker, whatever becomes of process ids.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_LONGEST_KEY = 200


class Mark:
    """The mark of this process, made after the fork; the lock goes with the process."""

    def __init__(self, directory: Path) -> None:
        self._descriptor = os.open(directory / str(os.getpid()), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.write("")

    def write(self, key: str) -> None:
        """Say what this process works on; empty for nothing."""
        text = key.encode()[:_LONGEST_KEY]
        os.pwrite(self._descriptor, text.ljust(_LONGEST_KEY), 0)


@dataclass(frozen=True)
class Orphan:
    """A worker that outlived its zygote, and what it works on."""

    pid: int
    key: str


def orphans(directory: Path, own: frozenset[int]) -> Iterator[Orphan]:
    """Living workers that are none of `own` and work on something; marks of the dead are removed."""
    for path in directory.iterdir():
        if not path.name.isdigit() or int(path.name) in own:
            continue
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if key := file.read(_LONGEST_KEY).decode("ascii", "replace").strip():
                    yield Orphan(int(path.name), key)
            else:
                path.unlink()
