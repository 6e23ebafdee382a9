"""An issuer of access tokens on this machine: each request gets the next one, or what the test wants said."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl


@dataclass
class TokenServer:
    """`forms` are the requests it got. It gives `token-1`, `token-2`, ..., good for `seconds`."""

    seconds: Any = 3600
    status: int = 200
    body: bytes | None = None
    forms: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    @property
    def count(self) -> int:
        """How many requests there were."""
        return len(self.forms)

    def answer(self, form: bytes) -> bytes:
        """Note the request; the next token."""
        self.forms.append(dict(parse_qsl(form.decode())))
        given = {"access_token": f"token-{self.count}", "token_type": "Bearer", "expires_in": self.seconds}
        return json.dumps(given).encode() if self.body is None else self.body


@contextmanager
def token_server() -> Iterator[TokenServer]:
    """A running issuer; stopped at the end."""
    kept = TokenServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = kept.answer(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(kept.status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Be silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        kept.url = f"http://127.0.0.1:{server.server_address[1]}/token"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield kept
        finally:
            server.shutdown()
            thread.join()
