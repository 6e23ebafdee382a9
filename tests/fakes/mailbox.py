"""A mailbox in memory, with what a real server cannot be made to do: mails that become visible late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from dct_pipelines.clients.imap.fetching import read_mail
from dct_pipelines.clients.imap.mime import split_header
from dct_pipelines.domain.errors import ItemTemporarilyUnreadable, ItemUnreadable
from dct_pipelines.domain.mail.headers import read_headers
from dct_pipelines.domain.mail.port import (
    FETCHED_BYTES,
    PAGE_SIZE,
    FetchedMail,
    FolderState,
    MailRow,
    Unfetchable,
)


@dataclass
class FakeFolder:
    """Mails by UID. `hidden` are there and not shown yet, `poison` cannot be handed out."""

    validity: int = 1
    next_uid: int = 1
    modseq: int = 1
    mails: dict[int, tuple[bytes, datetime]] = field(default_factory=dict)
    hidden: set[int] = field(default_factory=set)
    poison: set[int] = field(default_factory=set)

    def append(self, raw: bytes, at: datetime) -> int:
        """A mail arrives."""
        uid = self.next_uid
        self.mails[uid] = (raw, at)
        self.next_uid += 1
        self.modseq += 1
        return uid

    def delete(self, uid: int) -> None:
        """Somebody deletes it for good."""
        del self.mails[uid]
        self.modseq += 1

    def show(self, *uids: int) -> None:
        """Mails become visible."""
        self.hidden -= set(uids)
        self.modseq += 1

    def made_anew(self, keep: bool = True) -> None:
        """New UIDs from 1 on."""
        mails = list(self.mails.values()) if keep else []
        self.validity += 1
        self.next_uid, self.mails = 1, {}
        for raw, at in mails:
            self.append(raw, at)

    @property
    def shown(self) -> list[int]:
        """UIDs that can be seen, ascending."""
        return sorted(set(self.mails) - self.hidden)


@dataclass
class FakeMailbox:
    """`calls` are the questions that were asked, by name."""

    folders: dict[str, FakeFolder] = field(default_factory=lambda: {"INBOX": FakeFolder()})
    calls: list[str] = field(default_factory=list)
    before_rows: list[FakeFolder] = field(default_factory=list)
    """Folders that are made anew between a look at their state and at their mails."""

    def state(self, folder: str) -> FolderState:
        self.calls.append("state")
        found = self._folder(folder)
        return FolderState(found.validity, found.next_uid, len(found.shown), found.modseq)

    def rows(
        self, folder: str, uid_validity: int, first_uid: int, since: datetime | None
    ) -> Sequence[MailRow]:
        self.calls.append("rows")
        while self.before_rows:
            self.before_rows.pop().made_anew()
        found = self._checked(folder, uid_validity)
        rows = [
            MailRow(uid, len(found.mails[uid][0]), found.mails[uid][1])
            for uid in found.shown
            if uid >= first_uid
        ]
        return [row for row in rows if since is None or row.received_at >= since][:PAGE_SIZE]

    def fetch(
        self, folder: str, uid_validity: int, rows: Sequence[MailRow]
    ) -> Sequence[FetchedMail | Unfetchable]:
        self.calls.append("fetch")
        found = self._checked(folder, uid_validity)
        return [
            Unfetchable(row, "poison")
            if row.uid in found.poison
            else read_mail(row, found.mails[row.uid][0][:FETCHED_BYTES])
            for row in rows
            if row.uid in found.shown
        ]

    def headers_of(self, folder: str, message_id: str) -> bytes | None:
        self.calls.append("headers_of")
        found = self._folder(folder)
        for uid in found.shown:
            header, _ = split_header(found.mails[uid][0]) or (b"", b"")
            if message_id in read_headers(header).ids("message-id"):
                return header
        return None

    def _folder(self, folder: str) -> FakeFolder:
        if folder not in self.folders:
            raise ItemUnreadable(f"there is no folder {folder}")
        return self.folders[folder]

    def _checked(self, folder: str, uid_validity: int) -> FakeFolder:
        found = self._folder(folder)
        if found.validity != uid_validity:
            raise ItemTemporarilyUnreadable(f"folder {folder} was made anew meanwhile")
        return found
