"""A GitHub in memory: what people, reviewers and CIs do at a repository, and what it then remembers.

It follows GitHub's documentation, not our client: opinions are kept as reviews, a head belongs to its branch,
a push, a comment or a review is an update of the pull request, the end of a check is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dct_pipelines.domain.git import RepositoryRef, Signature
from dct_pipelines.domain.git_refs import HEADS, Oid
from dct_pipelines.domain.ports import Clock
from tests.fakes.git import FakeGit
from tests.fakes.git_repository import A_MOMENT, FakeRepository


@dataclass
class Account:
    """Somebody with an account. Only who can push may approve."""

    login: str
    id: int
    type: str = "User"
    can_push: bool = True


@dataclass
class Comment:
    """`sort` is how its address ends before the number: issuecomment-, discussion_r, pullrequestreview-."""

    id: int
    sort: str
    author: Account
    body: str
    created_at: datetime
    updated_at: datetime
    edited_at: datetime | None = None

    @property
    def anchor(self) -> str:
        return f"{self.sort}{self.id}"


@dataclass
class Review(Comment):
    """`commit` is the head that it was given for."""

    state: str = "COMMENTED"
    commit: str = ""
    comments: list[Comment] = field(default_factory=list)


@dataclass
class Pull:
    """A pull request. `frozen_head` is where it stood when it was closed or merged."""

    number: int
    title: str
    body: str
    source: str
    target: str
    author: Account
    created_at: datetime
    updated_at: datetime
    is_draft: bool = False
    is_from_fork: bool = False
    state: str = "OPEN"
    frozen_head: str = ""
    merge_commit: str | None = None
    merged_at: datetime | None = None
    comments: list[Comment] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    renames: list[tuple[str, datetime, str, str, Account]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    reviewers: list[str] = field(default_factory=list)

    def all_comments(self) -> list[Comment]:
        """Whatever somebody wrote below it."""
        of_reviews = [comment for review in self.reviews for comment in review.comments]
        texts = [review for review in self.reviews if review.body]
        return [*self.comments, *of_reviews, *texts]


@dataclass
class Check:
    """A check run (`conclusion` None: not over) or, with `is_status`, a commit status."""

    name: str
    status: str
    conclusion: str | None
    is_status: bool = False
    workflow: str = "ci"


@dataclass
class GitHubWorld:
    """One repository `acme/shop` at its GitHub. `edits_update`: whether editing a comment is an update."""

    clock: Clock
    git: FakeGit = field(default_factory=FakeGit)
    url: str = "/srv/shop.git"
    name: str = "acme/shop"
    edits_update: bool = True
    page_size: int = 100
    """No list gives more at once, whatever is asked for."""
    pulls: dict[int, Pull] = field(default_factory=dict)
    checks: dict[str, list[Check]] = field(default_factory=dict)
    hidden: set[int] = field(default_factory=set)
    """Pull requests that cannot be read at the moment."""
    deployments: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    ids: int = 1000
    people: dict[str, Account] = field(default_factory=dict)

    @property
    def shop(self) -> FakeRepository:
        return self.git.repository(self.url)

    def person(self, login: str, **changes: Any) -> Account:
        """An account, made when it is first named."""
        if login not in self.people:
            self.people[login] = Account(login, 100 + len(self.people), **changes)
        return self.people[login]

    def new_id(self) -> int:
        self.ids += 1
        return self.ids

    def head(self, pull: Pull) -> str:
        return pull.frozen_head or str(self.shop.head(pull.source) or "0" * 40)

    def open(self, source: str, target: str, title: str, body: str = "", by: str = "dev") -> Pull:
        now = self._now()
        number = len(self.pulls) + 1
        pull = Pull(number, title, body, source, target, self.person(by), now, now)
        self.pulls[number] = pull
        return pull

    def push(self, branch: str, files: Mapping[str, str | None], message: str = "Change something") -> Oid:
        oid = self.shop.commit(branch, files, message)
        for pull in self.pulls.values():
            if pull.source == branch and pull.state == "OPEN":
                pull.updated_at = self._now()
        return oid

    def comment(self, pull: Pull, by: str, text: str) -> Comment:
        now = self._now()
        comment = Comment(self.new_id(), "issuecomment-", self.person(by), text, now, now)
        pull.comments.append(comment)
        pull.updated_at = now
        return comment

    def review(self, pull: Pull, by: str, state: str, text: str = "", lines: tuple[str, ...] = ()) -> Review:
        now, author = self._now(), self.person(by)
        review = Review(
            self.new_id(), "pullrequestreview-", author, text, now, now, state=state, commit=self.head(pull)
        )
        for line in lines:
            review.comments.append(Comment(self.new_id(), "discussion_r", author, line, now, now))
        pull.reviews.append(review)
        pull.updated_at = now
        return review

    def dismiss(self, pull: Pull, review: Review) -> None:
        review.state = "DISMISSED"
        pull.updated_at = self._now()

    def edit(self, pull: Pull, comment: Comment, text: str) -> None:
        comment.body, comment.updated_at, comment.edited_at = text, self._now(), self._now()
        if self.edits_update:
            pull.updated_at = self._now()

    def delete(self, pull: Pull, comment: Comment) -> None:
        for comments in (pull.comments, *(review.comments for review in pull.reviews)):
            if comment in comments:
                comments.remove(comment)
        if self.edits_update:
            pull.updated_at = self._now()

    def retitle(self, pull: Pull, title: str, by: str = "dev") -> None:
        event = (f"RTE_{self.new_id()}", self._now(), pull.title, title, self.person(by))
        pull.renames.append(event)
        pull.title, pull.updated_at = title, self._now()

    def describe(self, pull: Pull, body: str) -> None:
        pull.body, pull.updated_at = body, self._now()

    def draft(self, pull: Pull, *, is_draft: bool) -> None:
        pull.is_draft, pull.updated_at = is_draft, self._now()

    def retarget(self, pull: Pull, target: str) -> None:
        pull.target, pull.updated_at = target, self._now()

    def close(self, pull: Pull) -> None:
        pull.frozen_head, pull.state, pull.updated_at = self.head(pull), "CLOSED", self._now()

    def reopen(self, pull: Pull) -> None:
        pull.frozen_head, pull.state, pull.updated_at = "", "OPEN", self._now()

    def merge(self, pull: Pull, message: str = "Merge", method: str = "merge") -> str | None:
        """The commit, or None for a conflict."""
        head = self.head(pull)
        commit = self.merge_commits(Oid(head), pull.target, message, method)
        if commit is not None:
            pull.frozen_head, pull.merge_commit, pull.merged_at = head, commit, self._now()
            pull.state, pull.updated_at = "MERGED", self._now()
        return commit

    def merge_commits(self, head: Oid, target: str, message: str, method: str = "merge") -> str | None:
        into = self.shop.head(target)
        assert into is not None
        preview = self.git.merge_preview(RepositoryRef(self.url), into, head)
        if preview.tree is None:
            return None
        parents = (into, head) if method == "merge" else (into,)
        who = Signature(name="GitHub", email="noreply@example.invalid", at=A_MOMENT)
        commit = self.git.objects.keep_commit(preview.tree, parents, message, who)
        self.shop.refs[HEADS + target] = commit
        return commit

    def check(self, commit: str, name: str, conclusion: str | None, *, workflow: str = "ci") -> None:
        """A check run: begun or ended. The same name of the same workflow is the same check."""
        runs = self.checks.setdefault(commit, [])
        runs[:] = [run for run in runs if (run.name, run.workflow) != (name, workflow)]
        runs.append(Check(name, "COMPLETED" if conclusion else "IN_PROGRESS", conclusion, workflow=workflow))

    def status(self, commit: str, name: str, state: str) -> None:
        """A commit status; the last one of a name counts."""
        statuses = self.checks.setdefault(commit, [])
        statuses[:] = [one for one in statuses if not (one.is_status and one.name == name)]
        statuses.append(Check(name, state.upper(), None, is_status=True))

    def _now(self) -> datetime:
        """Full seconds, as GitHub tells them."""
        return self.clock.now().replace(microsecond=0)
