"""The directories of local environments.

    <home>/environments/<environment>/releases/<commit>-<key>        the commit, as its command left it
    <home>/environments/<environment>/releases/<commit>-<key>.done   its command ended well
    <home>/environments/<environment>/current                        a link to the release that is live

One key has one directory, whatever attempt it is; the mark is written when the command has succeeded.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from dct_pipelines.clients.files import create_file, sync_directory

KEPT_RELEASES = 5
_DOOMED = ".removed-"


class Releases:
    """Releases of every environment below `home`. Callers hold the environment's lease."""

    def __init__(self, home: Path) -> None:
        self._root = home / "environments"

    def directory(self, environment: str, commit: str, key: str) -> Path:
        """Where the release of that key lives, whether or not it exists."""
        digest = hashlib.sha256(key.encode()).hexdigest()[:12]
        return self._root / environment / "releases" / f"{commit[:12]}-{digest}"

    def prepare(self, directory: Path) -> None:
        """Make room: what an attempt that died left in the directory is removed."""
        directory.parent.mkdir(parents=True, exist_ok=True)
        self.forget(directory)
        _remove(directory)

    def is_done(self, directory: Path) -> bool:
        """Whether its command has succeeded."""
        return _mark(directory).exists() and directory.is_dir()

    def mark_done(self, directory: Path, commit: str) -> None:
        """Note, durably, that its command has succeeded."""
        create_file(_mark(directory), commit.encode())

    def commit_of(self, directory: Path) -> str | None:
        """The commit whose command has succeeded there."""
        mark = _mark(directory)
        return mark.read_text(encoding="ascii") if mark.exists() else None

    def forget(self, directory: Path) -> None:
        """Take the mark back: the command runs again next time."""
        _mark(directory).unlink(missing_ok=True)

    def activate(self, environment: str, directory: Path) -> None:
        """Point `current` at the release, from one moment to the next."""
        link = self._root / environment / "current"
        temporary = link.with_name(f".current-{directory.name}")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(Path("releases") / directory.name)
        temporary.replace(link)
        sync_directory(link.parent)

    def current(self, environment: str) -> Path | None:
        """The directory of the release that is live."""
        link = self._root / environment / "current"
        if not link.is_symlink():
            return None
        directory = link.parent / link.readlink()
        return directory if directory.is_dir() else None

    def prune(self, environment: str) -> None:
        """Remove all but the newest `KEPT_RELEASES` and the one that is live."""
        parent = self._root / environment / "releases"
        live = self.current(environment)
        for leftover in parent.glob(f"{_DOOMED}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        found = sorted(
            (path for path in parent.iterdir() if path.is_dir() and not path.name.startswith(".")),
            key=lambda path: (path == live, _age(path)),
            reverse=True,
        )
        for directory in found[KEPT_RELEASES:]:
            self.forget(directory)
            _remove(directory)


def _mark(directory: Path) -> Path:
    return directory.with_name(directory.name + ".done")


def _age(directory: Path) -> int:
    """When its command succeeded, in nanoseconds; 0 when it did not."""
    mark = _mark(directory)
    return mark.stat().st_mtime_ns if mark.exists() else 0


def _remove(directory: Path) -> None:
    """Move it away first, so that nobody ever sees half of it; what resists stays under the other name."""
    if not directory.exists():
        return
    doomed = directory.with_name(f"{_DOOMED}{directory.name}-{os.getpid()}")
    directory.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)
