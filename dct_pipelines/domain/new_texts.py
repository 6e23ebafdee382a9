"""The texts that an event brings, and those that a state holds, by what they are: a comment, a title."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from dct_pipelines.domain.payloads import (
    BranchCreated,
    CommentAdded,
    CommentEdited,
    ForcePushed,
    HeadMoved,
    MessageEdited,
    MessagePosted,
    Payload,
    TextChanged,
)
from dct_pipelines.domain.snapshot import PullRequestState, State, ThreadState, TicketState

TextField = Literal["message", "subject", "comment", "title", "description", "commit_message"]
TEXT_EVENTS = frozenset(
    {
        "message_posted",
        "message_edited",
        "comment_added",
        "comment_edited",
        "text_changed",
        "branch_created",
        "head_moved",
        "force_pushed",
    }
)
TEXT_STATES = frozenset({"ticket", "pull_request", "thread"})


@dataclass(frozen=True)
class NewText:
    """A text that is new (`before` None) or was edited."""

    field: str
    after: str
    before: str | None = None

    def __str__(self) -> str:
        return self.field.replace("_", " ")


def texts_of_event(payload: Payload) -> Iterator[NewText]:
    """Every text that is new or was edited in an event."""
    match payload:
        case MessagePosted():
            yield NewText("message", payload.text)
            if payload.subject is not None:
                yield NewText("subject", payload.subject)
        case MessageEdited():
            yield NewText("message", payload.after, payload.before)
        case CommentAdded():
            yield NewText("comment", payload.text)
        case CommentEdited():
            yield NewText("comment", payload.after, payload.before)
        case TextChanged():
            yield NewText(payload.field, payload.after, payload.before)
        case BranchCreated() | HeadMoved() | ForcePushed():
            yield from (NewText("commit_message", commit.message) for commit in payload.commits)


def texts_of_state(state: State) -> Iterator[NewText]:
    """Every text of a subject as it is now."""
    match state:
        case TicketState() | PullRequestState():
            yield NewText("title", state.title)
            yield NewText("description", state.description)
            if state.last_comment is not None:
                yield NewText("comment", state.last_comment)
        case ThreadState():
            yield NewText("message", state.last_text)
            if state.subject is not None:
                yield NewText("subject", state.subject)
