"""The last known state of a subject: a branch, a ticket, a pull request, a thread.

A snapshot is derived and never the source of truth for what happened. Old ones are kept with the
event sequence they were valid for, so that `all` compositions can be replayed exactly.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from dct_pipelines.domain.facts import Approval, Fact, Person
from dct_pipelines.domain.payloads import BranchAssessed
from dct_pipelines.domain.words import CheckState


class BranchState(Fact):
    """A branch of a repository. `assessments` are keyed by target branch."""

    kind: Literal["branch"] = "branch"
    branch: str
    head: str
    since: datetime
    """When this head was first seen."""
    is_default: bool = False
    checks: dict[str, CheckState] = Field(default_factory=dict)
    assessments: dict[str, BranchAssessed] = Field(default_factory=dict)


class TagState(Fact):
    """A tag of a repository."""

    kind: Literal["tag"] = "tag"
    tag: str
    commit: str


class TicketState(Fact):
    """A ticket of a tracker. Its subject is the provider's id of it, which never changes."""

    kind: Literal["ticket"] = "ticket"
    key: str
    url: str | None = None
    project: str = ""
    updated: str = ""
    """When the provider last changed it, in its own words; only compared for equality."""
    title: str = ""
    description: str = ""
    status: str
    assignee: Person | None = None
    priority: str | None = None
    labels: tuple[str, ...] = ()
    last_comment: str | None = None
    last_comment_by: Person | None = None
    read_until: str = ""
    """Up to when the history of changes was read, on the provider's clock."""
    last_change: str = ""
    """The provider's id of the newest change that was read then."""


class CommentState(Fact):
    """A comment of a ticket or pull request as it was last read. Its subject is below its parent's."""

    kind: Literal["comment"] = "comment"
    comment_id: str
    author: Person
    text: str
    updated: str
    """When it was last written, in the provider's own words."""


class MessageState(Fact):
    """A message as it was last read, so that an edit knows what was there before."""

    kind: Literal["message"] = "message"
    message_id: str
    author: Person
    text: str
    edited: str | None = None
    """The provider's mark of the last edit."""
    thread: str | None = None
    replies: int = 0
    last_reply: str | None = None


class PullRequestState(Fact):
    """A pull (merge) request of a git host."""

    kind: Literal["pull_request"] = "pull_request"
    number: int
    title: str = ""
    description: str = ""
    source: str
    target: str
    head: str
    url: str | None = None
    updated: str = ""
    is_open: bool = True
    is_draft: bool = False
    is_merged: bool = False
    is_from_fork: bool = False
    approvals: tuple[Approval, ...] = ()
    checks: dict[str, CheckState] = Field(default_factory=dict)
    retitled: int = 0
    """How often its title had been changed by then, where the host counts that."""
    last_comment: str | None = None
    last_comment_by: Person | None = None


class ThreadState(Fact):
    """A Slack channel or thread, or an email thread: its latest message."""

    kind: Literal["thread"] = "thread"
    subject: str | None = None
    last_message_id: str | None = None
    last_text: str = ""
    last_author: Person | None = None
    in_thread: bool = False


State = Annotated[
    BranchState | TagState | TicketState | CommentState | PullRequestState | ThreadState | MessageState,
    Field(discriminator="kind"),
]


class Snapshot(Fact):
    """A subject's state and when it was read."""

    item_id: UUID
    subject: str
    """What of the item this is about, in the provider's own stable id, e.g. `refs/heads/feature/x`."""
    state: State
    observed_at: datetime
