"""What an event says: one typed payload for each kind of event.

`kind` is the discriminator and the event's kind. A payload holds both sides of a change, so that a
condition needs nothing but the event.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dct_pipelines.domain.facts import Approval, Commit, Fact, MailTrust, Person, RequestRef, TicketRef
from dct_pipelines.domain.words import CheckState


class StatusChanged(Fact):
    """A ticket went from one status to another; from None when it was created in that status."""

    kind: Literal["status_changed"] = "status_changed"
    from_status: str | None
    to_status: str
    ticket: TicketRef | None = None


class AssigneeChanged(Fact):
    """A ticket's assignee changed; None is nobody."""

    kind: Literal["assignee_changed"] = "assignee_changed"
    from_user: Person | None
    to_user: Person | None
    ticket: TicketRef | None = None


class PriorityChanged(Fact):
    """A ticket's priority changed. Ranks grow with urgency; None where the provider gives no order."""

    kind: Literal["priority_changed"] = "priority_changed"
    from_priority: str | None
    to_priority: str | None
    from_rank: int | None = None
    to_rank: int | None = None
    ticket: TicketRef | None = None


class TextChanged(Fact):
    """The text of a field (`title`, `description`) is new or was edited."""

    kind: Literal["text_changed"] = "text_changed"
    field: str
    before: str | None
    after: str
    ticket: TicketRef | None = None
    pull_request: RequestRef | None = None


class CommentAdded(Fact):
    """A comment was added to a ticket or a pull request."""

    kind: Literal["comment_added"] = "comment_added"
    comment_id: str
    author: Person
    text: str
    ticket: TicketRef | None = None
    pull_request: RequestRef | None = None
    url: str | None = None


class CommentEdited(Fact):
    """A comment's text was edited; `before` is None when it was never read."""

    kind: Literal["comment_edited"] = "comment_edited"
    comment_id: str
    author: Person
    before: str | None
    after: str
    ticket: TicketRef | None = None
    pull_request: RequestRef | None = None
    url: str | None = None


class CommentDeleted(Fact):
    """A comment that we have read is gone."""

    kind: Literal["comment_deleted"] = "comment_deleted"
    comment_id: str
    author: Person
    before: str
    ticket: TicketRef | None = None
    pull_request: RequestRef | None = None


class MessagePosted(Fact):
    """A Slack message or an email arrived."""

    kind: Literal["message_posted"] = "message_posted"
    message_id: str
    author: Person
    text: str
    subject: str | None = None
    in_thread: bool = False
    channel: str | None = None
    """Name of the channel, or the mail folder."""
    thread: str | None = None
    """The provider's id of the thread: the first message's."""
    url: str | None = None
    mail: MailTrust | None = None
    """Of an email only."""


class MessageEdited(Fact):
    """A message's text was edited; `before` is None when it was never read."""

    kind: Literal["message_edited"] = "message_edited"
    message_id: str
    author: Person
    before: str | None
    after: str
    channel: str | None = None
    thread: str | None = None
    url: str | None = None


class MessageDeleted(Fact):
    """A message that we have read is gone."""

    kind: Literal["message_deleted"] = "message_deleted"
    message_id: str
    author: Person
    before: str
    channel: str | None = None
    thread: str | None = None


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
    is_merged: bool = False
    is_from_fork: bool = False
    """`source` is then the name of a branch of another repository, where other people may write."""
    title: str = ""
    url: str | None = None


Payload = Annotated[
    StatusChanged
    | AssigneeChanged
    | PriorityChanged
    | TextChanged
    | CommentAdded
    | CommentEdited
    | CommentDeleted
    | MessagePosted
    | MessageEdited
    | MessageDeleted
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
