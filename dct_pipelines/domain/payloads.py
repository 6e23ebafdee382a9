"""What an event says: one typed payload for each kind of event.

`kind` is the discriminator and the event's kind. A payload holds both sides of a change, so that a
condition needs nothing but the event.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from dct_pipelines.domain.words import CheckState


class Fact(BaseModel):
    """An immutable piece of data."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Person(Fact):
    """Somebody as the provider names them. Free text (a commit's author) is never proof of who acted."""

    id: str | None = None
    name: str | None = None
    email: str | None = None
    is_bot: bool = False

    @property
    def names(self) -> frozenset[str]:
        """Every non-empty name, casefolded, that a condition may call this person by."""
        return frozenset(text.casefold() for text in (self.id, self.name, self.email) if text)

    def __str__(self) -> str:
        return self.name or self.email or self.id or "somebody"


class Commit(Fact):
    """One commit, with its message cut to a bound by the listener."""

    oid: str
    author: Person
    message: str
    committed_at: datetime


class StatusChanged(Fact):
    """A ticket went from one status to another."""

    kind: Literal["status_changed"] = "status_changed"
    from_status: str | None
    to_status: str


class AssigneeChanged(Fact):
    """A ticket's assignee changed; None is nobody."""

    kind: Literal["assignee_changed"] = "assignee_changed"
    from_user: Person | None
    to_user: Person | None


class PriorityChanged(Fact):
    """A ticket's priority changed. Ranks grow with urgency; None where the provider gives no order."""

    kind: Literal["priority_changed"] = "priority_changed"
    from_priority: str | None
    to_priority: str | None
    from_rank: int | None = None
    to_rank: int | None = None


class TextChanged(Fact):
    """The text of a field (`title`, `description`) is new or was edited."""

    kind: Literal["text_changed"] = "text_changed"
    field: str
    before: str | None
    after: str


class CommentAdded(Fact):
    """A comment was added to a ticket or a pull request."""

    kind: Literal["comment_added"] = "comment_added"
    comment_id: str
    author: Person
    text: str


class CommentEdited(Fact):
    """A comment's text was edited."""

    kind: Literal["comment_edited"] = "comment_edited"
    comment_id: str
    author: Person
    before: str
    after: str


class MessagePosted(Fact):
    """A Slack message or an email arrived."""

    kind: Literal["message_posted"] = "message_posted"
    message_id: str
    author: Person
    text: str
    subject: str | None = None
    in_thread: bool = False


class MessageEdited(Fact):
    """A message's text was edited."""

    kind: Literal["message_edited"] = "message_edited"
    message_id: str
    author: Person
    before: str
    after: str


class BranchCreated(Fact):
    """A branch appeared. `commits` are those ahead of the default branch, newest first."""

    kind: Literal["branch_created"] = "branch_created"
    branch: str
    head: str
    commits: tuple[Commit, ...] = ()
    commits_truncated: bool = False


class HeadMoved(Fact):
    """A branch's head moved forward; `commits` are those between, newest first."""

    kind: Literal["head_moved"] = "head_moved"
    branch: str
    before: str
    head: str
    commits: tuple[Commit, ...] = ()
    commits_truncated: bool = False


class ForcePushed(Fact):
    """A branch's head was replaced by one that does not contain the old head."""

    kind: Literal["force_pushed"] = "force_pushed"
    branch: str
    before: str
    head: str
    commits: tuple[Commit, ...] = ()
    commits_truncated: bool = False


class BranchDeleted(Fact):
    """A branch is gone; `head` is where it was last seen."""

    kind: Literal["branch_deleted"] = "branch_deleted"
    branch: str
    head: str


class TagCreated(Fact):
    """A tag appeared (or was moved, then `before` says from where)."""

    kind: Literal["tag_created"] = "tag_created"
    tag: str
    commit: str
    before: str | None = None


class CheckReported(Fact):
    """A named check of a branch's current head got a new state."""

    kind: Literal["check_reported"] = "check_reported"
    branch: str
    head: str
    name: str
    state: CheckState
    checks: dict[str, CheckState]
    """Every check known for this head, this one included."""
    url: str | None = None


class BranchAssessed(Fact):
    """A derived fact: how the head of a branch stands towards a target branch."""

    kind: Literal["branch_assessed"] = "branch_assessed"
    branch: str
    head: str
    target: str
    target_head: str
    is_default_target: bool
    """Whether the target is the repository's default branch."""
    ahead: int
    behind: int
    merges_cleanly: bool
    conflicts: tuple[str, ...] = ()
    checks: dict[str, CheckState] = Field(default_factory=dict)
    quiet_seconds: int = 0
    """For how long the head has not moved."""


class Approval(Fact):
    """The latest opinion of one reviewer about one head of a pull request."""

    user: Person
    head: str
    state: Literal["approved", "changes_requested", "dismissed", "commented"]
    may_approve: bool = True
    """False where the provider says that this reviewer's approval does not count (no write access)."""


class PullRequestAssessed(Fact):
    """A derived fact: reviews and checks of a pull request's current head."""

    kind: Literal["pull_request_assessed"] = "pull_request_assessed"
    number: int
    head: str
    source: str
    target: str
    approvals: tuple[Approval, ...] = ()
    checks: dict[str, CheckState] = Field(default_factory=dict)
    is_open: bool = True
    is_draft: bool = False


Payload = Annotated[
    StatusChanged
    | AssigneeChanged
    | PriorityChanged
    | TextChanged
    | CommentAdded
    | CommentEdited
    | MessagePosted
    | MessageEdited
    | BranchCreated
    | HeadMoved
    | ForcePushed
    | BranchDeleted
    | TagCreated
    | CheckReported
    | BranchAssessed
    | PullRequestAssessed,
    Field(discriminator="kind"),
]
