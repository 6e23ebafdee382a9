"""Files that are there as a whole or not at all, also after a power cut."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from dct_pipelines.domain.errors import ActionInterrupted, DctError, DiskFull

LEAST_ROOM_BYTES = 64 * 1024
FULL = {errno.ENOSPC, errno.EDQUOT}


def disk_error(what: str, error: OSError) -> DctError:
    """What an action raises for it: a full disk is waited for, other trouble tried again a few times."""
    kind = DiskFull if error.errno in FULL else ActionInterrupted
    return kind(f"{what} ({error.strerror}); free or repair the disk, it is tried again")


def is_full(directory: Path) -> bool:
    """Whether the disk of a directory has no room for anything of use."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize < LEAST_ROOM_BYTES


@contextlib.contextmanager
def room_for(what: str) -> Iterator[None]:
    """Call a full disk by its name; any other error stays as it is."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise disk_error(f"there is no room for {what}", error) from error


def private_directory(path: Path) -> Path:
    """The directory, made (for its owner only) when it is not there."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def create_file(path: Path, content: bytes) -> bool:
    """Make the file with that content, complete at once; False when it was there already, untouched."""
    temporary = _temporary(path, content)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    sync_directory(path.parent)
    return True


@contextlib.contextmanager
def reserved_file(path: Path, longest: int) -> Iterator[Callable[[bytes], None]]:
    """Take the room for a small file before something happens that the file is to remember.

    Yields what makes the file, once, with at most `longest` bytes; what was not used is given back.
    """
    temporary = _temporary(path, b" " * longest)

    def keep(content: bytes) -> None:
        with temporary.open("r+b") as file:
            file.write(content.ljust(longest))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)

    try:
        yield keep
    finally:
        temporary.unlink(missing_ok=True)


def replace_file(path: Path, content: bytes) -> None:
    """Give the file that content, replacing what was there as a whole."""
    temporary = _temporary(path, content)
    try:
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary(path: Path, content: bytes) -> Path:
    descriptor, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    return Path(name)
