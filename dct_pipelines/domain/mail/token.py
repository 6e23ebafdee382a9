"""What is remembered between two reads: of each folder where it was read to, of each item where it began."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import Field

from dct_pipelines.domain.facts import Fact
from dct_pipelines.domain.mail.port import FolderState

OVERLAP_UIDS = 50
"""So many UIDs below the highest are looked at again: on some servers a mail becomes visible late."""


class FolderCursor(Fact):
    """How far a folder was read. `seen` are the UIDs that were there among the last `OVERLAP_UIDS`."""

    validity: int
    uid: int
    seen: tuple[int, ...] = ()
    newest: datetime | None = None
    """When the newest mail that we know was received, by its server."""
    state: tuple[int, int, int | None] | None = None
    """UIDNEXT, number of mails and MODSEQ when it was drained; None while more is to be read."""
    resync_since: datetime | None = None
    """While a folder whose UIDs are new is read again: from when on."""
    is_resync: bool = False

    def is_drained(self, state: FolderState) -> bool:
        """Whether nothing has happened in the folder since it was read."""
        return self.validity == state.uid_validity and self.state == numbers(state)

    def with_seen(self, uids: Iterable[int]) -> Self:
        """Forward to the highest of these, which have been dealt with."""
        known = {*self.seen, *uids}
        highest = max((self.uid, *known))
        kept = sorted(uid for uid in known if uid > highest - OVERLAP_UIDS)
        return self.model_copy(update={"uid": highest, "seen": tuple(kept)})


class ItemToken(Fact):
    """Where an item began: mails with another UIDVALIDITY or a higher UID than these are new for it."""

    folder: str
    location: str = ""
    """Of the item, when it began."""
    validity: int
    uid: int
    since: datetime | None = None
    """When the newest mail that was there before was received; None: there was none."""
    before: tuple[str, ...] = ()
    """Keys of mails of that very second that were there before."""
    root: str | None = None
    """Of a thread: its first mail."""
    last: str | None = None
    """The subject of the one state that a mailbox has: that of its last mail."""


class MailToken(Fact):
    """The token of the whole connection: a cursor for each folder, and the folders that cannot be read."""

    folders: dict[str, FolderCursor] = Field(default_factory=dict)
    unreadable: tuple[str, ...] = ()

    def stored(self) -> Mapping[str, Any]:
        """As JSON."""
        return self.model_dump(mode="json", exclude_defaults=True)


def numbers(state: FolderState) -> tuple[int, int, int | None]:
    """What changes when something happens in a folder."""
    return state.uid_next, state.messages, state.modseq
