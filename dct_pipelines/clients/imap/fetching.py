"""What FETCH answers, made into rows and mails. A mail that breaks an answer is asked for alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from imapclient.exceptions import ProtocolError

from dct_pipelines.clients.imap.mime import body_of, split_header
from dct_pipelines.clients.imap.reply import new_text
from dct_pipelines.clients.imap.session import Session
from dct_pipelines.domain.errors import ItemUnreadable
from dct_pipelines.domain.mail.headers import read_headers
from dct_pipelines.domain.mail.port import FETCHED_BYTES, FetchedMail, MailRow, Unfetchable
from dct_pipelines.domain.text_rules import LONGEST_TEXT

UNTOLD = datetime.fromtimestamp(0, UTC)
BATCH_BYTES = 4 * 1024 * 1024
HEADER_BYTES = 64 * 1024
DIGESTED_BYTES = 64 * 1024
LONGEST_RAW = 64 * 1024
BEGINNING = f"BODY.PEEK[]<0.{FETCHED_BYTES}>"
Answer = Mapping[int, Mapping[bytes, Any]]


def rows_of(session: Session, uids: Sequence[int]) -> Iterator[MailRow]:
    """Size and time of each; what was deleted meanwhile is left out. They may come in any order."""
    answer = _fetch(session, uids, ["RFC822.SIZE", "INTERNALDATE"]) if uids else {}
    for uid in uids:
        values = answer.get(uid, {})
        size, received = values.get(b"RFC822.SIZE"), values.get(b"INTERNALDATE")
        if isinstance(size, int):
            yield MailRow(uid, size, _utc(received))


def _utc(received: Any) -> datetime:
    return received.astimezone(UTC) if isinstance(received, datetime) else UNTOLD


def fetched_mails(session: Session, rows: Sequence[MailRow]) -> list[FetchedMail | Unfetchable]:
    """The mails of the rows, in batches of bounded size."""
    found: list[FetchedMail | Unfetchable] = []
    for batch in _batches(rows):
        found += _batch(session, batch)
    return found


def _batches(rows: Sequence[MailRow]) -> Iterator[list[MailRow]]:
    batch: list[MailRow] = []
    total = 0
    for row in rows:
        size = min(row.size, FETCHED_BYTES)
        if batch and total + size > BATCH_BYTES:
            yield batch
            batch, total = [], 0
        batch.append(row)
        total += size
    if batch:
        yield batch


def _batch(session: Session, rows: Sequence[MailRow]) -> Iterator[FetchedMail | Unfetchable]:
    try:
        answer = _fetch(session, [row.uid for row in rows], [BEGINNING])
    except ItemUnreadable as error:
        if len(rows) > 1:
            for row in rows:
                yield from _batch(session, [row])
        else:
            yield Unfetchable(rows[0], str(error))
        return
    for row in rows:
        if row.uid in answer:
            raw = next((value for name, value in answer[row.uid].items() if name.startswith(b"BODY[]")), None)
            if isinstance(raw, bytes):
                yield read_mail(row, raw)
            else:
                yield Unfetchable(row, "its server lists it and hands out nothing")


def read_mail(row: MailRow, raw: bytes) -> FetchedMail:
    """Take the beginning of a mail apart. Whatever its text does to us, its headers are kept."""
    header, content = split_header(raw) or (raw, b"")
    is_cut = len(header) > HEADER_BYTES or len(header) == len(raw) < row.size
    header = header[:HEADER_BYTES]
    digest = hashlib.sha256(content[:DIGESTED_BYTES]).hexdigest()
    try:
        body = body_of(read_headers(header), content)
        text, fault = new_text(body.text[:LONGEST_TEXT])[:LONGEST_TEXT], body.fault
    except Exception as error:  # noqa: BLE001 - libraries read text here that was made to break them
        text, fault = "", f"its text could not be read: {error!r}"
    return FetchedMail(row, header, is_cut, digest, text, fault)


def _fetch(session: Session, uids: Sequence[int], what: Sequence[str]) -> Answer:
    with session.call() as client:
        try:
            answer: Answer = client.fetch(list(uids), list(what))
        except (ProtocolError, ValueError, TypeError, LookupError, RecursionError) as error:
            raise ItemUnreadable(f"{session.server} answered what is no IMAP ({error!r})") from error
    return {uid: {_plain(name): value for name, value in values.items()} for uid, values in answer.items()}


def _plain(name: Any) -> bytes:
    return name if isinstance(name, bytes) else str(name).encode()
