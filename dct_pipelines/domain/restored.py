"""A deployment that was restored from a backup: what is held in it, until when, and in which words.

What happened between the backup and the restore is unknown. What was open at the time of the backup, and
what fires by what changed since, may have been done by the original already: it is held as uncertain, and
nothing at all starts, until an operator has decided.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from dct_pipelines.domain.facts import Fact
from dct_pipelines.domain.words import WorkspaceCode

HELD_UNTIL = datetime(9000, 1, 1, tzinfo=UTC)
"""A pause without an end; the queue knows pauses by a moment, and an infinite one is no time in Python."""
PAUSED = (
    "the deployment was restored from a backup and starts nothing: see `dct restore list`, then "
    "`dct restore finish`"
)
WAY_OUT = "`dct restore release` lets it go on, `dct restore skip` ends it"
UNDATED = frozenset(
    {
        "branch_created",
        "head_moved",
        "force_pushed",
        "branch_deleted",
        "tag_created",
        "check_reported",
        "branch_assessed",
    }
)
"""Kinds of events whose time is that of the read which saw them: git keeps none of what happens in it."""
FIRED_SINCE = (
    f"it fired by what changed since the backup, so that the original may have done it already; {WAY_OUT}"
)


def was_open(status: str) -> str:
    """Why an execution is held that was open when the backup was made."""
    return f"it was {status} at the time of the backup, and the original may have gone on; {WAY_OUT}"


class Restored(Fact):
    """That a deployment comes from a backup: which, as of when, restored when."""

    backup_id: UUID
    as_of: datetime
    at: datetime


class Uncertain(Fact):
    """An execution that the original may have done already.

    `happened_at` is when its event happened, None where nobody knows that, and `seen_at` when it was read.
    `done` are the actions that are recorded as done, `begun` those of which it is not known.
    """

    id: UUID
    trigger: str | None
    about: str | None
    created_at: datetime
    happened_at: datetime | None
    seen_at: datetime | None
    attempt: int
    why: str
    done: tuple[str, ...]
    begun: tuple[str, ...]


class Unread(Fact):
    """A connection of which it is not known what changed since the backup: it was not read since, or not all.

    `detail` is what stands in the way, where that is known.
    """

    connection: str
    items: int
    detail: str | None


class WithoutCode(Fact):
    """A workspace that is open and whose code is not here: a backup holds its context only.

    `directory` is where it has to be; `code` says whether that is there at all.
    """

    id: UUID
    title: str
    repository: str
    branch: str
    directory: str
    code: WorkspaceCode


class Rebuilt(Fact):
    """What became of one such workspace: whether its code is back (or would be, with a dry run), and how."""

    id: UUID
    title: str
    branch: str
    is_back: bool
    says: str
