"""Answers scrapes over HTTP: `GET /metrics`, and nothing else. Loopback unless an operator says otherwise."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from dct_pipelines.domain.errors import AlreadyRunning

PATH = "/metrics"
_log = logging.getLogger(__name__)
PATIENCE_SECONDS = 10.0
"""Who says nothing for so long is hung up on."""
Answer = Callable[[str], tuple[bytes, str]]
"""From the header `Accept` to a body and its content type."""


@dataclass(frozen=True)
class Served:
    """Where scrapes are answered."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address for Prometheus."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{PATH}"


@contextmanager
def serving(answer: Answer, host: str, port: int) -> Iterator[Served]:
    """Answer for the block; `port` 0 takes a free one. `AlreadyRunning` when somebody else has the port."""

    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE_SECONDS
        server_version, sys_version = "dct", ""

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != PATH:
                self.send_error(404, explain=f"Metrics are at {PATH}.")
                return
            body, content_type = answer(self.headers.get("accept", ""))
            self.send_response(200)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """A line for each scrape would be all there is in the log."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Who hangs up in the middle is no news; anything else is our fault."""
            if not isinstance(sys.exception(), OSError):
                _log.exception("a scrape could not be answered")

    try:
        server = Server((host, port), Handler)
    except OSError as error:
        raise AlreadyRunning(
            f"metrics cannot be served at {host}:{port} ({error.strerror or error}); choose another port"
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield Served(host, server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
