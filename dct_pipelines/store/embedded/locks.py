"""File locks that end with their last holder, whatever kills it (flock), with a bounded wait."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dct_pipelines.domain.errors import DatabaseUnavailable, EmbeddedPostgresError

PAUSE_SECONDS = 0.02
REMOTE_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afpfs", "fuse.sshfs", "ceph", "glusterfs"}
)


def try_lock(descriptor: int) -> bool:
    """Take the exclusive lock if nobody holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def open_lock(path: Path) -> Iterator[int]:
    """Open a lock file for the duration of the block; closing releases it unless a child has inherited it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def held(path: Path, deadline: float) -> Iterator[None]:
    """Hold the lock of `path`; `DatabaseUnavailable` if somebody keeps it past the monotonic `deadline`."""
    with open_lock(path) as descriptor:
        while not try_lock(descriptor):
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(f"another process keeps {path} for too long; `fuser` shows which")
            time.sleep(PAUSE_SECONDS)
        yield


def require_local(directory: Path) -> None:
    """Refuse network file systems: two machines would both get the locks, and two servers one set of data."""
    import psutil  # not by whoever finds a server that answers

    mounts = {Path(mount.mountpoint): mount.fstype for mount in psutil.disk_partitions(all=True)}
    kind = next((mounts[place] for place in (directory, *directory.parents) if place in mounts), "")
    if kind in REMOTE_FILE_SYSTEMS:
        raise EmbeddedPostgresError(
            f"{directory} is on a network file system ({kind}), where the embedded PostgreSQL is not safe: "
            "set DCT_HOME to a local directory, or set DCT_DATABASE_URL"
        )
