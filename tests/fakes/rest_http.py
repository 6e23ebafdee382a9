"""Serves a simulated REST provider by HTTP to its real client, and fails where the test says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from dct_pipelines.domain.ports import Clock
from tests.fakes.loopback import LoopbackHandler, LoopbackServer, serving

FAULTS = ("500", "502", "429", "503", "reset", "half", "html", "wrong", "lost")


@dataclass
class Asked:
    """One request. `path` is below the interface's base, as it was sent; `query` keeps repeated names."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    body: Any

    def get(self, name: str, default: str = "") -> str:
        """A parameter of the query."""
        return dict(self.query).get(name, default)


@dataclass
class Answered:
    """What the provider says. `content` None is an empty body."""

    status: int = 200
    content: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class Provider(Protocol):
    """What is served: `prefix` is where its interface is, `clock` what its Date header says."""

    prefix: str

    @property
    def clock(self) -> Clock:
        """Its clock."""

    def answer(self, asked: Asked) -> Answered:
        """What it says to a request."""


class RestHttp(LoopbackServer):
    """A server on loopback. `fault(asked)` names how this answer goes wrong, `instead` gives another one.

    `before` is called first.
    """

    def __init__(self, provider: Provider) -> None:
        super().__init__(_Handler)
        self.provider = provider
        self.calls: list[Asked] = []
        self.fault: Callable[[Asked], str | None] = lambda _asked: None
        self.instead: Callable[[Asked], Answered | None] = lambda _asked: None
        self.before: Callable[[Asked], None] = lambda _asked: None


def rest_http(provider: Provider) -> AbstractContextManager[RestHttp]:
    """A server for a block."""
    return serving(RestHttp(provider))


class _Handler(LoopbackHandler):
    server: RestHttp

    def _serve(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = parse_qsl(parts.query, keep_blank_values=True)
        path = parts.path.removeprefix(self.server.provider.prefix)
        asked = Asked(self.command, path, query, headers, json.loads(raw) if raw else None)
        self.server.calls.append(asked)
        self.server.before(asked)
        self._respond(asked, self.server.fault(asked))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - names of the base class

    def _respond(self, asked: Asked, fault: str | None) -> None:
        match fault:
            case None:
                self._give(self.server.instead(asked) or self.server.provider.answer(asked))
            case "500" | "502":
                self._give(Answered(int(fault), {"message": f"{fault} error"}))
            case "429" | "503":
                self._give(Answered(int(fault), {"message": "Retry later"}, {"retry-after": "7"}))
            case "html":
                self._give(Answered(200, "<html>a proxy</html>"))
            case "wrong":
                self._give(Answered(200, "17"))
            case "half":
                self._give(self.server.provider.answer(asked), cut=True)
            case "lost":
                self.server.provider.answer(asked)
                self.reset()
            case _:
                self.reset()

    def _give(self, answered: Answered, *, cut: bool = False) -> None:
        content = answered.content
        text = "" if content is None else content if isinstance(content, str) else json.dumps(content)
        body = text.encode()
        self.send_response(answered.status)
        for name, value in answered.headers.items():
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.write_body(body, is_cut=cut)

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The provider's clock, not the machine's."""
        return format_datetime(self.server.provider.clock.now(), usegmt=True)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged."""
