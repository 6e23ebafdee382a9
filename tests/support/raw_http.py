"""A web server that says exactly the bytes it is told to, also wrong ones, and counts connections."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

RESET = b"reset"
"""Instead of an answer: the connection is torn down."""


def answer(
    status: int, body: bytes = b"", headers: Mapping[str, str] | None = None, length: int | None = None
) -> bytes:
    """The bytes of an answer; `length` is what it claims to have."""
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body) if length is None else length}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Raw:
    """`answers` are used one after the other, the last one stays; `heard` are the requests as they came."""

    answers: list[bytes] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def headers(self, index: int = -1) -> dict[str, str]:
        """The headers of a request, names in lower case."""
        lines = self.heard[index].partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


@contextmanager
def raw_server() -> Iterator[Raw]:
    """A running one; closed at the end."""
    kept = Raw()
    listener = socket.create_server(("127.0.0.1", 0))
    kept.port = listener.getsockname()[1]
    threads: list[threading.Thread] = []
    peers: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            kept.connections += 1
            peers.append(peer)
            threads.append(threading.Thread(target=_serve, args=(kept, peer)))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield kept
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


def _serve(kept: Raw, peer: socket.socket) -> None:
    with peer, contextlib.suppress(OSError):
        while request := _request(peer):
            kept.heard.append(request)
            said = kept.answers.pop(0) if len(kept.answers) > 1 else kept.answers[0]
            if said == RESET:
                linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                return
            peer.sendall(said)
            head, _, body = said.partition(b"\r\n\r\n")
            if f"content-length: {len(body)}".encode() not in head:
                return


def _request(peer: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := peer.recv(65536)):
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    missing = int(lengths[0].partition(b":")[2]) - len(body) if lengths else 0
    while missing > 0 and (more := peer.recv(missing)):
        data += more
        missing -= len(more)
    return data
