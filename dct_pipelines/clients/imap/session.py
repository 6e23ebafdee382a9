"""One IMAP connection to a judged address: encrypted, bounded in time and size, logged in.

imaplib connects by itself, reads literals of whatever size a server announces, and knows a timeout for single
operations only. Here the guard resolves and judges, an answer has a largest size, and a call a last moment.
"""

from __future__ import annotations

import imaplib
import socket
import ssl
import threading
import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from imapclient import IMAPClient
from imapclient.exceptions import LoginError, ProtocolError

from dct_pipelines.clients.echoes import without
from dct_pipelines.clients.guard import AddressGuard
from dct_pipelines.domain.errors import (
    ActionFailed,
    ActionInterrupted,
    AddressRefused,
    ConnectionDown,
    CredentialRefused,
    ItemUnreadable,
)

OPERATION_SECONDS = 20.0
CALL_SECONDS = 60.0
ANSWER_BYTES = 32 * 1024 * 1024
TLS_PORT, PLAIN_PORT = 993, 143
_PASSES = ("[UNAVAILABLE]", "[INUSE]", "[LIMIT]", "[SERVERBUG]", "[CONTACTADMIN]")
"""Response codes (RFC 5530) of a refusal that says nothing about the credential or the folder."""


@dataclass(frozen=True)
class MailServer:
    """Where a mailbox is and how it is reached. `security` is `tls`, `starttls` or `none`."""

    host: str
    port: int
    security: str
    ca_file: str | None = None

    @classmethod
    def of_base(cls, base: str, *, starttls: bool, ca_file: str | None) -> MailServer:
        """From `imaps://host[:993]` or `imap://host[:143]`."""
        try:
            parts = urlsplit(base)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise AddressRefused(f"the base {base!r} is no URL: {error}") from error
        if parts.scheme not in ("imaps", "imap") or not host or parts.path.strip("/") or "@" in parts.netloc:
            raise AddressRefused(
                "a mail connection's base is imaps://host or imap://host, with a port if needed"
            )
        if parts.scheme == "imaps":
            return cls(host, port or TLS_PORT, "tls", ca_file)
        return cls(host, port or PLAIN_PORT, "starttls" if starttls else "none", ca_file)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def context(self) -> ssl.SSLContext:
        """Checks certificate and name, against the system's authorities or the operator's own."""
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise AddressRefused(f"ca_file {self.ca_file} cannot be used ({error}); correct it") from error


class _Wire(imaplib.IMAP4):
    """The connection itself. `left` are the bytes that may still come in this call."""

    def __init__(self, server: MailServer, addresses: Sequence[str]) -> None:
        self._addresses = addresses
        self._context = server.context() if server.security == "tls" else None
        self.left = ANSWER_BYTES
        super().__init__(server.host, server.port, OPERATION_SECONDS)

    def _create_socket(self, timeout: float | None = None) -> socket.socket:
        problem: OSError = OSError("no address")
        for address in self._addresses:
            try:
                found = socket.create_connection((address, self.port), timeout or OPERATION_SECONDS)
                break
            except OSError as error:
                problem = error
        else:
            raise problem
        if self._context is None:
            return found
        try:
            return self._context.wrap_socket(found, server_hostname=self.host)
        except (OSError, ValueError):
            found.close()
            raise

    def read(self, size: int) -> bytes:
        """A literal, as large as is left."""
        self._take(size)
        data = super().read(size)
        if len(data) < size:
            raise self.abort("the connection ended within an answer")
        return data

    def readline(self) -> bytes:
        """A line; one that is too long ends the connection, as its rest would be taken for an answer."""
        try:
            line = super().readline()
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as error:
            raise self.abort(str(error)) from error
        self._take(len(line))
        return line

    def _take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise self.abort(f"an answer is larger than {ANSWER_BYTES} bytes")


class _Client(IMAPClient):  # type: ignore[misc]  # IMAPClient publishes no types
    """IMAPClient over our wire."""

    def __init__(self, server: MailServer, addresses: Sequence[str]) -> None:
        self._server = server
        self._addresses = addresses
        self.hidden: set[str] = set()
        """Secrets that the server was told, and that no message may repeat."""
        super().__init__(server.host, server.port, ssl=server.security == "tls", timeout=OPERATION_SECONDS)
        self.normalise_times = False  # else times come without their zone
        self._imap.debug = 0

    def _create_IMAP4(self) -> _Wire:  # noqa: N802 - named by IMAPClient
        return _Wire(self._server, self._addresses)


class Session:
    """A logged-in connection with at most one folder examined. Not for two threads at once."""

    def __init__(self, server: MailServer, guard: AddressGuard, log_in: Callable[[Any], None]) -> None:
        self.server = server
        self.examined: str | None = None
        with _in_our_words(server, ()):
            addresses = guard.addresses(server.host, server.port, encrypted=server.security != "none")
            self._client = _Client(server, addresses)
        self._end = weakref.finalize(self, _shut, self._client)
        try:
            with self.call() as client:
                if server.security == "starttls":
                    client.starttls(server.context())
                log_in(client)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def call(self) -> Iterator[Any]:
        """The client for one exchange, which ends within `CALL_SECONDS`; errors come in our words."""
        self._client._imap.left = ANSWER_BYTES
        watchdog = threading.Timer(CALL_SECONDS, self._cut)
        watchdog.daemon = True
        watchdog.start()
        try:
            with _in_our_words(self.server, self._client.hidden):
                yield self._client
        finally:
            watchdog.cancel()

    def close(self) -> None:
        """End it without a word: what is read is read."""
        self._end()

    def _cut(self) -> None:
        with suppress(OSError):
            self._client.socket().shutdown(socket.SHUT_RDWR)


def _shut(client: _Client) -> None:
    with suppress(OSError, imaplib.IMAP4.error):
        client.shutdown()


@contextmanager
def _in_our_words(server: MailServer, hidden: Collection[str]) -> Iterator[None]:
    # What the server said may hold what it was told; so it is no cause either, which logs would show.
    def said(error: Exception) -> str:
        return " ".join(without(str(error), hidden).split())[:200]

    try:
        yield
    except LoginError as error:
        # IMAPClient calls a connection that broke during the login a refused one.
        if passes(error) or isinstance(error.__context__, imaplib.IMAP4.abort):
            raise ConnectionDown(
                f"{server} cannot log us in now ({said(error)}); it is tried again"
            ) from None
        raise CredentialRefused(
            f"{server} refused the login ({said(error)}); renew the credential or correct the username"
        ) from None
    except imaplib.IMAP4.abort as error:
        raise ConnectionDown(f"{server} ended the connection ({said(error)}); it is tried again") from None
    except ProtocolError as error:
        raise ConnectionDown(
            f"{server} answered what is no IMAP ({said(error)}); it is tried again"
        ) from None
    except imaplib.IMAP4.error as error:
        if passes(error):
            raise ConnectionDown(f"{server} cannot do it now ({said(error)}); it is tried again") from None
        raise ItemUnreadable(f"{server} refused it: {said(error)}") from None
    except ssl.SSLCertVerificationError as error:
        raise AddressRefused(
            f"the certificate of {server} is not valid ({error.verify_message}); name its authority in "
            "ca_file, or correct the host"
        ) from error
    except OSError as error:
        raise ConnectionDown(f"{server} cannot be reached ({error}); it is tried again") from error
    except ActionInterrupted as error:
        raise ConnectionDown(str(error)) from error
    except ActionFailed as error:
        raise AddressRefused(str(error)) from error


def passes(error: Exception) -> bool:
    """Whether the server says that it is its own trouble, and for now."""
    said = str(error).upper()
    return any(code in said for code in _PASSES)
