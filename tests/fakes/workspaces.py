"""Files of workspaces, in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from dct_pipelines.domain.ports import Archive, BundleFile, Repository
from dct_pipelines.domain.words import WorkspaceCode


class FakeWorkspaceFiles:
    """`opened` is where each workspace started, `bundles` its files, `archives` what was packed.

    `touched` is when somebody changed something in it; a test says so, and what is `without_code`.
    """

    def __init__(self) -> None:
        self.opened: dict[UUID, tuple[str, str]] = {}
        self.bundles: dict[UUID, dict[str, str]] = {}
        self.archives: dict[UUID, Archive] = {}
        self.manifests: dict[UUID, Mapping[str, Any]] = {}
        self.touched: dict[UUID, datetime] = {}
        self.without_code: set[UUID] = set()

    def directory_for(self, workspace_id: UUID) -> Path:
        return Path("/workspaces") / str(workspace_id)

    def open(self, workspace_id: UUID, repository: Repository, branch: str, start_commit: str) -> Path:
        if workspace_id in self.without_code:
            self.opened[workspace_id] = (branch, start_commit)
            self.without_code.discard(workspace_id)
        self.opened.setdefault(workspace_id, (branch, start_commit))
        self.touched.setdefault(workspace_id, datetime.now(UTC))
        return self.directory_for(workspace_id)

    def code(self, workspace_id: UUID) -> WorkspaceCode:
        if workspace_id in self.without_code:
            return WorkspaceCode.MISSING
        return WorkspaceCode.THERE if workspace_id in self.opened else WorkspaceCode.GONE

    def write(self, workspace_id: UUID, files: Sequence[BundleFile]) -> None:
        self.bundles.setdefault(workspace_id, {}).update({file.path: file.content for file in files})

    def archive(self, workspace_id: UUID, repository: Repository, manifest: Mapping[str, Any]) -> Archive:
        if workspace_id not in self.archives:
            digest = hashlib.sha256(str(manifest).encode()).hexdigest()
            self.archives[workspace_id] = Archive(Path(f"/archives/{workspace_id}.tar.gz"), digest, 10)
            self.manifests[workspace_id] = manifest
        self.opened.pop(workspace_id, None)
        self.touched.pop(workspace_id, None)
        return self.archives[workspace_id]

    def touched_at(self, workspace_id: UUID) -> datetime | None:
        return self.touched.get(workspace_id)
