"""The copies of repositories: who may touch one at a time, how one begins, and how a damaged one ends.

Several processes share the directory. Two locks (flock(2), gone with the process that held them) guard a
copy: `use` is shared by everybody who reads or writes and exclusive for throwing away; `write` is for one
writer at a time, and makes every lock file that git finds there a left-over, which may be removed.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dct_pipelines.clients.files import room_for
from dct_pipelines.clients.git.calls import Calls
from dct_pipelines.clients.git.failures import Refused
from dct_pipelines.clients.git.locations import Location
from dct_pipelines.domain.errors import ItemTemporarilyUnreadable

_LOOK_AGAIN_SECONDS = 0.02
_OLD_DRAFT_SECONDS = 3600
_TIDYING = (
    ("repack", "-d", "-q", "--geometric=2"),
    ("pack-refs", "--all"),
    ("commit-graph", "write", "--reachable", "--split"),
)
_log = logging.getLogger(__name__)


class Cache:
    """Bare copies below `folder`, one an address."""

    def __init__(self, folder: Path, calls: Calls) -> None:
        self._folder = folder
        self._calls = calls

    @contextmanager
    def reading(self, location: Location) -> Iterator[Path]:
        """The copy, safe from being thrown away; `Refused` when there is none yet."""
        with self._locked(location, "use", fcntl.LOCK_SH):
            path = self._path(location)
            if not path.exists():
                raise Refused("nothing was fetched yet")
            yield path

    @contextmanager
    def writing(self, location: Location, oid_digits: int = 40) -> Iterator[Path]:
        """The copy, made if need be, with nobody else writing."""
        with (
            self._locked(location, "write", fcntl.LOCK_EX),
            self._locked(location, "use", fcntl.LOCK_SH),
        ):
            path = self._path(location)
            if not path.exists():
                self._make(path, "sha1" if oid_digits == 40 else "sha256")
            yield path

    def discard(self, location: Location) -> None:
        """Throw a damaged copy away; the next writer begins a new one."""
        with (
            self._locked(location, "write", fcntl.LOCK_EX),
            self._locked(location, "use", fcntl.LOCK_EX),
        ):
            path = self._path(location)
            if path.exists():
                self._remove(path)

    def remove_stale_locks(self, path: Path) -> None:
        """Only under `writing`: a lock file that lies there now belongs to a git that was killed."""
        for left_over in path.rglob("*.lock"):
            left_over.unlink(missing_ok=True)

    def tidy(self, path: Path) -> None:
        """Only under `writing`: keep many small fetches fast. No object is ever dropped.

        What was fetched is there in any case, so a failure is only noted; the next fetch tries again.
        """
        packs = path / "objects" / "pack"
        if sum(1 for _ in packs.glob("*.pack")) <= self._calls.limits.packs_before_tidying:
            return
        for draft in packs.glob("tmp_*"):
            if draft.stat().st_mtime < time.time() - _OLD_DRAFT_SECONDS:
                draft.unlink(missing_ok=True)
        try:
            for task in _TIDYING:
                self._calls.local(path, *task, timeout_seconds=self._calls.limits.fetch_timeout_seconds)
        except (Refused, ItemTemporarilyUnreadable) as error:
            _log.warning("the git cache %s could not be tidied: %s", path.name, error)

    def _path(self, location: Location) -> Path:
        return self._folder / f"{location.key}.git"

    def _make(self, path: Path, object_format: str) -> None:
        draft = path.with_name(f"{path.name}.draft-{uuid.uuid4().hex}")
        self._calls.local(draft, "init", "-q", "--bare", "--template=", f"--object-format={object_format}")
        draft.rename(path)

    def _remove(self, path: Path) -> None:
        trash = path.with_name(f"{path.name}.trash-{uuid.uuid4().hex}")
        path.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)

    @contextmanager
    def _locked(self, location: Location, name: str, kind: int) -> Iterator[None]:
        folder = self._folder / "locks"
        with room_for("the git cache"):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(exist_ok=True)
            file = folder / f"{location.key}.{name}"
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._wait_for(descriptor, kind, location)
            yield
        finally:
            os.close(descriptor)

    def _wait_for(self, descriptor: int, kind: int, location: Location) -> None:
        deadline = time.monotonic() + self._calls.limits.fetch_timeout_seconds
        while True:
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ItemTemporarilyUnreadable(
                        f"another process is busy fetching {location.url}; it is tried again at the next tick"
                    ) from None
                time.sleep(_LOOK_AGAIN_SECONDS)
