"""What the mail listener asks of a mailbox. Nothing here changes it: no flag, no move, no deletion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class FolderState:
    """A folder in four numbers. Equal states have equal mails; `modseq` is None where none is counted."""

    uid_validity: int
    uid_next: int
    messages: int
    modseq: int | None = None


@dataclass(frozen=True)
class MailRow:
    """A mail of a folder as its server lists it. `received_at` is the server's time, in whole seconds."""

    uid: int
    size: int
    received_at: datetime


@dataclass(frozen=True)
class FetchedMail:
    """The beginning of a mail, and what a reader would see of its text.

    `headers` are the raw bytes of its header block, `is_header_cut` when it goes on behind them. `digest` is
    of the beginning of the raw body. `fault` says why there is no text, or not all of it; None when there is.
    """

    row: MailRow
    headers: bytes
    is_header_cut: bool
    digest: str
    text: str
    fault: str | None = None


@dataclass(frozen=True)
class Unfetchable:
    """A mail that its server lists and does not hand out, or whose answer nobody can understand."""

    row: MailRow
    why: str
    raw: str = ""


class MailPort(Protocol):
    """Reads one mailbox.

    Errors: `ItemUnreadable` for a folder that is missing or may not be read, `ItemTemporarilyUnreadable` for
    one that is not the same any more as when it was looked at, else those of a connection.
    """

    def state(self, folder: str) -> FolderState:
        """The folder's numbers, by one cheap question."""

    def rows(
        self, folder: str, uid_validity: int, first_uid: int, since: datetime | None
    ) -> Sequence[MailRow]:
        """Mails from `first_uid` on (and received at `since` or later), by ascending UID: the first page of
        them. Fewer than `PAGE_SIZE` are all that there are.
        """

    def fetch(
        self, folder: str, uid_validity: int, rows: Sequence[MailRow]
    ) -> Sequence[FetchedMail | Unfetchable]:
        """The mails of these rows, in their order. One that was deleted meanwhile is left out."""

    def headers_of(self, folder: str, message_id: str) -> bytes | None:
        """The raw header block of the first mail with that Message-ID, or None."""


FETCHED_BYTES = 256 * 1024
"""So much of a mail is asked for: its headers and what follows them. The rest is never moved."""
PAGE_SIZE = 200
"""Mails that are read and stored together."""
