"""The files of a backup on their way into a home: what is there already stays, and all of it can be undone.

An agent or a command of a workspace may have left links in the home, or leave them meanwhile: what a link is
on the way to is not written, for it would be written elsewhere.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from dct_pipelines.clients.descents import Names, descended, is_there, opened_root, put
from dct_pipelines.clients.files import private_directory

_log = logging.getLogger(__name__)


class Remove(Protocol):
    """What removes one name of a directory."""

    def __call__(self, path: str, /, *, dir_fd: int) -> None: ...


@dataclass
class Unpacking:
    """What was `written` below a home, and what was not, because it was there or a link was on the way."""

    top: int
    written: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    made: list[Names] = field(default_factory=list)
    """The directories that were made for it."""

    def put(self, inside: PurePosixPath, content: Iterable[bytes]) -> None:
        """Write one file, as a whole, unless there is something."""
        *folders, name = inside.parts
        try:
            with descended(self.top, folders, mode=0o700, made=self.made) as folder:
                if not is_there(folder, name):
                    self.written.append(str(inside))  # before it is so: who is interrupted takes it away
                    if put(folder, name, content, replace=False):
                        return
                    self.written.pop()
        except NotADirectoryError:
            pass  # a link or a file is where the backup has a directory
        self.kept.append(str(inside))

    def has(self, inside: PurePosixPath) -> bool:
        """Whether something is there, as far as one gets without following a link."""
        *folders, name = inside.parts
        try:
            with descended(self.top, folders) as folder:
                return is_there(folder, name)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def undo(self) -> None:
        """Remove what was written and made, whatever stands in the way of some of it."""
        for names in reversed([PurePosixPath(one).parts for one in self.written]):
            self._remove(names, os.unlink)
        for names in reversed(self.made):
            self._remove(names, os.rmdir)

    def _remove(self, names: Names, remove: Remove) -> None:
        *folders, name = names
        try:
            with descended(self.top, folders) as folder:
                remove(name, dir_fd=folder)
        except FileNotFoundError:
            pass
        except OSError as error:
            _log.warning("%s stays in the home: %s", "/".join(names), error.strerror)


@contextmanager
def unpacking(home: Path) -> Iterator[Unpacking]:
    """Files that are put into a home, and stay there unless the block fails."""
    with opened_root(private_directory(home)) as top:
        unpacked = Unpacking(top)
        try:
            yield unpacked
        except BaseException:
            unpacked.undo()
            raise
