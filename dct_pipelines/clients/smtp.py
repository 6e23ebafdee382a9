"""Mail by SMTP (RFC 5321), marked as automatic (RFC 3834), so that no other robot answers it.

SMTP cannot say twice the same thing once: after the final dot of DATA, a lost connection leaves it open
whether the server took the message. That is reported as uncertain and not sent again.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from dct_pipelines.clients.guard import AddressGuard
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted, CredentialRefused
from dct_pipelines.domain.operations import Notification, SmtpChannel
from dct_pipelines.domain.ports import Clock, Receipt, SecretsPort

_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?"
)
_LINE_START_DOT = re.compile(rb"^\.", re.MULTILINE)
_GO_AHEAD = 354


class _Guarded(smtplib.SMTP):
    """Connects to judged addresses only. A relay mostly stands in a private network, which is allowed."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        problem: OSError = ConnectionError("no address")
        for address in AddressGuard(allow_private_network=True).addresses(host, port, encrypted=True):
            try:
                return socket.create_connection((address, port), timeout)
            except OSError as error:
                problem = error
        raise problem


class _GuardedTls(smtplib.SMTP_SSL, _Guarded):
    """The same, encrypted from the first byte on; the certificate is checked against the name."""


class SmtpChannelClient:
    """Sends one mail to one allowed receiver a call."""

    def __init__(self, spec: SmtpChannel, secrets: SecretsPort, clock: Clock) -> None:
        self._spec = spec
        self._secrets = secrets
        self._clock = clock

    def send(self, notification: Notification) -> Receipt:
        """Hand the mail to the server. 4yz and a lost connection are tried again, 5yz is not."""
        message = self._message(notification)
        with self._connected() as server:
            _expect(server.mail(self._spec.sender), "the sender")
            _expect(server.rcpt(notification.receiver), f"the receiver {notification.receiver}")
            _expect(server.docmd("DATA"), "DATA", _GO_AHEAD)
            server.send(_LINE_START_DOT.sub(b"..", message.as_bytes()))
            try:
                server.send(b".\r\n")
                answer = server.getreply()
            except (OSError, smtplib.SMTPServerDisconnected):
                return Receipt("uncertain", f"{self._spec.host} took the mail and did not confirm it")
            _expect(answer, "the mail")
            with contextlib.suppress(OSError, smtplib.SMTPException):
                server.quit()
        return Receipt("sent", f"{message['Message-ID']} accepted by {self._spec.host}")

    def _message(self, notification: Notification) -> EmailMessage:
        self._check_receiver(notification.receiver)
        key = hashlib.sha256(notification.idempotency_key.encode()).hexdigest()[:32]
        message = EmailMessage(policy=SMTP)
        try:
            message["From"] = self._spec.sender
            message["To"] = notification.receiver
            message["Subject"] = notification.subject
        except ValueError as error:
            raise ActionFailed(f"a header of the mail is not valid: {error}") from error
        message["Date"] = format_datetime(self._clock.now())
        message["Message-ID"] = f"<dct-{key}@{self._spec.sender.rpartition('@')[2].strip('> ')}>"
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        message.set_content(notification.text, cte="quoted-printable")
        return message

    def _check_receiver(self, receiver: str) -> None:
        if not _ADDRESS.fullmatch(receiver):
            raise ActionFailed(f"{receiver[:100]!r} is not a mail address; give one like qa@example.org")
        allowed = {entry.lower() for entry in self._spec.receivers}
        if not {receiver.lower(), "@" + receiver.lower().rpartition("@")[2]} & allowed:
            raise ActionFailed(
                f"channel {self._spec.name} may not write to {receiver}; an operator can add it"
            )

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        where = f"{self._spec.host}:{self._spec.port}"
        try:
            server = self._open()
            with contextlib.closing(server):
                self._log_in(server)
                yield server
        except ssl.SSLCertVerificationError as error:
            raise ActionFailed(f"the certificate of {where} is not valid: {error.verify_message}") from error
        except smtplib.SMTPAuthenticationError as error:
            raise CredentialRefused(f"{where} refused the password; renew {self._spec.password}") from error
        except smtplib.SMTPNotSupportedError as error:
            raise ActionFailed(f"{where} does not offer what the channel asks for: {error}") from error
        except (OSError, smtplib.SMTPException) as error:
            raise ActionInterrupted(f"{where} cannot be reached ({error}); it is tried again") from error

    def _open(self) -> smtplib.SMTP:
        spec = self._spec
        if spec.security == "tls":
            context = ssl.create_default_context()
            return _GuardedTls(
                spec.host,
                spec.port,
                timeout=spec.timeout_seconds,
                local_hostname="localhost",
                context=context,
            )
        return _Guarded(spec.host, spec.port, timeout=spec.timeout_seconds, local_hostname="localhost")

    def _log_in(self, server: smtplib.SMTP) -> None:
        if self._spec.security == "starttls":
            server.starttls(context=ssl.create_default_context())
        if self._spec.username and self._spec.password:
            server.login(self._spec.username, self._secrets.read(self._spec.password))
        else:
            server.ehlo_or_helo_if_needed()


def _expect(answer: tuple[int, bytes], what: str, wanted: int | None = None) -> None:
    """`ActionInterrupted` for 4yz, `ActionFailed` for anything else but success."""
    code, text = answer
    if code == wanted or (wanted is None and 200 <= code < 300):
        return
    said = text.decode("utf-8", "replace").replace("\n", " ")[:200]
    error = ActionInterrupted if 400 <= code < 500 or code < 0 else ActionFailed
    raise error(f"the mail server refused {what}: {code} {said}")
