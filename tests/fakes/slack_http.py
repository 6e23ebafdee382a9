"""Serves a `SlackWorkspace` by HTTP to the real client, and fails where the workspace says so."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from tests.fakes.slack_server import SCOPES, Json, SlackWorkspace

RESET = b"\1\0\0\0\0\0\0\0"
"""Of SO_LINGER: close without waiting, by a reset."""


class SlackHttp(ThreadingHTTPServer):
    """A server on loopback, for one workspace at a time, which may be changed: a test makes many."""

    daemon_threads = True

    def __init__(self, workspace: SlackWorkspace) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.workspace = workspace
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that went away, or a reset that was meant."""


@contextmanager
def slack_http(workspace: SlackWorkspace) -> Iterator[SlackHttp]:
    """A server for the block."""
    with SlackHttp(workspace) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: SlackHttp

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        is_json = "json" in self.headers.get("content-type", "")
        asked = json.loads(body) if is_json else dict(parse_qsl(body.decode()))
        method = self.path.removeprefix("/api/")
        space = self.server.workspace
        space.calls.append((method, asked))
        if self.headers.get("authorization") != f"Bearer {space.token}":
            self._give(200, {"ok": False, "error": "invalid_auth"})
        else:
            self._respond(space, method, asked, space.fault(method))

    def _respond(self, space: SlackWorkspace, method: str, asked: Json, fault: str | None) -> None:
        match fault:
            case None:
                self._give(200, space.answer(method, asked))
            case "500" | "503":
                self._give(int(fault), {"ok": False})
            case "429":
                self._give(429, {"ok": False, "error": "ratelimited"}, {"retry-after": space.retry_after})
            case "html":
                self._give(200, "<html>a proxy</html>")
            case "half":
                self._give(200, space.answer(method, asked), cut=True)
            case "reset":
                self._reset()
            case "lost":
                space.answer(method, asked)
                self._reset()
            case error:
                self._give(200, {"ok": False, "error": error})

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.close_connection = True

    def _give(
        self, status: int, content: Json | str, headers: Mapping[str, str] | None = None, *, cut: bool = False
    ) -> None:
        body = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        for name, value in {"x-oauth-scopes": SCOPES, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = self.close_connection or cut

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged."""
