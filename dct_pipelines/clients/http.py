"""One HTTP request to an address that a user gave: guarded, bounded in time and size, never redirected.

Built on httpcore, the engine of httpx, because a guard belongs where the connection is made: the name is
resolved and judged there, and TLS still checks the certificate against the name. Proxies and credentials in
the process's environment are not looked at.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpcore

from dct_pipelines.clients.guard import AddressGuard
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted

BODY_LIMIT_BYTES = 64 * 1024
DEFAULT_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body` is cut at the limit."""

    status: int
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


class HttpClient:
    """Sends one request at a time; `timeout_seconds` bounds all of it, from the name to the last byte."""

    def __init__(self, guard: AddressGuard, *, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> None:
        self._guard = guard
        self._timeout_seconds = timeout_seconds

    def send(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, content: bytes = b""
    ) -> Answer:
        """The answer, whatever its status.

        `ActionFailed`: the address is refused or its certificate is not valid. `ActionInterrupted`: it
        could not be reached in time, or not to the end; whether it got the request is then unknown.
        """
        parts = split_url(url)
        backend = _GuardedBackend(self._guard, parts.scheme == "https", self._timeout_seconds)
        where = f"{parts.scheme}://{parts.hostname}"
        try:
            with (
                httpcore.ConnectionPool(
                    ssl_context=ssl.create_default_context(), network_backend=backend
                ) as pool,
                pool.stream(
                    method, _target(parts), headers=list((headers or {}).items()), content=content
                ) as response,
            ):
                return Answer(response.status, _bounded(response))
        except httpcore.TimeoutException as error:
            raise ActionInterrupted(
                f"{where} did not answer within {self._timeout_seconds:g} s; it is tried again"
            ) from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            if isinstance(error.__context__, ssl.SSLCertVerificationError):
                raise ActionFailed(
                    f"the certificate of {where} is not valid: {error.__context__.verify_message}"
                ) from error
            raise ActionInterrupted(f"{where} cannot be reached ({error}); it is tried again") from error


def split_url(url: str) -> SplitResult:
    """The parts of an http(s) address without credentials, or `ActionFailed` that says what is wrong."""
    if not url.isascii() or any(character <= " " or character == "\x7f" for character in url):
        raise ActionFailed("the URL contains a space or a character that must be percent-encoded")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ActionFailed(f"the URL is malformed: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ActionFailed("a URL must begin with https:// (or http:// in a private network) and name a host")
    if "@" in parts.netloc:
        raise ActionFailed("a URL must not hold credentials; name a secret by reference instead")
    return parts


def _target(parts: SplitResult) -> httpcore.URL:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return httpcore.URL(
        scheme=parts.scheme.encode(),
        host=(parts.hostname or "").encode(),
        port=parts.port,
        target=target.encode(),
    )


def _bounded(response: httpcore.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_stream():
        body += chunk
        if len(body) >= BODY_LIMIT_BYTES:
            break
    return bytes(body[:BODY_LIMIT_BYTES])


class _Deadline:
    """What is left of the whole request's time, for each single operation."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise httpcore.ReadTimeout("the time for the whole request is over")
        return seconds


class _GuardedBackend(httpcore.NetworkBackend):
    """Connects to judged addresses only, trying one after the other."""

    def __init__(self, guard: AddressGuard, encrypted: bool, seconds: float) -> None:
        self._guard = guard
        self._encrypted = encrypted
        self._deadline = _Deadline(seconds)
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        problem: Exception = httpcore.ConnectError("no address")
        for address in self._guard.addresses(host, port, encrypted=self._encrypted):
            try:
                stream = self._inner.connect_tcp(address, port, timeout=self._deadline.left())
                return _BoundedStream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem


class _BoundedStream(httpcore.NetworkStream):
    """A connection on which each operation gets what is left of the time."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.left())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, self._deadline.left())
        return _BoundedStream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
