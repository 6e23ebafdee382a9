"""`GitClient`: the real `GitPort`. What is asked of which copy; how is in the modules beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dct_pipelines.clients.git import history, merging, pushing, trees
from dct_pipelines.clients.git.calls import Calls, GitLimits
from dct_pipelines.clients.git.copies import Copies
from dct_pipelines.clients.git.environment import Surroundings
from dct_pipelines.clients.git.failures import CacheDamaged, Locked, NotAtomic, NotHad, Refused
from dct_pipelines.clients.git.locations import locate
from dct_pipelines.clients.guard import AddressGuard
from dct_pipelines.domain.errors import ItemTemporarilyUnreadable, ItemUnreadable
from dct_pipelines.domain.git import (
    AheadBehind,
    Assessment,
    CommitRange,
    MergePreview,
    PushResult,
    PushStatus,
    RefUpdate,
    RepositoryRef,
    Signature,
)
from dct_pipelines.domain.git_refs import HEADS, Oid, RefSnapshot, as_oid, branch_ref, checked_ref
from dct_pipelines.domain.process import ProcessPort

WAY_BACK = "`dct restore workspace` brings it back"


class GitClient:
    """Repositories by the system's git (2.38 or later, for `merge-tree --write-tree`).

    `folder` holds the cache. `env` adds variables of the system (see `PASSED_ON`) to calls over a network.
    `guard` judges the hosts that such calls lead to.
    """

    def __init__(
        self,
        folder: Path,
        processes: ProcessPort,
        limits: GitLimits | None = None,
        env: Mapping[str, str] | None = None,
        guard: AddressGuard | None = None,
    ) -> None:
        guard = guard or AddressGuard(allow_private_network=True)
        surroundings = Surroundings(folder / "surroundings", env or {}, guard)
        self._calls = Calls(processes, surroundings, limits or GitLimits())
        self._copies = Copies(folder, self._calls)

    def list_refs(self, repo: RepositoryRef) -> RefSnapshot:
        """All branches and tags now, in one call."""
        return RefSnapshot(
            self._ls_remote(repo, "--symref", patterns=("HEAD", "refs/heads/*", "refs/tags/*"))
        )

    def resolve(self, repo: RepositoryRef, ref: str) -> Oid | None:
        """Where a reference points now, tags peeled."""
        checked_ref(ref)
        snapshot = RefSnapshot(self._ls_remote(repo, patterns=(ref, f"{ref}^{{}}")))
        for broken in snapshot.rejected:
            if broken.name == ref:
                raise ItemUnreadable(f"{ref} in {repo.url} is broken ({broken.reason}); repair it there")
        short = ref.removeprefix(HEADS)
        return (
            snapshot.branches.get(short)
            if ref.startswith(HEADS)
            else snapshot.tags.get(ref[len("refs/tags/") :])
        )

    def fetch(self, repo: RepositoryRef, wanted: Mapping[str, Oid]) -> frozenset[Oid]:
        """Bring commits into the cache; returns those that the repository no longer has."""
        named = {checked_ref(ref): as_oid(oid) for ref, oid in wanted.items()}
        return self._copies.bring(repo, locate(repo.url), named)

    def commits_between(
        self, repo: RepositoryRef, old: Oid | None, new: Oid, limit: int = 100
    ) -> CommitRange:
        """What `new` has and `old` has not, newest first."""
        needed = [new, *([old] if old else [])]
        return self._copies.ask(
            repo, needed, lambda path: history.commits_between(self._calls, path, old, new, limit)
        )

    def is_ancestor(self, repo: RepositoryRef, ancestor: Oid, descendant: Oid) -> bool:
        """Whether `descendant` contains `ancestor`."""
        return self._copies.ask(
            repo,
            [ancestor, descendant],
            lambda path: history.is_ancestor(self._calls, path, ancestor, descendant),
        )

    def contains(self, repo: RepositoryRef, branch: str, oid: Oid) -> bool:
        """Whether the branch, as it is at the repository now, contains a commit."""
        head = self.resolve(repo, branch_ref(branch))
        if head is None:
            return False
        self.fetch(repo, {branch_ref(branch): head})
        return head == oid or self.is_ancestor(repo, oid, head)

    def ahead_behind(self, repo: RepositoryRef, target: Oid, head: Oid) -> AheadBehind:
        """How far two commits have grown apart."""
        return self._copies.ask(
            repo, [target, head], lambda path: history.ahead_behind(self._calls, path, target, head)
        )

    def merge_preview(self, repo: RepositoryRef, target: Oid, source: Oid) -> MergePreview:
        """What merging `source` into `target` would give."""
        return self._copies.ask(
            repo, [target, source], lambda path: merging.preview(self._calls, path, target, source)
        )

    def assess(self, repo: RepositoryRef, target: Oid, heads: Sequence[Oid]) -> tuple[Assessment, ...]:
        """Many heads against one target."""
        return self._copies.ask(
            repo, [target, *heads], lambda path: merging.assess(self._calls, path, target, heads)
        )

    def create_merge_commit(
        self,
        repo: RepositoryRef,
        tree: Oid,
        parents: Sequence[Oid],
        message: str,
        author: Signature,
        trailers: Mapping[str, str] | None = None,
    ) -> Oid:
        """Write a commit into the cache; equal arguments, equal id."""
        return self._copies.ask(
            repo,
            parents,
            lambda path: merging.commit(
                self._calls, path, as_oid(tree), parents, message, author, trailers or {}
            ),
        )

    def push(self, repo: RepositoryRef, updates: Mapping[str, RefUpdate]) -> dict[str, PushResult]:
        """Move references, each only from where it is expected."""
        if not updates:
            return {}
        location = locate(repo.url)
        new = [as_oid(update.new) for update in updates.values() if update.new]
        named = {checked_ref(ref): update for ref, update in updates.items()}
        try:
            return self._copies.ask(
                repo, new, lambda path: pushing.push(self._calls, repo, location, path, named)
            )
        except NotAtomic:
            reason = f"{location.url} cannot move several references together; push them one by one"
            return {ref: PushResult(PushStatus.REJECTED, reason) for ref in updates}

    def checkout_to(self, repo: RepositoryRef, oid: Oid, directory: Path) -> None:
        """Write the files of a commit into a new directory."""
        self._copies.ask(repo, [oid], lambda path: trees.checkout_to(self._calls, path, oid, directory))

    def add_worktree(self, repo: RepositoryRef, branch: str, start: Oid, directory: Path) -> None:
        """A working directory on a branch."""
        branch_ref(branch)
        location = locate(repo.url)
        self._copies.ask(
            repo,
            [start],
            lambda path: trees.add_worktree(self._calls, path, location, branch, start, directory),
        )

    def collect_worktree(self, repo: RepositoryRef, branch: str, directory: Path) -> Oid:
        """Bring what was committed in a working directory into the cache."""
        branch_ref(branch)
        location = locate(repo.url)

        def bring() -> Oid:
            if not directory.is_dir():
                raise ItemUnreadable(f"the workspace {directory} is gone; {WAY_BACK}")
            if not trees.has_repository(directory):
                raise ItemUnreadable(f"the workspace {directory} holds no code; {WAY_BACK}")
            with self._copies.cache.writing(location) as path:
                return trees.collect_worktree(self._calls, path, branch, directory)

        try:
            return self._copies.mending(location, bring)
        except Refused as refused:
            raise ItemTemporarilyUnreadable(
                f"the work in {directory} could not be collected: {refused}"
            ) from refused

    def remove_worktree(self, repo: RepositoryRef, directory: Path) -> None:
        """Remove a working directory."""
        trees.remove(directory)

    def _ls_remote(self, repo: RepositoryRef, *options: str, patterns: Sequence[str]) -> bytes:
        location = locate(repo.url)
        args = ("ls-remote", *options, "--end-of-options", location.url, *patterns)
        try:
            return self._calls.remote(repo, location, *args).stdout
        except (NotHad, CacheDamaged, Locked) as error:
            raise ItemUnreadable(f"the repository at {location.url} is damaged: {error}") from error
