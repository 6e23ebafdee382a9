"""The words of git: repositories, commits, merges, pushes, and the port. Names and ids: `git_refs`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from dct_pipelines.domain.git_refs import Oid, RefSnapshot


@dataclass(frozen=True, slots=True)
class RepositoryRef:
    """Where a repository is, and how to get its secret when one is needed.

    `url` is a path, or file://, ssh://, user@host:path, https:// (http:// to this machine only). Secrets
    in a URL are refused. `credential` returns a token (https) or a private key in PEM (ssh); it is asked
    at each use, so that a renewed secret counts at once. `username` goes with a token.
    """

    url: str
    credential: Callable[[], str] | None = field(default=None, compare=False, repr=False)
    username: str = "x-access-token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit. Author names are free text that anybody can write: never proof of who it was."""

    oid: Oid
    parents: tuple[Oid, ...]
    author_name: str
    author_email: str
    authored_at: datetime
    committed_at: datetime
    subject: str
    body: str = ""


@dataclass(frozen=True, slots=True)
class CommitRange:
    """The commits of a range, newest first; `truncated` when there are more than were asked for."""

    commits: tuple[Commit, ...]
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class AheadBehind:
    """How many commits a head has that its target has not, and the other way round."""

    ahead: int
    behind: int


@dataclass(frozen=True, slots=True)
class MergePreview:
    """What merging would give: a tree when it is clean, else the files in conflict (maybe none are named)."""

    clean: bool
    tree: Oid | None = None
    conflicts: tuple[str, ...] = ()
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class Assessment:
    """A head against a target, with everything that `branch_ready` asks for."""

    head: Oid
    target: Oid
    ahead_behind: AheadBehind
    merge: MergePreview


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Who makes a commit, and when. Fixed by the caller, so that a retry makes the very same commit."""

    name: str
    email: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """Move a reference to `new` (None: delete it), only if it is still at `expected` (None: is not there)."""

    new: Oid | None
    expected: Oid | None


class PushStatus(StrEnum):
    """What became of one reference of a push."""

    DONE = "done"
    UNCHANGED = "unchanged"
    """It was already there: an earlier attempt got through."""
    STALE = "stale"
    """It is no longer where the caller thought; read again and decide again."""
    REJECTED = "rejected"
    """The receiver refused: protected branch, hook, or a branch checked out in a work tree."""


@dataclass(frozen=True, slots=True)
class PushResult:
    """What became of one reference, and why in words."""

    status: PushStatus
    reason: str = ""


class GitPort(Protocol):
    """What the product does with repositories.

    Except for `list_refs`, `resolve`, `contains`, `fetch` and `push`, which talk to the repository itself,
    everything is answered from a local cache. What it lacks is fetched, but `fetch` of all at once is far
    cheaper. Errors: `ItemUnreadable` (missing, refused name, corrupt),
    `ItemTemporarilyUnreadable`, `ConnectionDown`, `CredentialRefused`, `InvalidInput`. "Could not
    read" is always an error, never an empty answer.
    """

    def list_refs(self, repo: RepositoryRef) -> RefSnapshot:
        """All branches and tags now, in one call."""
        ...

    def resolve(self, repo: RepositoryRef, ref: str) -> Oid | None:
        """Where the full reference name points now (tags peeled), or None when there is no such reference."""
        ...

    def fetch(self, repo: RepositoryRef, wanted: Mapping[str, Oid]) -> frozenset[Oid]:
        """Bring full reference names, and the commits they were seen at, into the cache, in one call.

        Returns the commits that could no longer be had (deleted or forced away in the meantime): no error,
        so that one vanished branch does not stop the others.
        """
        ...

    def commits_between(
        self, repo: RepositoryRef, old: Oid | None, new: Oid, limit: int = 100
    ) -> CommitRange:
        """What `new` has and `old` has not (None: everything that `new` has), newest first."""
        ...

    def is_ancestor(self, repo: RepositoryRef, ancestor: Oid, descendant: Oid) -> bool:
        """Whether `descendant` contains `ancestor`; a head that does not contain its old one was forced."""
        ...

    def contains(self, repo: RepositoryRef, branch: str, oid: Oid) -> bool:
        """Whether the branch (short name), as it is at the repository now, contains that commit; fetches."""
        ...

    def ahead_behind(self, repo: RepositoryRef, target: Oid, head: Oid) -> AheadBehind:
        """How far `head` and `target` have grown apart."""
        ...

    def merge_preview(self, repo: RepositoryRef, target: Oid, source: Oid) -> MergePreview:
        """Merge `source` into `target` without a work tree; nothing but objects is written."""
        ...

    def assess(self, repo: RepositoryRef, target: Oid, heads: Sequence[Oid]) -> tuple[Assessment, ...]:
        """`ahead_behind` and `merge_preview` of many heads against one target, in their order."""
        ...

    def create_merge_commit(
        self,
        repo: RepositoryRef,
        tree: Oid,
        parents: Sequence[Oid],
        message: str,
        author: Signature,
        trailers: Mapping[str, str] | None = None,
    ) -> Oid:
        """Write a commit into the cache. The same arguments give the same id, so a retry is harmless."""
        ...

    def push(self, repo: RepositoryRef, updates: Mapping[str, RefUpdate]) -> dict[str, PushResult]:
        """Move the references (full names), all or none, each only from where it is expected."""
        ...

    def checkout_to(self, repo: RepositoryRef, oid: Oid, directory: Path) -> None:
        """Write the files of a commit, without any `.git`, into a directory that does not exist yet.

        It appears complete or not at all.
        """
        ...

    def add_worktree(self, repo: RepositoryRef, branch: str, start: Oid, directory: Path) -> None:
        """A working directory on a branch (short name) that begins at `start`; does nothing when it is there.

        A directory without a repository gets one, and the files that it lacks; what lies in it stays.
        """
        ...

    def collect_worktree(self, repo: RepositoryRef, branch: str, directory: Path) -> Oid:
        """Bring what was committed on `branch` in a working directory into the cache; returns its head."""
        ...

    def remove_worktree(self, repo: RepositoryRef, directory: Path) -> None:
        """Remove a working directory with everything in it; does nothing when it is gone."""
        ...
