"""Serves a `GitHubWorld` over HTTP on loopback, as a GitHub server of one's own, to the real client.

with github_server(world) as server:
    client = server.client()
    server.faults.append("500")        # the next answers; `chance` of any instead
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from contextlib import AbstractContextManager
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import UUID

from dct_pipelines.clients.github import GitHubClient
from dct_pipelines.domain.connected import Endpoint
from tests.fakes import github_graphql, github_rest
from tests.fakes.budget import FakeBudget
from tests.fakes.github_world import GitHubWorld
from tests.fakes.loopback import LoopbackHandler, LoopbackServer, serving

CONNECTION = UUID(int=77)
TOKEN = "ghp_0123456789abcdef"
FAULTS = ("500", "502", "reset", "half", "html", "secondary", "exhausted", "graphql_down", "lost")
"""What may happen instead of an answer; `lost` after the work was done."""


class GitHubServer(LoopbackServer):
    """`calls` are (method, path) of every request; `world` may be changed, as a test makes many."""

    def __init__(self, world: GitHubWorld) -> None:
        super().__init__(_Handler)
        self.world = world
        self.calls: list[tuple[str, str]] = []
        self.faults: list[str] = []
        self.replies: list[tuple[int, Mapping[str, str], Any]] = []
        """Answers to be given first, as they are: status, headers, body (text or JSON)."""
        self.merge_reply: tuple[int, Mapping[str, str], Any] | None = None
        """The answer to a merge of a pull request, as it is."""
        self.chance = 0.0
        self.random = random.Random(0)
        self.budget = FakeBudget()

    def client(self, config: Mapping[str, Any] | None = None, secret: str = TOKEN) -> GitHubClient:
        """The real client, with a connection to this server."""
        endpoint = Endpoint(
            connection_id=CONNECTION,
            name="hub",
            kind="github",
            base=self.url,
            config=config or {},
            credential=lambda: secret,
            allow_private_network=True,
            budget=self.budget,
        )
        return GitHubClient(endpoint, self.world.clock)

    def next_fault(self) -> str | None:
        """Why the next call fails, if it does."""
        if self.faults:
            return self.faults.pop(0)
        return self.random.choice(FAULTS) if self.chance and self.random.random() < self.chance else None


def github_server(world: GitHubWorld) -> AbstractContextManager[GitHubServer]:
    """A server for a block."""
    return serving(GitHubServer(world))


class _Handler(LoopbackHandler):
    server: GitHubServer

    def _serve(self) -> None:
        method = self.command
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.calls.append((method, self.path))
        if self.server.replies:
            status, headers, told = self.server.replies.pop(0)
            self._give(status, told, headers)
        elif self.server.merge_reply is not None and self.path.endswith("/merge"):
            status, headers, told = self.server.merge_reply
            self._give(status, told, headers)
        elif self.headers.get("authorization") != f"Bearer {TOKEN}":
            self._give(401, {"message": "Bad credentials", "status": "401"})
        else:
            self._respond(method, json.loads(body) if body else None, self.server.next_fault())

    do_GET = do_POST = do_PUT = _serve  # noqa: N815 - names of the base class

    def _respond(self, method: str, body: Any, fault: str | None) -> None:
        match fault:
            case None:
                self._give(*self._answer(method, body))
            case "500" | "502":
                self._give(int(fault), "<html>unicorn</html>")
            case "html":
                self._give(200, "<html>a proxy</html>")
            case "secondary":
                words = "You have exceeded a secondary rate limit. Please wait a few minutes."
                self._give(403, {"message": words}, {"retry-after": "1"})
            case "exhausted":
                reset = str(int(self.server.world.clock.now().timestamp()) + 1)
                limits = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}
                self._give(403, {"message": "API rate limit exceeded for user ID 1."}, limits)
            case "graphql_down":
                words = "Something went wrong while executing your query on 2026-03-02."
                self._give(200, {"data": None, "errors": [{"message": words}]})
            case "half":
                self._give(*self._answer(method, body), is_cut=True)
            case "lost":
                self._answer(method, body)
                self.reset()
            case _:
                self.reset()

    def _answer(self, method: str, body: Any) -> tuple[int, Any]:
        parts = urlsplit(self.path)
        if parts.path == "/api/graphql":
            return 200, github_graphql.answer(self.server.world, body)
        path = "/".join(unquote(part) for part in parts.path.removeprefix("/api/v3").split("/"))
        return github_rest.answer(self.server.world, method, path, dict(parse_qsl(parts.query)), body)

    def _give(
        self, status: int, body: Any, headers: Mapping[str, str] | None = None, *, is_cut: bool = False
    ) -> None:
        content = b"" if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        now = self.server.world.clock.now()
        self.send_response_only(status)
        self.send_header("date", format_datetime(now, usegmt=True))
        for name, value in {"x-oauth-scopes": "repo, workflow", **(headers or {})}.items():
            self.send_header(name, value)
        self.write_body(content, is_cut=is_cut)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged."""
