"""Mails as bytes, and short ways to what is made of them."""

from __future__ import annotations

from datetime import datetime

from dct_pipelines.clients.imap.fetching import read_mail
from dct_pipelines.domain.facts import MailTrust
from dct_pipelines.domain.mail.message import Mail, understood
from dct_pipelines.domain.mail.port import FETCHED_BYTES, FetchedMail, MailRow
from tests.fakes.ports import NOON

HOST = "mx.example.org"
SENDER = "dev@example.com"
PASS = f"{HOST}; dmarc=pass header.from=example.com"


def raw_mail(*headers: str, body: str | bytes = "hello", sender: str | None = f"Dev <{SENDER}>") -> bytes:
    """Headers topmost first, `From` below them unless there is to be none, and the body."""
    lines = [*headers] if sender is None else [*headers, f"From: {sender}"]
    content = body if isinstance(body, bytes) else body.encode()
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + content


def fetched(raw: bytes, uid: int = 1, received_at: datetime = NOON) -> FetchedMail:
    """A mail as the client reads its beginning."""
    return read_mail(MailRow(uid, len(raw), received_at), raw[:FETCHED_BYTES])


def mail_of(raw: bytes, received_at: datetime = NOON) -> Mail:
    """A mail as the listener understands it."""
    return understood(fetched(raw, received_at=received_at), received_at)


def trust_in(
    raw: bytes, authserv_id: str | None = HOST, allowed: tuple[str, ...] = ("@example.com",)
) -> MailTrust:
    """What an item that allows example.com believes about the sender."""
    return mail_of(raw).trust(authserv_id, allowed)


def is_believed(raw: bytes) -> bool:
    """Whether the mail may start more than a notification."""
    return trust_in(raw).is_trusted


def text_of(content_type: str, body: str | bytes, *headers: str) -> str:
    """The new text of a mail with one part."""
    return fetched(raw_mail(f"Content-Type: {content_type}", *headers, body=body)).text
