"""One repository's port: the git port bound to where the repository is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dct_pipelines.domain.git import Assessment, CommitRange, GitPort, RepositoryRef
from dct_pipelines.domain.git_refs import Oid, RefSnapshot


@dataclass(frozen=True)
class RepositoryReader:
    """What the git listener may do with the one repository that it reads. Errors: those of `GitPort`."""

    git: GitPort
    repository: RepositoryRef

    def refs(self) -> RefSnapshot:
        """All branches and tags now, in one call."""
        return self.git.list_refs(self.repository)

    def fetch(self, wanted: Mapping[str, Oid]) -> frozenset[Oid]:
        """Bring commits within reach of the questions below; returns those that could not be had any more."""
        return self.git.fetch(self.repository, wanted) if wanted else frozenset()

    def commits_between(self, old: Oid | None, new: Oid, limit: int) -> CommitRange:
        """What `new` has and `old` has not, newest first."""
        return self.git.commits_between(self.repository, old, new, limit)

    def is_ancestor(self, ancestor: Oid, descendant: Oid) -> bool:
        """Whether `descendant` contains `ancestor`."""
        return self.git.is_ancestor(self.repository, ancestor, descendant)

    def assess(self, target: Oid, heads: Sequence[Oid]) -> tuple[Assessment, ...]:
        """How each of the heads stands towards the target."""
        return self.git.assess(self.repository, target, heads)
