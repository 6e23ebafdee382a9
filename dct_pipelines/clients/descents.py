"""Ways down into directories that others write in, by descriptors: no name on the way can be a link.

Nor become one meanwhile: a path that was looked at may lead elsewhere when it is opened; what is open does
not.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_NO_LINK = _DIRECTORY | os.O_NOFOLLOW
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
DRAFT_PREFIX = ".new-"
"""How the name of a file begins that is not whole yet."""

Names = tuple[str, ...]


@contextmanager
def opened_root(path: Path) -> Iterator[int]:
    """A directory that only we can put elsewhere: it may be reached by a link of its owner."""
    descriptor = os.open(path, _DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def opened(name: str | Path, within: int | None = None) -> Iterator[int]:
    """One directory; NotADirectoryError for a link or a file."""
    descriptor = os.open(name, _NO_LINK, dir_fd=within)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def descended(
    top: int, names: Sequence[str], *, mode: int | None = None, made: list[Names] | None = None
) -> Iterator[int]:
    """The directory that these names lead to; with a mode, what is missing is made, and added to `made`.

    NotADirectoryError, whose `filename` is the one name, where a link or a file is on the way.
    """
    descriptor = os.dup(top)
    try:
        for depth, name in enumerate(names, start=1):
            if mode is not None:
                with suppress(FileExistsError):
                    os.mkdir(name, mode, dir_fd=descriptor)
                    if made is not None:
                        made.append(tuple(names[:depth]))
            below = os.open(name, _NO_LINK, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def is_there(folder: int, name: str) -> bool:
    """Whether there is anything of that name, be it a link that leads nowhere."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def put(folder: int, name: str, content: Iterable[bytes], *, replace: bool) -> bool:
    """Write a file, there as a whole or not at all; a link in its place is never followed.

    Without `replace`, what is there stays, and False is returned. IsADirectoryError for a directory in its
    place that is to be replaced.
    """
    draft = f"{DRAFT_PREFIX}{uuid4().hex}"
    try:
        with os.fdopen(os.open(draft, _NEW_FILE, 0o644, dir_fd=folder), "wb") as file:
            for piece in content:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        else:
            os.link(draft, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        return False
    finally:
        with suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=folder)
    return True
