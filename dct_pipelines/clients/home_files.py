"""What of a home comes along in a backup. Links are not followed, neither at the end of a path nor on it.

What lies in `archives`, `sent` and the outbox is ours: a file of it that cannot be read is an error. What
lies in a workspace an agent has left there, and that may be anything: it must not decide whether there are
backups, so that what cannot be taken along is left out, and named.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from dct_pipelines.clients.descents import DRAFT_PREFIX, descended, opened_root
from dct_pipelines.domain.backups import FILES
from dct_pipelines.domain.errors import InvalidInput
from dct_pipelines.domain.words import OUTBOX, RESTORED_OUTBOX

GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""What opening a file says that vanished meanwhile, or is a link now."""
OURS = ("archives", "sent", OUTBOX, RESTORED_OUTBOX)
MOST_NAMED = 200
"""So many names of what is left out are kept; of more there is the number."""

Trouble = Callable[[Path, OSError], None]
"""Hears of what cannot be read."""


@dataclass(frozen=True)
class HomeFile:
    """A file that was seen in a home, by its path there; what `is_foreign` may be left out."""

    home: Path
    inside: PurePosixPath
    is_foreign: bool

    @property
    def name(self) -> str:
        """What it is called in the backup."""
        return f"{FILES}{self.inside}"

    @property
    def path(self) -> Path:
        """Where it lies, to be shown: whoever opens that may be led elsewhere meanwhile."""
        return self.home / self.inside

    def open(self) -> int | None:
        """A descriptor to read it; None when it is gone meanwhile, or no file any more.

        InvalidInput when it cannot be read, and when a directory on the way to it is a link by now.
        """
        *folders, last = self.inside.parts
        try:
            with opened_root(self.home) as top, descended(top, folders) as folder:
                return _opened_file(last, folder)
        except FileNotFoundError:
            return None
        except NotADirectoryError as error:
            raise InvalidInput(
                f"{self.path} is not read, as a link or a file is in the place of {error.filename!r} now; "
                "put the directory back, or move away what is there"
            ) from error
        except OSError as error:
            raise unreadable(self.path, error) from error


@dataclass
class LeftOut:
    """What of the workspaces could not be taken along, and why: the first names, and how many there are."""

    count: int = 0
    named: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, why: str) -> None:
        """One more."""
        self.count += 1
        if len(self.named) < MOST_NAMED:
            self.named[name] = why


def files_of_home(home: Path, left_out: LeftOut) -> Iterator[HomeFile]:
    """What lies in a home and cannot be made again.

    Archives of workspaces, what says which messages were sent, messages of the outbox, and the context of the
    workspaces that are open. Neither `.env` nor any credential lies there. InvalidInput names what of ours
    cannot be read.
    """
    for folder in OURS:
        for path in _below(home / folder, _raise):
            yield HomeFile(home, _inside(home, path), is_foreign=False)

    def note(path: Path, error: OSError) -> None:
        left_out.add(_shown(home, path), f"it cannot be read: {error.strerror}")

    for workspace in _workspaces(home / "workspaces"):
        for path in _below(workspace / ".dct", note):
            if _is_utf8(str(path)):
                yield HomeFile(home, _inside(home, path), is_foreign=True)
            else:
                left_out.add(_shown(home, path), "its name is no UTF-8")


def unreadable(path: Path, error: OSError) -> InvalidInput:
    """What is raised for a file or directory that cannot be read."""
    return InvalidInput(f"{path} cannot be read ({error.strerror}); let this user read it, or move it away")


def _opened_file(name: str, folder: int) -> int | None:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as error:
        if error.errno in GONE:
            return None
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def _raise(path: Path, error: OSError) -> None:
    raise unreadable(path, error) from error


def _workspaces(directory: Path) -> list[Path]:
    if not _is_directory(directory, _raise):
        return []
    try:
        return [path for path in sorted(directory.iterdir()) if _is_directory(path, _raise)]
    except OSError as error:
        raise unreadable(directory, error) from error


def _below(folder: Path, trouble: Trouble) -> Iterator[Path]:
    if not _is_directory(folder, trouble):
        return

    def tell(error: OSError) -> None:
        if error.errno not in GONE:
            trouble(Path(error.filename), error)

    for directory, _, names in os.walk(folder, onerror=tell, followlinks=False):
        for name in sorted(names):
            path = Path(directory) / name
            is_draft = name.startswith(DRAFT_PREFIX) or (name.startswith(".") and name.endswith(".draft"))
            if not is_draft and stat.S_ISREG(_mode(path, trouble)):
                yield path


def _is_directory(path: Path, trouble: Trouble) -> bool:
    return stat.S_ISDIR(_mode(path, trouble))


def _mode(path: Path, trouble: Trouble) -> int:
    """What it is, and not what it leads to; 0 where it is gone, or cannot be seen."""
    try:
        return path.lstat().st_mode
    except OSError as error:
        if error.errno not in GONE:
            trouble(path, error)
        return 0


def _inside(home: Path, path: Path) -> PurePosixPath:
    return PurePosixPath(path.relative_to(home))


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(home: Path, path: Path) -> str:
    """Its name with what cannot be written escaped."""
    return os.fsencode(f"{FILES}{_inside(home, path)}").decode("utf-8", "backslashreplace")
