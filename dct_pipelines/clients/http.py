"""One HTTP request to an address that a user gave: guarded, bounded in time and size, never redirected.

Built on httpcore, the engine of httpx, because a guard belongs where the connection is made: the name is
resolved and judged there, each time, and TLS still checks the certificate against the name. Proxies and
credentials in the process's environment are not looked at.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpcore

from dct_pipelines.clients.guard import AddressGuard
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted

BODY_LIMIT_BYTES = 64 * 1024
DEFAULT_TIMEOUT_SECONDS = 20.0
KEPT_SECONDS = 4.0
"""For so long an idle connection is kept; servers close theirs later (Node.js after 5 s)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `headers` have lower-case names; `body` is cut at the limit, then `is_cut`."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    is_cut: bool = False

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


class HttpClient:
    """Sends requests; `timeout_seconds` bounds all of each, from the connect to the last byte.

    With `keep_alive` connections are used again for a few seconds, by all threads; `close` ends them.
    """

    def __init__(
        self,
        guard: AddressGuard,
        *,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        size_limit_bytes: int = BODY_LIMIT_BYTES,
        keep_alive: bool = False,
    ) -> None:
        self._call = _Call()
        self._backend = _GuardedBackend(guard, self._call)
        self._timeout_seconds = timeout_seconds
        self._size_limit_bytes = size_limit_bytes
        self._keep_alive = keep_alive
        self._lock = threading.Lock()
        self._pools: dict[str, httpcore.ConnectionPool] = {}

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        *,
        timeout_seconds: float | None = None,
    ) -> Answer:
        """The answer, whatever its status.

        `ActionFailed`: the address is refused or its certificate is not valid. `ActionInterrupted`: it
        could not be reached in time, or not to the end; whether it got the request is then unknown.
        """
        parts = split_url(url)
        seconds = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        self._call.begin(seconds, is_encrypted=parts.scheme == "https")
        limit = self._size_limit_bytes
        with (
            _in_our_words(f"{parts.scheme}://{parts.netloc}", seconds),
            self._lent(parts.scheme) as pool,
            pool.stream(
                method,
                _target(parts),
                headers=list((headers or {}).items()),
                content=content,
                extensions={"timeout": {"pool": seconds}},
            ) as response,
        ):
            body = _bounded(response, limit)
            return Answer(response.status, body[:limit], _headers(response), len(body) > limit)

    def close(self) -> None:
        """Close what was kept open."""
        with self._lock:
            for pool in self._pools.values():
                pool.close()
            self._pools.clear()

    @contextmanager
    def _lent(self, scheme: str) -> Iterator[httpcore.ConnectionPool]:
        if not self._keep_alive:
            with self._new_pool(scheme) as pool:
                yield pool
            return
        with self._lock:
            kept = self._pools.get(scheme)
            if kept is None:
                kept = self._pools[scheme] = self._new_pool(scheme)
                weakref.finalize(self, kept.close)
        yield kept

    def _new_pool(self, scheme: str) -> httpcore.ConnectionPool:
        # At DEBUG it logs the headers of answers, which a hostile server can fill with what it was told.
        logging.getLogger("httpcore").setLevel(logging.INFO)
        return httpcore.ConnectionPool(
            ssl_context=_trusting_the_system() if scheme == "https" else None,
            network_backend=self._backend,
            keepalive_expiry=KEPT_SECONDS,
        )


@cache
def _trusting_the_system() -> ssl.SSLContext:
    """Certificates are judged by the machine's authorities; reading those takes some 40 ms, so once."""
    return ssl.create_default_context()


@contextmanager
def _in_our_words(where: str, seconds: float) -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException as error:
        raise ActionInterrupted(f"{where} did not answer within {seconds:g} s; it is tried again") from error
    except httpcore.LocalProtocolError:
        # What it says holds the header's value, which may be a secret.
        raise ActionFailed(
            f"a header for {where} cannot be sent; a secret must not hold line breaks or control characters"
        ) from None
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


def _headers(response: httpcore.Response) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return MappingProxyType(found)


def _bounded(response: httpcore.Response, limit_bytes: int) -> bytes:
    """The body; what is longer than the limit tells that there is more, and is not read to its end."""
    body = bytearray()
    for chunk in response.iter_stream():
        body += chunk
        if len(body) > limit_bytes:
            break
    return bytes(body)


class _Call(threading.local):
    """The request that this thread makes: whether it is encrypted, and what is left of its time."""

    is_encrypted = True
    _end = 0.0

    def begin(self, seconds: float, *, is_encrypted: bool) -> None:
        self.is_encrypted = is_encrypted
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise httpcore.ReadTimeout("the time for the whole request is over")
        return seconds


class _GuardedBackend(httpcore.NetworkBackend):
    """Connects to judged addresses only, trying one after the other."""

    def __init__(self, guard: AddressGuard, call: _Call) -> None:
        self._guard = guard
        self._call = call
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
        for address in self._guard.addresses(host, port, encrypted=self._call.is_encrypted):
            try:
                stream = self._inner.connect_tcp(address, port, timeout=self._call.left())
                return _BoundedStream(stream, self._call)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem


class _BoundedStream(httpcore.NetworkStream):
    """A connection on which each operation gets what is left of the time of whoever uses it."""

    def __init__(self, inner: httpcore.NetworkStream, call: _Call) -> None:
        self._inner = inner
        self._call = call

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._call.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._call.left())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, self._call.left())
        return _BoundedStream(inner, self._call)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
