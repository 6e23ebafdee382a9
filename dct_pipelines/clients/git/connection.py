"""A connection of type git: repositories below a folder or URL, each looked at by one listing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dct_pipelines.domain.connected import Endpoint, Finding
from dct_pipelines.domain.git import GitPort, RepositoryRef
from dct_pipelines.domain.repository.reader import RepositoryReader
from dct_pipelines.domain.words import ItemKind


@dataclass(frozen=True)
class GitConnection:
    """Reads repositories with the credential of their connection."""

    git: GitPort
    endpoint: Endpoint

    def check(self) -> tuple[Finding, ...]:
        """Whether the credential can be read; git itself can only be asked for a repository."""
        if self.endpoint.credential is None:
            return (Finding("credential", True, "none; repositories are read without one"),)
        self.endpoint.credential()
        return (Finding("credential", True, "it can be read; each repository tells whether it is good"),)

    def look(self, _kind: ItemKind, location: str, _config: Mapping[str, Any]) -> str:
        """Say what the repository holds."""
        refs = self.git.list_refs(self._ref(location))
        if refs.is_empty:
            return "an empty repository, so far"
        unusable = f", {len(refs.rejected)} unusable names" if refs.rejected else ""
        default = f", default {refs.default_branch}" if refs.default_branch else ", no default branch"
        return f"{len(refs.branches)} branches, {len(refs.tags)} tags{default}{unusable}"

    def reader(self, location: str) -> RepositoryReader:
        """What the listener reads one repository through."""
        return RepositoryReader(self.git, self._ref(location))

    def _ref(self, location: str) -> RepositoryRef:
        return RepositoryRef(location, credential=self.endpoint.credential)
