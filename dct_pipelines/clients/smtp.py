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
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

from dct_pipelines.clients.echoes import without
from dct_pipelines.clients.guard import AddressGuard
from dct_pipelines.clients.http import HttpClient
from dct_pipelines.clients.oauth import AccessTokens, TokenRequest
from dct_pipelines.domain.channels import SmtpChannel
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted, CredentialRefused
from dct_pipelines.domain.operations import Notification
from dct_pipelines.domain.ports import Clock, Receipt, SecretsPort

_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?"
)
_LINE_START_DOT = re.compile(rb"^\.", re.MULTILINE)
_MESSAGE_ID = re.compile(r"<?[!-;=?-~]{1,250}@[!-;=?A-~]{1,250}>?")
_GO_AHEAD = 354
TOKEN_SECONDS = 30.0
"""An access token is got by one request, which belongs to the time of its mail."""


class _Guarded(smtplib.SMTP):
    """Connects to judged addresses only. A relay mostly stands in a private network, which is allowed.

    `timeout` is for each read: a server that says a byte now and then is cut off after `send_seconds`.
    """

    is_encrypted = True
    is_cut = False
    _line: socket.socket | None = None

    def __init__(self, host: str, port: int, *, send_seconds: float, **given: Any) -> None:
        with self._watched(send_seconds):
            smtplib.SMTP.__init__(self, host, port, **given)

    @contextmanager
    def _watched(self, send_seconds: float) -> Iterator[None]:
        """Connecting is in its time, too; what fails to is watched no more."""
        self._end = time.monotonic() + send_seconds
        self._watch = threading.Timer(send_seconds, self._cut)
        self._watch.daemon = True
        self._watch.start()
        try:
            yield
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close it, and watch it no more."""
        self._watch.cancel()
        super().close()
        if self._line is not None:
            self._line.close()

    def _cut(self) -> None:
        self.is_cut = True
        if self._line is not None:
            with contextlib.suppress(OSError):
                self._line.shutdown(socket.SHUT_RDWR)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        problem: OSError = ConnectionError("no address")
        guard = AddressGuard(allow_private_network=True)
        for address in guard.addresses(host, port, encrypted=self.is_encrypted):
            left = self._end - time.monotonic()
            if left <= 0:
                raise problem
            try:
                made = socket.create_connection((address, port), min(timeout, left))
            except OSError as error:
                problem = error
                continue
            made.settimeout(timeout)
            self._line = made.dup()  # TLS makes another socket of this one
            if self.is_cut:
                self._cut()
            return made
        raise problem


class _GuardedTls(smtplib.SMTP_SSL, _Guarded):
    """The same, encrypted from the first byte on; the certificate is checked against the name."""

    def __init__(self, host: str, port: int, *, send_seconds: float, **given: Any) -> None:
        with self._watched(send_seconds):
            smtplib.SMTP_SSL.__init__(self, host, port, **given)


class _InTheClear(_Guarded):
    """The same, for a relay within a private network only."""

    is_encrypted = False


class SmtpChannelClient:
    """Sends one mail to one allowed receiver a call."""

    def __init__(self, spec: SmtpChannel, secrets: SecretsPort, clock: Clock) -> None:
        self._spec = spec
        self._secrets = secrets
        self._clock = clock
        self._tokens: AccessTokens | None = None
        if spec.token_url is not None and spec.client_id is not None:
            request = TokenRequest(spec.token_url, spec.client_id, spec.scope)
            http = HttpClient(
                AddressGuard(allow_private_network=True),
                timeout_seconds=min(spec.timeout_seconds, TOKEN_SECONDS),
            )
            self._tokens = AccessTokens(request, http, clock)

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
        message_id = str(message["Message-ID"])
        return Receipt("sent", f"{message_id} accepted by {self._spec.host}", message_id.strip("<>"))

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
        for name, value in _thread_headers(notification.thread).items():
            message[name] = value
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
        hidden: set[str] = set()
        end = time.monotonic() + self._spec.send_seconds
        try:
            server = self._open()
            with contextlib.closing(server):
                self._log_in(server, hidden)
                yield server
        except ActionFailed as error:
            raise type(error)(without(str(error), hidden)) from None
        except ssl.SSLCertVerificationError as error:
            raise ActionFailed(f"the certificate of {where} is not valid: {error.verify_message}") from error
        except smtplib.SMTPAuthenticationError:
            raise CredentialRefused(f"{where} refused the login; renew {self._spec.password}") from None
        except smtplib.SMTPNotSupportedError as error:
            raise ActionFailed(f"{where} does not offer what the channel asks for: {error}") from error
        except (OSError, smtplib.SMTPException) as error:
            # What the server said may hold what it was told; so it is no cause either, which logs would show.
            is_late = time.monotonic() >= end
            said = f"no mail within {self._spec.send_seconds:g} s" if is_late else without(str(error), hidden)
            raise ActionInterrupted(f"{where} cannot be reached ({said}); it is tried again") from None

    def _open(self) -> smtplib.SMTP:
        spec = self._spec
        given: dict[str, Any] = {"timeout": spec.timeout_seconds, "local_hostname": "localhost"}
        given["send_seconds"] = spec.send_seconds
        if spec.security == "tls":
            return _GuardedTls(spec.host, spec.port, context=self._context(), **given)
        return (_Guarded if spec.security == "starttls" else _InTheClear)(spec.host, spec.port, **given)

    def _context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._spec.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ActionFailed(
                f"ca_file {self._spec.ca_file} of channel {self._spec.name} is not usable ({error})"
            ) from error

    def _log_in(self, server: smtplib.SMTP, hidden: set[str]) -> None:
        spec = self._spec
        if spec.security == "starttls":
            server.starttls(context=self._context())
        server.ehlo_or_helo_if_needed()
        if not spec.username or not spec.password:
            return
        secret = self._secrets.read(spec.password)
        hidden.add(secret)
        if not (secret + spec.username).isascii() or not secret.isprintable():
            raise CredentialRefused(f"{spec.password} holds characters that SMTP cannot send; choose another")
        if spec.auth == "password":
            server.login(spec.username, secret)
        elif self._tokens is None:
            _authenticate(server, spec.username, secret)
        else:
            hidden |= _with_token(server, spec.username, secret, self._tokens)


def _with_token(server: smtplib.SMTP, username: str, secret: str, tokens: AccessTokens) -> set[str]:
    """A token that is refused may have been withdrawn: then once more, with a new one. Gives the used one."""
    try:
        _authenticate(server, username, tokens.token(secret))
    except smtplib.SMTPAuthenticationError:
        tokens.forget()
        _authenticate(server, username, tokens.token(secret))
    return {tokens.token(secret)}


def _authenticate(server: smtplib.SMTP, username: str, token: str) -> None:
    """XOAUTH2. To a refusal, which comes as a challenge, the answer is empty."""
    words = f"user={username}\1auth=Bearer {token}\1\1"
    server.auth("XOAUTH2", lambda challenge=None: words if challenge is None else "")


def _thread_headers(thread: str | None) -> Mapping[str, str]:
    """A mail's thread is a Message-ID; that of another provider means nothing here."""
    if thread is None or not _MESSAGE_ID.fullmatch(thread):
        return {}
    return dict.fromkeys(("In-Reply-To", "References"), f"<{thread.strip('<>')}>")


def _expect(answer: tuple[int, bytes], what: str, wanted: int | None = None) -> None:
    """`ActionInterrupted` for 4yz, `ActionFailed` for anything else but success."""
    code, text = answer
    if code == wanted or (wanted is None and 200 <= code < 300):
        return
    said = text.decode("utf-8", "replace").replace("\n", " ")[:200]
    error = ActionInterrupted if 400 <= code < 500 or code < 0 else ActionFailed
    raise error(f"the mail server refused {what}: {code} {said}")
