"""`FakeGit`: repositories in memory, for the tests of what stands on `GitPort`.

Held to the same contract as the real client by tests/contracts/test_git.py. Merges are decided file by file:
a file that both sides changed to different contents is in conflict.

    git = FakeGit()
    shop = git.repository("/srv/shop.git")
    first = shop.commit("main", {"a.txt": "1\\n"})
    git.outage(shop.url, ConnectionDown("the host is away"))
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dct_pipelines.domain.errors import ActionFailed, DctError, ItemUnreadable
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
from tests.fakes.git_repository import A_MOMENT, FakeRepository, Objects

__all__ = ["FakeGit", "FakeRepository"]


@dataclass
class FakeGit:
    """A `GitPort` over `FakeRepository`s. `calls` names every question that went to a repository itself."""

    objects: Objects = field(default_factory=Objects)
    repositories: dict[str, FakeRepository] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    worktrees: dict[Path, tuple[str, Oid]] = field(default_factory=dict)
    _outages: dict[str, DctError] = field(default_factory=dict)

    def repository(self, url: str) -> FakeRepository:
        """Make an empty repository, or find it again."""
        return self.repositories.setdefault(url, FakeRepository(url, self.objects))

    def outage(self, url: str, error: DctError | None) -> None:
        """From now on every call to the repository itself raises this; None ends it."""
        self._outages.pop(url, None)
        if error:
            self._outages[url] = error

    def list_refs(self, repo: RepositoryRef) -> RefSnapshot:
        there = self._reach(repo, "list_refs")
        lines = [f"{oid}\t{name}" for name, oid in sorted(there.refs.items())]
        if head := there.head(there.default_branch):
            lines[:0] = [f"ref: {HEADS}{there.default_branch}\tHEAD", f"{head}\tHEAD"]
        return RefSnapshot("".join(f"{line}\n" for line in lines).encode())

    def resolve(self, repo: RepositoryRef, ref: str) -> Oid | None:
        return self._reach(repo, "resolve").refs.get(checked_ref(ref))

    def fetch(self, repo: RepositoryRef, wanted: Mapping[str, Oid]) -> frozenset[Oid]:
        self._reach(repo, "fetch")
        for ref in wanted:
            checked_ref(ref)
        return frozenset(oid for oid in wanted.values() if as_oid(oid) not in self.objects.commits)

    def commits_between(
        self, repo: RepositoryRef, old: Oid | None, new: Oid, limit: int = 100
    ) -> CommitRange:
        self._need(repo, new, *([old] if old else []))
        known = self.objects.history(old) if old else {}
        found = [self.objects.commits[oid] for oid in self.objects.history(new) if oid not in known]
        return CommitRange(tuple(found[:limit]), truncated=len(found) > limit)

    def is_ancestor(self, repo: RepositoryRef, ancestor: Oid, descendant: Oid) -> bool:
        self._need(repo, ancestor, descendant)
        return ancestor in self.objects.history(descendant)

    def contains(self, repo: RepositoryRef, branch: str, oid: Oid) -> bool:
        head = self.resolve(repo, branch_ref(branch))
        return head is not None and self.is_ancestor(repo, oid, head)

    def ahead_behind(self, repo: RepositoryRef, target: Oid, head: Oid) -> AheadBehind:
        self._need(repo, target, head)
        of_head, of_target = self.objects.history(head).keys(), self.objects.history(target).keys()
        return AheadBehind(len(of_head - of_target), len(of_target - of_head))

    def merge_preview(self, repo: RepositoryRef, target: Oid, source: Oid) -> MergePreview:
        self._need(repo, target, source)
        known = self.objects.history(target)
        base = next((oid for oid in self.objects.history(source) if oid in known), None)
        if base is None:
            return MergePreview(clean=False, explanation="the two have no commit in common")
        before, ours, theirs = (self.objects.files(oid) for oid in (base, target, source))
        merged, conflicts = dict(ours), []
        for name in sorted({*before, *ours, *theirs}):
            was, here, there = before.get(name), ours.get(name), theirs.get(name)
            if there in (was, here):
                continue
            if here != was:
                conflicts.append(name)
            elif there is None:
                merged.pop(name)
            else:
                merged[name] = there
        if conflicts:
            explanation = f"both sides changed {len(conflicts)} file(s) in ways that cannot be joined"
            return MergePreview(clean=False, conflicts=tuple(conflicts), explanation=explanation)
        return MergePreview(clean=True, tree=self.objects.keep_tree(merged))

    def assess(self, repo: RepositoryRef, target: Oid, heads: Sequence[Oid]) -> tuple[Assessment, ...]:
        return tuple(
            Assessment(
                head, target, self.ahead_behind(repo, target, head), self.merge_preview(repo, target, head)
            )
            for head in heads
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
        self._need(repo, *parents)
        lines = [f"{name}: {' '.join(value.split())}" for name, value in (trailers or {}).items()]
        text = "\n".join([message.rstrip(), "", *lines]) if lines else message
        return self.objects.keep_commit(as_oid(tree), parents, text, author)

    def push(self, repo: RepositoryRef, updates: Mapping[str, RefUpdate]) -> dict[str, PushResult]:
        there = self._reach(repo, "push")
        told = {checked_ref(ref): self._verdict(there, ref, update) for ref, update in updates.items()}
        if any(result.status in (PushStatus.STALE, PushStatus.REJECTED) for result in told.values()):
            innocent = PushResult(PushStatus.REJECTED, "another reference of the same push was refused")
            return {
                ref: innocent if result.status is PushStatus.DONE else result for ref, result in told.items()
            }
        for ref, update in updates.items():
            there.refs.pop(ref, None)
            if update.new:
                there.refs[ref] = update.new
        return told

    def checkout_to(self, repo: RepositoryRef, oid: Oid, directory: Path) -> None:
        self._need(repo, oid)
        if directory.exists():
            raise ActionFailed(f"{directory} exists already; choose a directory that does not exist yet")
        self._write(oid, directory)

    def add_worktree(self, repo: RepositoryRef, branch: str, start: Oid, directory: Path) -> None:
        branch_ref(branch)
        self._need(repo, start)
        if (directory / ".git").exists():
            if self.worktrees.get(directory, ("", ""))[0] != branch:
                raise ActionFailed(f"{directory} exists already and is not a workspace on {branch!r}")
            return
        self._write(start, directory)
        (directory / ".git").mkdir()
        self.worktrees[directory] = (branch, start)

    def collect_worktree(self, repo: RepositoryRef, branch: str, directory: Path) -> Oid:
        """In a fake, whatever differs from the head is taken for committed."""
        self._reach(repo, "collect_worktree")
        branch_ref(branch)
        head = self.worktrees[directory][1]
        content = {
            str(file.relative_to(directory)): file.read_text()
            for file in sorted(directory.rglob("*"))
            if file.is_file() and ".git" not in file.parts
        }
        if content != self.objects.files(head):
            who = Signature(name="Workspace", email="workspace@dct.invalid", at=A_MOMENT)
            head = self.objects.keep_commit(self.objects.keep_tree(content), [head], "Work", who)
            self.worktrees[directory] = (branch, head)
        return head

    def remove_worktree(self, repo: RepositoryRef, directory: Path) -> None:
        self.worktrees.pop(directory, None)
        shutil.rmtree(directory, ignore_errors=True)

    def _verdict(self, there: FakeRepository, ref: str, update: RefUpdate) -> PushResult:
        now, branch = there.refs.get(ref), ref.removeprefix(HEADS)
        if now == update.new:
            return PushResult(PushStatus.UNCHANGED, "it was already there")
        if now != update.expected:
            return PushResult(PushStatus.STALE, "it moved in the meantime; read it again")
        if branch == there.checked_out:
            return PushResult(PushStatus.REJECTED, "the branch is checked out in a work tree there")
        if branch in there.protected:
            return PushResult(PushStatus.REJECTED, there.protected[branch])
        return PushResult(PushStatus.DONE)

    def _reach(self, repo: RepositoryRef, call: str) -> FakeRepository:
        self.calls.append(call)
        if repo.url in self._outages:
            raise self._outages[repo.url]
        if repo.url not in self.repositories:
            raise ItemUnreadable(f"there is no git repository that can be read at {repo.url}; check its path")
        return self.repositories[repo.url]

    def _need(self, repo: RepositoryRef, *oids: Oid) -> None:
        for oid in oids:
            if as_oid(oid) not in self.objects.commits:
                raise ItemUnreadable(
                    f"{repo.url} no longer has {oid}: deleted or forced away in the meantime"
                )

    def _write(self, oid: Oid, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in self.objects.files(oid).items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            if not (directory / name).exists():
                (directory / name).write_text(content)
