"""Repositories in memory: what `FakeGit` stands on. A test writes to one as its users would."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dct_pipelines.domain.git import Commit, Signature
from dct_pipelines.domain.git_refs import HEADS, TAGS, Oid

A_MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
Files = dict[str, str]


def _oid(*parts: object) -> Oid:
    return Oid(hashlib.sha1(repr(parts).encode("utf-8", "surrogateescape")).hexdigest())


@dataclass
class Objects:
    """Commits and trees, shared by all repositories of a fake."""

    commits: dict[Oid, Commit] = field(default_factory=dict)
    tree_of: dict[Oid, Oid] = field(default_factory=dict)
    trees: dict[Oid, Files] = field(default_factory=dict)

    def files(self, commit: Oid) -> Files:
        return self.trees[self.tree_of[commit]]

    def keep_tree(self, files: Files) -> Oid:
        oid = _oid("tree", sorted(files.items()))
        self.trees[oid] = files
        return oid

    def keep_commit(self, tree: Oid, parents: Sequence[Oid], message: str, author: Signature) -> Oid:
        oid = _oid("commit", tree, tuple(parents), message, author.name, author.email, author.at)
        subject, _, body = message.strip().partition("\n")
        self.tree_of[oid] = tree
        self.commits[oid] = Commit(
            oid=oid,
            parents=tuple(parents),
            author_name=author.name,
            author_email=author.email,
            authored_at=author.at,
            committed_at=author.at,
            subject=subject,
            body=body.strip(),
        )
        return oid

    def history(self, tip: Oid) -> dict[Oid, None]:
        """Everything that `tip` contains, itself first, children before their parents."""
        found: dict[Oid, None] = {}
        queue = [tip]
        while queue:
            oid = queue.pop(0)
            found.pop(oid, None)
            found[oid] = None
            queue += self.commits[oid].parents
        return found


@dataclass
class FakeRepository:
    """One repository; a test writes to it as its users would."""

    url: str
    objects: Objects
    refs: dict[str, Oid] = field(default_factory=dict)
    default_branch: str = "main"
    checked_out: str | None = None
    """A branch that refuses pushes, as one that is checked out in a work tree does."""
    protected: dict[str, str] = field(default_factory=dict)
    """Branch to the words with which the server refuses a push."""

    def commit(
        self,
        branch: str,
        files: Mapping[str, str | None],
        message: str = "Change something",
        *,
        parents: Sequence[Oid] | None = None,
        at: datetime = A_MOMENT,
        who: str = "Sample <sample@example.invalid>",
    ) -> Oid:
        """Commit on top of the branch, or on `parents`, and move the branch there; None removes a file."""
        head = self.head(branch)
        parents = ([head] if head else []) if parents is None else parents
        content = dict(self.objects.files(parents[0])) if parents else {}
        for name, text in files.items():
            content.pop(name, None)
            if text is not None:
                content[name] = text
        name, _, email = who.rstrip(">").partition(" <")
        oid = self.objects.keep_commit(
            self.objects.keep_tree(content), parents, message, Signature(name=name, email=email, at=at)
        )
        self.branch(branch, oid)
        return oid

    def branch(self, name: str, oid: Oid) -> None:
        self.refs[HEADS + name] = oid

    def delete_branch(self, name: str) -> None:
        del self.refs[HEADS + name]

    def tag(self, name: str, oid: Oid, message: str | None = None) -> None:
        self.refs[TAGS + name] = oid

    def head(self, branch: str) -> Oid | None:
        return self.refs.get(HEADS + branch)

    def files(self, oid: Oid) -> Files:
        return dict(self.objects.files(oid))
