"""One mail, understood: its thread, its key, its author and its text."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dct_pipelines.domain.facts import MailTrust
from dct_pipelines.domain.mail.address import Sender, sender_of
from dct_pipelines.domain.mail.headers import HeaderBlock, read_headers
from dct_pipelines.domain.mail.port import FetchedMail
from dct_pipelines.domain.mail.trust import trust_of
from dct_pipelines.domain.payloads import MessagePosted

ALMOST_A_SECOND = timedelta(microseconds=999_999)


@dataclass(frozen=True)
class Mail:
    """What all items of a folder see of a mail. `key` is the same for copies, and for no other mail."""

    uid: int
    key: str
    message_id: str
    root: str
    """The Message-ID of the thread's first mail, as far as this one knows."""
    relatives: frozenset[str]
    """The ids that it names, its own included."""
    listed_at: datetime
    """When its server received it, in whole seconds."""
    received_at: datetime
    """The end of that second, or now: what came within it is not older than a trigger of that second."""
    subject: str
    text: str
    headers: HeaderBlock
    sender: Sender

    def trust(self, authserv_id: str | None, allowed_senders: tuple[str, ...]) -> MailTrust:
        """What an item with these rules believes about the sender."""
        return trust_of(self.headers, self.sender, authserv_id, allowed_senders)

    def posted(self, folder: str, thread: str, trust: MailTrust) -> MessagePosted:
        """The event's payload."""
        return MessagePosted(
            message_id=self.message_id,
            author=self.sender.person,
            text=self.text,
            subject=self.subject or None,
            in_thread=thread != self.message_id,
            channel=folder,
            thread=thread,
            mail=trust,
        )


def understood(fetched: FetchedMail, now: datetime) -> Mail:
    """Read a mail."""
    headers = read_headers(fetched.headers, is_cut=fetched.is_header_cut)
    own = next(iter(headers.ids("message-id")), "")
    key = _key(headers, own, fetched.digest)
    message_id = own or key
    above = _above(headers)
    return Mail(
        uid=fetched.row.uid,
        key=key,
        message_id=message_id,
        root=next(iter(above), message_id),
        relatives=frozenset({message_id, *above}),
        listed_at=fetched.row.received_at,
        received_at=min(fetched.row.received_at + ALMOST_A_SECOND, now),
        subject=headers.shown("subject"),
        text=fetched.text,
        headers=headers,
        sender=sender_of(headers),
    )


def thread_of(raw_headers: bytes, message_id: str) -> str:
    """The root of the thread of a mail whose Message-ID is known."""
    return next(iter(_above(read_headers(raw_headers))), message_id)


def _above(headers: HeaderBlock) -> Sequence[str]:
    """The ids of the mails before this one, the first one first (RFC 5322, 3.6.4)."""
    return headers.ids("references") or headers.ids("in-reply-to")[:1]


def _key(headers: HeaderBlock, message_id: str, body: str) -> str:
    """Of what a sender wrote, not of what servers added on the way: a copy has the same key.

    The Message-ID alone would let anybody hide a mail behind one that he sent before. A mail without
    one is told apart by its way, too.
    """
    parts = [message_id, *(headers.first(name) for name in ("from", "date", "subject")), body]
    if not message_id:
        parts += headers.all("received")
    digest = hashlib.sha256("\0".join(f"{len(part)} {part}" for part in parts).encode("utf-8", "replace"))
    return f"mail:{digest.hexdigest()[:40]}"
