"""The file of a backup: a zip with the dump of the database, files of the home, and the manifest at its end.

Written as a draft beside its place and renamed when it is whole, so that a file of that name is a backup. The
dump is compressed by who makes it, hence nothing is here. What a manifest says of a file is compared when it
is read, not believed.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO
from uuid import UUID

from pydantic import ValidationError

from dct_pipelines.clients.files import room_for, sync_directory
from dct_pipelines.clients.home_files import HomeFile, LeftOut, files_of_home, unreadable
from dct_pipelines.clients.home_unpacking import Unpacking, unpacking
from dct_pipelines.domain.backups import DUMP, FILES, FORMAT, MANIFEST, FilePrint, Manifest
from dct_pipelines.domain.errors import BackupUnusable, InvalidInput
from dct_pipelines.domain.words import OUTBOX, RESTORED_OUTBOX

CHUNK_BYTES = 1024 * 1024
LARGEST_MANIFEST_BYTES = 512 * 1024 * 1024
"""Room for the names of three million files. Nobody writes a larger one, and nobody reads it."""
BROKEN = (zipfile.BadZipFile, EOFError, ValueError, KeyError, NotImplementedError, RuntimeError)
"""What reading a file raises that is no zip, or no longer."""
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
    largest_manifest_bytes: int = LARGEST_MANIFEST_BYTES

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

    def add_file(self, one: HomeFile) -> bool:
        """A file on disk; False, and no part of the backup, when it is gone meanwhile or is a link now.

        InvalidInput when it cannot be read; it is no part of the backup then either.
        """
        descriptor = one.open()
        if descriptor is None:
            return False
        with os.fdopen(descriptor, "rb") as file:
            try:
                self.add(one.name, _pieces(file, one.path))
            except InvalidInput:
                del self.archive.NameToInfo[self.archive.filelist.pop().filename]  # half of it is there
                raise
        return True

    def add_home(self, home: Path) -> LeftOut:
        """What of a home cannot be made again; what of it could not be taken along."""
        left_out = LeftOut()
        self.add_seen(files_of_home(home, left_out), left_out)
        return left_out

    def add_seen(self, files: Iterable[HomeFile], left_out: LeftOut) -> None:
        """Files of a home that were seen there; meanwhile they may have become anything."""
        for one in files:
            try:
                self.add_file(one)
            except InvalidInput as error:
                if not one.is_foreign:
                    raise
                left_out.add(one.name, str(error))

    def finish(self, manifest: Manifest) -> None:
        """The manifest, which comes last because it knows the others. InvalidInput if it is too large."""
        content = manifest.model_dump_json().encode()
        if len(content) > self.largest_manifest_bytes:
            folders = Counter("/".join(name.split("/")[:2]) for name in self.files)
            folder, most = folders.most_common(1)[0]
            raise InvalidInput(
                f"a backup cannot name as many files as there are, {len(self.files)}: {most} of them lie in "
                f"{folder.removeprefix(FILES)} of the home; move away what is not needed, and try again"
            )
        self.archive.writestr(MANIFEST, content)


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

    @contextmanager
    def home_unpacked(self, home: Path, manifest: Manifest) -> Iterator[Unpacking]:
        """Put the files of the home back, for good if the block succeeds; else they are taken away again.

        Messages of the outbox come beside it, but for those that still lie in it.
        """
        with unpacking(home) as unpacked:
            with self._opened() as archive, self._whole(), room_for(f"the files of the backup in {home}"):
                for name in manifest.files:
                    if name.startswith(FILES):
                        inside = self._inside(name)
                        if inside.parts[0] == OUTBOX and not unpacked.has(inside):
                            inside = PurePosixPath(RESTORED_OUTBOX, *inside.parts[1:])
                        with archive.open(name) as file:
                            unpacked.put(inside, iter(partial(file.read, CHUNK_BYTES), b""))
            yield unpacked

    def _inside(self, name: str) -> PurePosixPath:
        inside = PurePosixPath(name.removeprefix(FILES))
        if inside.is_absolute() or ".." in inside.parts or not inside.parts:
            raise BackupUnusable(f"{name!r} in {self.path} leads out of the home; it was not made here")
        return inside

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


def _pieces(file: IO[bytes], path: Path) -> Iterator[bytes]:
    try:
        while piece := file.read(CHUNK_BYTES):
            yield piece
    except OSError as error:
        raise unreadable(path, error) from error


def _print_of(file: IO[bytes]) -> FilePrint:
    digest, size = hashlib.sha256(), 0
    while piece := file.read(CHUNK_BYTES):
        digest.update(piece)
        size += len(piece)
    return FilePrint(bytes=size, sha256=digest.hexdigest())
