"""Serves a `SlackWorkspace` by HTTP to the real client, and fails where the workspace says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from urllib.parse import parse_qsl

from tests.fakes.loopback import LoopbackHandler, LoopbackServer, serving
from tests.fakes.slack_server import SCOPES, Json, SlackWorkspace


class SlackHttp(LoopbackServer):
    """A server on loopback, for one workspace at a time, which may be changed: a test makes many."""

    def __init__(self, workspace: SlackWorkspace) -> None:
        super().__init__(_Handler)
        self.workspace = workspace


def slack_http(workspace: SlackWorkspace) -> AbstractContextManager[SlackHttp]:
    """A server for a block."""
    return serving(SlackHttp(workspace))


class _Handler(LoopbackHandler):
    server: SlackHttp

    def _serve(self) -> None:
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

    do_POST = _serve  # noqa: N815 - a name of the base class

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
                self.reset()
            case "lost":
                space.answer(method, asked)
                self.reset()
            case error:
                self._give(200, {"ok": False, "error": error})

    def _give(
        self, status: int, content: Json | str, headers: Mapping[str, str] | None = None, *, cut: bool = False
    ) -> None:
        body = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        for name, value in {"x-oauth-scopes": SCOPES, **(headers or {})}.items():
            self.send_header(name, value)
        self.write_body(body, is_cut=cut)
