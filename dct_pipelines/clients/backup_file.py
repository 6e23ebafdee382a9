"""The file of a backup: a zip with the dump of the database, files of the home, and the manifest at its end.

Written as a draft beside its place and renamed when it is whole, so that a file of that name is a backup. The
dump is compressed by who makes it, hence nothing is here. What a manifest says of a file is compared when it
is read, not believed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import IO
from uuid import UUID

from pydantic import ValidationError

from dct_pipelines.clients.files import room_for, sync_directory
from dct_pipelines.domain.backups import DUMP, FILES, FORMAT, MANIFEST, FilePrint, Manifest
from dct_pipelines.domain.errors import BackupUnusable, InvalidInput

CHUNK_BYTES = 1024 * 1024
LARGEST_MANIFEST_BYTES = 16 * 1024 * 1024
BROKEN = (zipfile.BadZipFile, EOFError, ValueError, KeyError, NotImplementedError, RuntimeError)
"""What reading a file raises that is no zip, or no longer."""
GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
DRAFT = ".draft"
OF_DRAFTS = re.compile(r"\..+\.[0-9a-f]{8}\.draft")
OLD_DRAFT = timedelta(days=1)
ZIP_HEADER, ZIP_HEADER_BYTES = b"PK\x03\x04", 30
"""How a file in a zip begins, and how many bytes stand before its name."""


@dataclass
class BackupWriter:
    """Takes in a backup's files one after the other; `files` says what they were."""

    archive: zipfile.ZipFile
    files: dict[str, FilePrint] = field(default_factory=dict)

    def add(self, name: str, content: Iterable[bytes]) -> FilePrint:
        """A file whose content comes in pieces."""
        digest, size = hashlib.sha256(), 0
        with self.archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as file:
            for piece in content:
                digest.update(piece)
                size += len(piece)
                file.write(piece)
        self.files[name] = FilePrint(bytes=size, sha256=digest.hexdigest())
        return self.files[name]

    def add_file(self, name: str, path: Path) -> bool:
        """A file on disk; False, and no part of the backup, when it is gone meanwhile or is a link now."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in GONE:
                return False
            raise InvalidInput(
                f"{path} cannot be read ({error.strerror}); let this user read it, or move it away"
            ) from error
        with os.fdopen(descriptor, "rb") as file:
            self.add(name, iter(lambda: file.read(CHUNK_BYTES), b""))
        return True

    def finish(self, manifest: Manifest) -> None:
        """The manifest, which comes last because it knows the others."""
        self.archive.writestr(MANIFEST, manifest.model_dump_json(indent=1))


@contextmanager
def writing(path: Path, backup_id: UUID) -> Iterator[BackupWriter]:
    """Make the file at `path`, for its owner only, whole or not at all; an existing one is refused."""
    if path.exists():
        raise InvalidInput(f"{path} is there already; remove it, or name another file")
    if not path.parent.is_dir():
        raise InvalidInput(f"there is no directory {path.parent}; make it, or name another file")
    draft = path.with_name(f".{path.name}.{backup_id.hex[:8]}{DRAFT}")
    try:
        with room_for(f"the backup in {path.parent}"):
            with os.fdopen(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
                with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                    yield BackupWriter(archive)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(path)
            sync_directory(path.parent)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def remove_old_drafts(directory: Path, now: datetime) -> list[Path]:
    """Remove the drafts that killed backups have left there, once nobody has written to them for a day.

    Only what is ours by its name and its first bytes; returns what was removed.
    """
    removed = []
    for path in sorted(directory.glob(f".*{DRAFT}")):
        with suppress(OSError):
            found = path.lstat()
            is_old = datetime.fromtimestamp(found.st_mtime, UTC) < now - OLD_DRAFT
            if stat.S_ISREG(found.st_mode) and is_old and _is_draft(path):
                path.unlink()
                removed.append(path)
    return removed


def files_of_home(home: Path) -> Iterator[tuple[str, Path]]:
    """What lies in a home and cannot be made again: name in the backup, and path. Links are not followed.

    Archives of workspaces, what says which messages were sent, messages of the outbox, and the context of the
    workspaces that are open. Neither `.env` nor any credential lies there.
    """
    for folder in ("archives", "sent", "outbox"):
        yield from _below(home, home / folder)
    workspaces = home / "workspaces"
    if workspaces.is_dir() and not workspaces.is_symlink():
        for workspace in sorted(workspaces.iterdir()):
            if not workspace.is_symlink():
                yield from _below(home, workspace / ".dct")


@dataclass(frozen=True)
class BackupFile:
    """A backup that is there. `BackupUnusable` says what is wrong with it."""

    path: Path

    def manifest(self) -> Manifest:
        """What it says of itself."""
        with self._opened() as archive, self._whole():
            return self._manifest(archive)

    def verify(self) -> Manifest:
        """Read everything in it, and compare it with the manifest."""
        with self._opened() as archive, self._whole():
            manifest = self._manifest(archive)
            there = sorted(set(archive.namelist()) - {MANIFEST})
            if there != sorted(manifest.files) or len(archive.namelist()) != len(there) + 1:
                raise BackupUnusable(f"{self.path} does not hold the files that its manifest names")
            for name, print_ in manifest.files.items():
                with archive.open(name) as file:
                    if _print_of(file) != print_:
                        raise BackupUnusable(f"{name} in {self.path} is damaged; use another backup")
        return manifest

    @contextmanager
    def content(self, name: str) -> Iterator[IO[bytes]]:
        """One file of it, for reading."""
        with self._opened() as archive, archive.open(name) as file:
            yield file

    def unpack_home(self, home: Path, manifest: Manifest) -> tuple[list[str], list[str]]:
        """Write the files of the home, each as a whole; the names of those that were written, and of those
        that were there already and are left alone.
        """
        written: list[str] = []
        left: list[str] = []
        with self._opened() as archive:
            for name in manifest.files:
                if not name.startswith(FILES):
                    continue
                inside = PurePosixPath(name.removeprefix(FILES))
                if inside.is_absolute() or ".." in inside.parts:
                    raise BackupUnusable(
                        f"{name!r} in {self.path} leads out of the home; it was not made here"
                    )
                with archive.open(name) as file:
                    (written if _write_new(home / inside, file) else left).append(str(inside))
        return written, left

    def _manifest(self, archive: zipfile.ZipFile) -> Manifest:
        if archive.getinfo(MANIFEST).file_size > LARGEST_MANIFEST_BYTES:
            raise BackupUnusable(f"the manifest in {self.path} is too large to be one")
        try:
            found = Manifest.model_validate_json(archive.read(MANIFEST))
        except ValidationError as error:
            raise BackupUnusable(
                f"the manifest in {self.path} cannot be read ({error.error_count()} faults); perhaps a newer "
                "release made it"
            ) from None
        if found.format != FORMAT:
            raise BackupUnusable(
                f"{self.path} has format {found.format}, this release reads {FORMAT}: use release "
                f"{found.release}"
            )
        return found

    @contextmanager
    def _opened(self) -> Iterator[zipfile.ZipFile]:
        if not self.path.is_file():
            raise InvalidInput(f"there is no backup {self.path}")
        with self._whole():
            archive = zipfile.ZipFile(self.path)
        with archive:
            yield archive

    @contextmanager
    def _whole(self) -> Iterator[None]:
        try:
            yield
        except BROKEN as error:
            raise BackupUnusable(f"{self.path} is damaged or no backup ({error}); use another one") from error


def _is_draft(path: Path) -> bool:
    """Whether it is called as drafts are, and begins as one does: with the dump, or not at all yet."""
    if OF_DRAFTS.fullmatch(path.name) is None:
        return False
    with path.open("rb") as file:
        begins = file.read(ZIP_HEADER_BYTES + len(DUMP))
    return not begins or (begins.startswith(ZIP_HEADER) and begins.endswith(DUMP.encode()))


def _print_of(file: IO[bytes]) -> FilePrint:
    digest, size = hashlib.sha256(), 0
    while piece := file.read(CHUNK_BYTES):
        digest.update(piece)
        size += len(piece)
    return FilePrint(bytes=size, sha256=digest.hexdigest())


def _below(home: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    if not folder.is_dir() or folder.is_symlink():
        return
    for directory, _, names in os.walk(folder, followlinks=False):
        for name in sorted(names):
            path = Path(directory) / name
            is_draft = name.startswith(".new-") or (name.startswith(".") and name.endswith(".draft"))
            if path.is_file() and not path.is_symlink() and not is_draft:
                yield f"{FILES}{path.relative_to(home).as_posix()}", path


def _write_new(path: Path, file: IO[bytes]) -> bool:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() or path.is_symlink():
        return False
    draft = path.with_name(f".new-{path.name}")
    with draft.open("wb") as target:
        while piece := file.read(CHUNK_BYTES):
            target.write(piece)
        target.flush()
        os.fsync(target.fileno())
    draft.rename(path)
    return True
