"""Folders of a session: their numbers, the UIDs from one on, and the mail with a Message-ID."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from dct_pipelines.clients.imap.fetching import rows_of
from dct_pipelines.clients.imap.session import Session
from dct_pipelines.domain.errors import ConnectionDown, ItemTemporarilyUnreadable
from dct_pipelines.domain.mail.port import PAGE_SIZE, FolderState, MailRow

SEARCHED_UIDS = 50_000
"""So many UIDs are listed by one question: imaplib takes lines of a million bytes."""
ZONES = timedelta(days=2)
"""SINCE looks at the date only, in the server's own zone."""
NUMBERS = (b"UIDVALIDITY", b"UIDNEXT", b"MESSAGES")
NO_UID_NEXT = 2**32
HEADER = "BODY.PEEK[HEADER]<0.65536>"


def state_of(session: Session, folder: str) -> FolderState:
    """The folder's numbers, by one STATUS."""
    if session.examined == folder:
        # A server need not answer STATUS truly for the folder that is selected (RFC 3501, 6.3.10).
        with session.call() as client:
            client.unselect_folder() if client.has_capability("UNSELECT") else client.close_folder()
        session.examined = None
    with session.call() as client:
        wanted = [name.decode() for name in NUMBERS]
        counts = client.has_capability("CONDSTORE")
        answer = client.folder_status(folder, [*wanted, "HIGHESTMODSEQ"] if counts else wanted)
    try:
        modseq = answer.get(b"HIGHESTMODSEQ")
        validity, uid_next, messages = (int(answer[name]) for name in NUMBERS)
        return FolderState(validity, uid_next, messages, None if modseq is None else int(modseq))
    except (KeyError, TypeError, ValueError) as error:
        raise ConnectionDown(f"{session.server} did not tell how {folder} is; it is tried again") from error


def examine(session: Session, folder: str, uid_validity: int | None) -> tuple[int, int]:
    """Examine the folder as it is now: how many mails it has, and its next UID."""
    with session.call() as client:
        session.examined = None
        answer = client.select_folder(folder, readonly=True)
        session.examined = folder
    if uid_validity is not None and answer.get(b"UIDVALIDITY") != uid_validity:
        raise ItemTemporarilyUnreadable(f"folder {folder} was made anew meanwhile; it is read again soon")
    messages = int(answer.get(b"EXISTS", 0))
    return messages, int(answer.get(b"UIDNEXT", NO_UID_NEXT))


def _search(session: Session, first: int, last: int | None, since: datetime | None) -> list[int]:
    """UIDs in that range, ascending. `n:*` always names the last mail, also below n (RFC 3501, 6.4.8)."""
    criteria: list[Any] = ["UID", f"{first}:{'*' if last is None else last}"]
    if since is not None:
        criteria += ["SINCE", (since.astimezone(UTC) - ZONES).date()]
    with session.call() as client:
        found = client.search(criteria)
    return sorted({uid for uid in found if uid >= first and (last is None or uid <= last)})


def rows_from(
    session: Session, folder: str, uid_validity: int, first: int, since: datetime | None
) -> Sequence[MailRow]:
    """The first page of mails from that UID on, and received at `since` or later."""
    messages, uid_next = examine(session, folder, uid_validity)
    found: list[int] = []
    is_listed = False
    while len(found) < PAGE_SIZE and not is_listed:
        last = None if messages <= SEARCHED_UIDS else first + SEARCHED_UIDS - 1
        found += _search(session, first, last, since)
        first += SEARCHED_UIDS
        is_listed = last is None or first >= uid_next
    return list(rows_of(session, found[:PAGE_SIZE]))


def headers_by_id(session: Session, folder: str, message_id: str) -> bytes | None:
    """The raw header block of the first mail with that Message-ID; IMAP knows no others than ASCII."""
    examine(session, folder, None)
    with session.call() as client:
        found = client.search(["HEADER", "Message-ID", f"<{message_id}>"]) if message_id.isascii() else []
        answer: dict[int, dict[bytes, Any]] = client.fetch(found[:1], [HEADER]) if found else {}
    values = next(iter(answer.values()), {})
    found_header = next((value for name, value in values.items() if name.startswith(b"BODY[HEADER]")), None)
    return found_header if isinstance(found_header, bytes) else None
