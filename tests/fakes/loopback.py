"""What servers that play a provider share: a port on loopback, their thread, and connections that break."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

RESET = b"\1\0\0\0\0\0\0\0"
"""Of SO_LINGER: close without waiting, by a reset."""


class LoopbackServer(ThreadingHTTPServer):
    """Listens on a free port; `url` is where."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that went away, or a reset that was meant."""


S = TypeVar("S", bound=LoopbackServer)


@contextmanager
def serving(made: S) -> Iterator[S]:
    """The server at work for the block."""
    with made as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class LoopbackHandler(BaseHTTPRequestHandler):
    """Keeps connections open, answers at once, and logs nothing."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def reset(self) -> None:
        """Break the connection instead of answering."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.close_connection = True

    def write_body(self, body: bytes, *, is_cut: bool) -> None:
        """End the headers and send the body, or half of it and no more."""
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if is_cut else body)
        self.close_connection = self.close_connection or is_cut

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged."""
