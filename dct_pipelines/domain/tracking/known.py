"""What an item knows of a ticket, what was read of it now, and how its site answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dct_pipelines.domain.snapshot import CommentState, TicketState
from dct_pipelines.domain.tracking.raw import time_of
from dct_pipelines.domain.tracking.tickets import CommentRead, HistoryRead, TicketRead, number


@dataclass(frozen=True)
class Known:
    """What an item knows of a ticket. `since`: what happened before is not its business, if state is None."""

    state: TicketState | None
    comments: Mapping[str, CommentState]
    since: datetime

    @property
    def updated_at(self) -> datetime | None:
        """From when what the item knows of the ticket is."""
        return time_of(self.state.updated, "updated") if self.state and self.state.updated else None

    def is_new(self, history: HistoryRead) -> bool:
        """Whether the item has not seen that change."""
        if self.state is None:
            return history.at > self.since
        seen = time_of(self.state.read_until, "read_until") if self.state.read_until else None
        return number(history.id) > number(self.state.last_change) or seen is None or history.at > seen


@dataclass(frozen=True)
class Reading:
    """A ticket as it was read. `comments` are None when they could not be read.

    `has_all_comments` says that what is not among them is not there any more.
    """

    ticket: TicketRead
    histories: tuple[HistoryRead, ...]
    comments: tuple[CommentRead, ...] | None
    read_at: datetime
    """On Jira's clock."""
    has_all_comments: bool = True


@dataclass(frozen=True)
class Manner:
    """How a site answers: `ranks` of its priorities, whether texts of comments may be compared.

    Cloud's deliveries bring wiki markup where its REST answers bring documents: there only the time of the
    last edit tells. `marks_changes` is False where own changes are known by account and value.
    """

    ranks: Mapping[str, int] = field(default_factory=dict)
    compares_texts: bool = False
    marks_changes: bool = True
