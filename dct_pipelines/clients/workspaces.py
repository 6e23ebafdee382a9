"""The files of workspaces: `<home>/workspaces/<id>`, later `<home>/archives/<id>.tar.gz`.

A workspace is a foreign land: agents and people put there what they like. So nothing here follows a link in
it, runs anything in it, or trusts a name from it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID

from dct_pipelines.clients.descents import descended, opened, put
from dct_pipelines.clients.files import disk_error, private_directory, replace_file, sync_directory
from dct_pipelines.clients.git.trees import has_repository
from dct_pipelines.domain.errors import ActionFailed
from dct_pipelines.domain.git import GitPort
from dct_pipelines.domain.git_refs import Oid
from dct_pipelines.domain.ports import Archive, BundleFile, Repository
from dct_pipelines.domain.words import WorkspaceCode

_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class WorkspaceFiles:
    """Workspaces below `home`."""

    home: Path
    git: GitPort

    def directory_for(self, workspace_id: UUID) -> Path:
        """Where that workspace lives."""
        return self.home / "workspaces" / str(workspace_id)

    def open(self, workspace_id: UUID, repository: Repository, branch: str, start_commit: str) -> Path:
        """Make the working directory, or find it as an earlier attempt left it; or give it its code back."""
        directory = self.directory_for(workspace_id)
        with _disk(directory):
            if not has_repository(directory):
                self._set_archive_aside(workspace_id)
            directory.parent.mkdir(parents=True, exist_ok=True)
            self.git.add_worktree(repository.ref, branch, Oid(start_commit), directory)
        return directory

    def code(self, workspace_id: UUID) -> WorkspaceCode:
        """Whether its repository is there, or at least a directory."""
        directory = self.directory_for(workspace_id)
        if has_repository(directory):
            return WorkspaceCode.THERE
        return WorkspaceCode.MISSING if directory.is_dir() else WorkspaceCode.GONE

    def write(self, workspace_id: UUID, files: Sequence[BundleFile]) -> None:
        """Write files atomically, each replaced as a whole; a link on the way is refused, not followed."""
        directory = self.directory_for(workspace_id)
        with _disk(directory):
            for file in files:
                _write_within(directory, PurePosixPath(file.path), file.content.encode())

    def archive(self, workspace_id: UUID, repository: Repository, manifest: Mapping[str, Any]) -> Archive:
        """Pack, checksum, then remove. The checksum file is written last: without it, packing starts over."""
        directory = self.directory_for(workspace_id)
        path, checksum = self._archive_of(workspace_id)
        with _disk(path):
            private_directory(path.parent)
            if not (checksum.exists() and path.exists()):
                if not directory.is_dir():
                    raise ActionFailed(
                        f"{directory} is gone and was not archived; `dct restore workspace` brings it back"
                    )
                head = self.git.collect_worktree(repository.ref, str(manifest["branch"]), directory)
                _pack(directory, path, {**manifest, "head_commit": head})
                replace_file(checksum, f"{_sha256(path)}  {path.name}\n".encode())
            self.git.remove_worktree(repository.ref, directory)
            digest = checksum.read_text(encoding="ascii").split()[0]
            return Archive(path, digest, path.stat().st_size)

    def _archive_of(self, workspace_id: UUID) -> tuple[Path, Path]:
        """The file that it is packed into, and that with its checksum."""
        path = self.home / "archives" / f"{workspace_id}.tar.gz"
        return path, path.with_name(f"{path.name}.sha256")

    def _set_archive_aside(self, workspace_id: UUID) -> None:
        """What it was when it was archived stays beside: where it lies, it would pass for what comes now.

        The checksum goes first, for without it packing starts over.
        """
        path, checksum = self._archive_of(workspace_id)
        checksum.unlink(missing_ok=True)
        if path.exists():
            packed_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            path.rename(path.with_name(f"{workspace_id}.of-{packed_at:%Y%m%dT%H%M%SZ}.tar.gz"))

    def touched_at(self, workspace_id: UUID) -> datetime | None:
        """The newest time of a file or directory in it, however many there are: a million takes seconds."""
        newest = 0.0
        for folder, _folders, names in os.walk(self.directory_for(workspace_id)):
            for name in (".", *names):
                with suppress(FileNotFoundError, PermissionError):
                    newest = max(newest, os.lstat(Path(folder, name)).st_mtime)
        return datetime.fromtimestamp(newest, UTC) if newest else None


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise disk_error(f"{path} cannot be used", error) from error


def _write_within(root: Path, relative: PurePosixPath, content: bytes) -> None:
    *parents, name = relative.parts
    if relative.is_absolute() or ".." in relative.parts:
        raise ActionFailed(f"{relative} leads out of the workspace")
    with opened(root) as top:
        try:
            with descended(top, parents, mode=0o755) as folder:
                put(folder, name, [content], replace=True)
        except NotADirectoryError as error:
            raise ActionFailed(
                f"{error.filename!r} in the workspace is a link or a file; remove it from the repository"
            ) from None
        except IsADirectoryError:
            raise ActionFailed(f"{relative} in the workspace is a directory; remove it") from None


def _pack(directory: Path, path: Path, manifest: Mapping[str, Any]) -> None:
    """`manifest.json` and `workspace/...`; links as links, and neither devices, pipes nor sockets."""
    draft = path.with_name(f".{path.name}.draft")
    text = json.dumps(manifest, ensure_ascii=False, indent=2, default=str).encode()
    with draft.open("wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive:
            entry = tarfile.TarInfo("manifest.json")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
            archive.add(directory, arcname="workspace", filter=_only_files)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_directory(path.parent)


def _only_files(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return entry if entry.isreg() or entry.isdir() or entry.issym() or entry.islnk() else None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
