"""Questions about commits of one read, each asked once: what lies between two heads, how heads compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dct_pipelines.domain.facts import Commit as CommitFact
from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.git import Assessment, Commit, CommitRange
from dct_pipelines.domain.git_refs import HEADS, Oid, RefSnapshot
from dct_pipelines.domain.payloads import BranchCreated, ForcePushed, HeadMoved
from dct_pipelines.domain.repository.plan import BranchWork
from dct_pipelines.domain.repository.reader import RepositoryReader

MAX_COMMITS = 100
"""Commits that one event lists; more are only said to be there."""
_LONGEST_MESSAGE = 2000
_LONGEST_NAME = 200


@dataclass
class History:
    """Answers for the references of one read; what it is asked about has been fetched."""

    reader: RepositoryReader
    refs: RefSnapshot
    default: str | None
    """The default branch."""
    lost: set[Oid] = field(default_factory=set)
    """Commits that the repository no longer gives away."""
    _ranges: dict[tuple[Oid, Oid], CommitRange] = field(default_factory=dict)

    def fetch(self, heads: Mapping[str, str]) -> None:
        """Bring the branches' commits within reach, as far as they are still to be had."""
        self.lost |= self.reader.fetch({HEADS + branch: Oid(head) for branch, head in heads.items()})

    def is_forward(self, old: str, new: str) -> bool:
        """Whether `new` still contains `old`: then the last commit between them has it as parent."""
        if self.lost & {old, new}:
            return False
        between = self._between(Oid(old), Oid(new))
        if any(old in commit.parents for commit in between.commits):
            return True
        return between.truncated and self.reader.is_ancestor(Oid(old), Oid(new))

    def change(self, work: BranchWork) -> BranchCreated | HeadMoved | ForcePushed | None:
        """What happened to the branch's head."""
        if not work.is_moved:
            return None
        since = self._default_head(work.branch)
        if work.stored is None:
            commits, truncated = self._commits(since, work.head)
            return BranchCreated(
                branch=work.branch, head=work.head, commits=commits, commits_truncated=truncated
            )
        before = Oid(work.stored.head)
        kind = HeadMoved if self.is_forward(before, work.head) else ForcePushed
        commits, truncated = self._commits(since if before in self.lost else before, work.head)
        return kind(
            branch=work.branch,
            before=before,
            head=work.head,
            commits=commits,
            commits_truncated=truncated,
        )

    def assess(self, works: Iterable[BranchWork]) -> dict[tuple[str, str], Assessment]:
        """Every comparison that these branches need, by (target branch, head): one call a target."""
        heads: dict[str, dict[Oid, None]] = {}
        for work in works:
            for pair in work.pairs:
                heads.setdefault(pair.target, {})[work.head] = None
        return {
            (target, head): answer
            for target, wanted in heads.items()
            for head, answer in zip(
                wanted, self.reader.assess(self.refs.branches[target], tuple(wanted)), strict=True
            )
        }

    def _default_head(self, branch: str) -> Oid | None:
        return self.refs.branches[self.default] if self.default and self.default != branch else None

    def _commits(self, old: Oid | None, new: Oid) -> tuple[tuple[CommitFact, ...], bool]:
        """A branch that starts the history has nothing that it could be ahead of."""
        if old is None or old in self.lost:
            return (), False
        found = self._between(old, new)
        return tuple(map(_fact, found.commits)), found.truncated

    def _between(self, old: Oid, new: Oid) -> CommitRange:
        if (old, new) not in self._ranges:
            self._ranges[old, new] = self.reader.commits_between(old, new, MAX_COMMITS)
        return self._ranges[old, new]


def _fact(commit: Commit) -> CommitFact:
    message = f"{commit.subject}\n\n{commit.body}" if commit.body else commit.subject
    return CommitFact(
        oid=commit.oid,
        author=Person(
            name=clean(commit.author_name, _LONGEST_NAME) or None,
            email=clean(commit.author_email, _LONGEST_NAME) or None,
        ),
        message=clean(message, _LONGEST_MESSAGE),
        committed_at=commit.committed_at,
    )


def clean(text: str, longest: int) -> str:
    """A text from outside: bounded, and without what no database can store: NUL and halves of characters."""
    return text[:longest].replace("\x00", "�").encode("utf-8", "replace").decode("utf-8").strip()
