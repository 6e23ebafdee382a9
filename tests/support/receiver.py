"""A web server on this machine that keeps what it is sent, for webhooks and health checks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Received:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """`answers` are (status, body) pairs used one after the other; the last one stays. None: say nothing."""

    answers: list[tuple[int, bytes] | None] = field(default_factory=lambda: [(200, b"{}")])
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[Received] = field(default_factory=list)
    port: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    drip_seconds: float = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def next_answer(self) -> tuple[int, bytes] | None:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A running receiver; closed at the end."""
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            names = {name.lower(): value for name, value in self.headers.items()}
            kept.requests.append(Received(self.command, self.path, names, body))
            answer = kept.next_answer()
            if answer is None:
                kept.closing.wait(30)
                return
            self.send_response(answer[0])
            for name, value in kept.headers.items():
                self.send_header(name, value)
            self.end_headers()
            for piece in [answer[1]] if not kept.drip_seconds else [bytes([byte]) for byte in answer[1]]:
                self.wfile.write(piece)
                self.wfile.flush()
                if kept.drip_seconds and kept.closing.wait(kept.drip_seconds):
                    return

        do_GET = do_POST = _serve  # noqa: N815 - the base class names them

        def log_message(self, format: str, *args: object) -> None:
            pass

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield kept
    finally:
        kept.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
