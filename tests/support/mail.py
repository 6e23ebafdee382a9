"""A mail server on this machine that keeps what it is handed, and fails when and how it is told to."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, Literal, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.servers.imap_server import certify

PASSWORD = "correct-horse"


@dataclass
class MailServer:
    """`mails` are those it took, `rcpt_answer` and `data_answer` what it says instead of yes."""

    mails: list[EmailMessage] = field(default_factory=list)
    rcpt_answer: str | None = None
    data_answer: str | None = None
    hangs_up: bool = False
    port: int = 0
    tokens: set[str] = field(default_factory=set)
    logins: list[str] = field(default_factory=list)
    certificate: Path | None = None

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

    async def auth_XOAUTH2(  # noqa: N802 - named by aiosmtpd
        self, server: SMTP, args: list[str]
    ) -> AuthResult:
        """Takes a bearer token that is in `tokens`; refuses as Exchange does, after a challenge."""
        said = base64.b64decode(args[1]).decode().split("\1")
        self.logins.append(said[0])
        if said[1].removeprefix("auth=Bearer ") in self.tokens:
            return AuthResult(success=True)
        await server.challenge_auth(b'{"status":"401"}')
        return AuthResult(success=False, handled=False)

    def authenticated(
        self, _server: SMTP, _session: Session, _envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        """Takes `PASSWORD` of anybody."""
        self.logins.append(mechanism)
        is_right = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
        return AuthResult(success=is_right, handled=False)


class _EncryptedController(Controller):
    """aiosmtpd knocks at its own door with the server's own context, which cannot be a client's."""

    def _trigger_server(self) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection((self.hostname, self.port), 5) as plain,
            context.wrap_socket(plain) as encrypted,
        ):
            encrypted.recv(1)


@contextmanager
def mail_server(
    security: Literal["none", "tls", "starttls"] = "none", home: Path | None = None
) -> Iterator[MailServer]:
    """A running server; stopped at the end. With encryption it makes its `certificate` in `home`."""
    kept = MailServer()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        kept.port = probe.getsockname()[1]
    given: dict[str, Any] = {"authenticator": kept.authenticated, "auth_require_tls": security != "tls"}
    kind: type[Controller] = Controller
    if home is not None:
        kept.certificate = certify(home)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(kept.certificate, home / "key.pem")
        if security == "tls":
            kind, given["ssl_context"] = _EncryptedController, context
        else:
            given |= {"tls_context": context, "require_starttls": True}
    controller = kind(kept, hostname="127.0.0.1", port=kept.port, **given)
    controller.start()
    try:
        yield kept
    finally:
        controller.stop()
