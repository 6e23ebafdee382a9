"""A mail server on this machine that keeps what it is handed, and fails when and how it is told to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class MailServer:
    """`mails` are those it took, `rcpt_answer` and `data_answer` what it says instead of yes."""

    mails: list[EmailMessage] = field(default_factory=list)
    rcpt_answer: str | None = None
    data_answer: str | None = None
    hangs_up: bool = False
    port: int = 0

    async def handle_RCPT(  # noqa: N802 - named by aiosmtpd
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if self.rcpt_answer:
            return self.rcpt_answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - named by aiosmtpd
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        if self.data_answer:
            return self.data_answer
        content = cast("bytes", envelope.content)
        self.mails.append(message_from_bytes(content, policy=default))
        if self.hangs_up:
            cast("asyncio.Transport", server.transport).abort()
        return "250 taken"


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """A running server; stopped at the end."""
    kept = MailServer()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        kept.port = probe.getsockname()[1]
    controller = Controller(kept, hostname="127.0.0.1", port=kept.port)
    controller.start()
    try:
        yield kept
    finally:
        controller.stop()
