"""What workers leave on the disk: a locked file each, with what they work on.

A worker that outlives its zygote is found by the next one through its mark. The lock is the kernel's: it is
there exactly as long as the worker, whatever becomes of process ids, and no child of the worker inherits it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from dct_pipelines.clients.pool.launch import Launch

_BYTES = 1024
"""Of every mark, from its beginning: what is written later needs no room on the disk."""
_log = logging.getLogger(__name__)


class Mark:
    """The mark of this process, made after the fork from `zygote`; the lock goes with the process.

    Where none can be made (a full disk, a directory of somebody else), the work is done without one: then
    the next zygote does not know it, and what it does is fenced by whoever gave it.
    """

    def __init__(self, directory: Path, zygote: int) -> None:
        self._zygote = zygote
        self._descriptor: int | None = None
        name = f"{os.getpid()}-{time.monotonic_ns()}"
        scratch = directory / f".{name}"
        try:
            # It gets its name when it is locked: a mark that is not locked is that of a dead worker.
            self._descriptor = os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._write({})
            scratch.rename(directory / name)
        except OSError as error:
            _log.warning("worker %d works without a mark in %s: %s", os.getpid(), directory, error)

    def begin(self, launch: Launch) -> None:
        """Say what this process works on, and until when it may."""
        until = time.monotonic() + launch.limit_seconds if launch.limit_seconds is not None else None
        self._say({"key": launch.key, "until": until})

    def end(self) -> None:
        """Say that this process works on nothing."""
        self._say({})

    def _say(self, what: dict[str, object]) -> None:
        try:
            self._write(what)
        except OSError as error:
            _log.warning("the mark of worker %d cannot be written: %s", os.getpid(), error)

    def _write(self, what: dict[str, object]) -> None:
        if self._descriptor is not None:
            text = json.dumps({"zygote": self._zygote, **what})
            os.pwrite(self._descriptor, text.encode().ljust(_BYTES), 0)


@dataclass(frozen=True)
class Marked:
    """A living worker and what it works on. `until` by the monotonic clock, which all processes share.

    It is an orphan when its zygote is gone.
    """

    pid: int
    key: str
    until: float | None
    is_orphan: bool


def marked(directory: Path, own: frozenset[int]) -> Iterator[Marked]:
    """Living workers that are none of `own` and work on something; marks of the dead are removed."""
    with contextlib.suppress(OSError):
        for path in list(directory.iterdir()):
            pid = path.name.partition("-")[0]
            if pid.isdigit() and int(pid) not in own and (said := _read(path)) is not None and "key" in said:
                is_orphan = _parent(int(pid)) != said["zygote"]
                yield Marked(int(pid), said["key"], said["until"], is_orphan)


def forget(directory: Path, pid: int) -> None:
    """Remove the mark of a worker that is dead."""
    for path in directory.glob(f"{pid}-*"):
        path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any] | None:
    """What a living worker says; None when it is dead, or just now says something else."""
    with contextlib.suppress(OSError, ValueError), path.open("rb") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            said: dict[str, Any] = json.loads(file.read(_BYTES))
            return said
        path.unlink(missing_ok=True)
    return None


def _parent(pid: int) -> int | None:
    with contextlib.suppress(psutil.Error):
        return int(psutil.Process(pid).ppid())
    return None
