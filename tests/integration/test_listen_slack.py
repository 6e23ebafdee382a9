"""`dct listen slack` as a process: what the socket brings is an event, and it ends cleanly when asked to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dct_pipelines.bootstrap import build
from dct_pipelines.clients.clock import SystemClock
from dct_pipelines.settings import Settings
from tests.architecture.tree import ROOT
from tests.fakes.slack_http import SlackHttp, slack_http
from tests.fakes.slack_server import CHANNEL, TOKEN, SlackWorkspace
from tests.support.command_line import *  # noqa: F403
from tests.support.command_line import Dct
from tests.support.slack_socket import SocketServer, socket_server

MANIFEST = """
kind: connection
name: chat
type: slack
base: {base}
credential: env:SLACK_BOT_TOKEN
allow_private_network: true
config: {{app_token: env:SLACK_APP_TOKEN}}
---
kind: item
name: general
type: slack_channel
connection: chat
location: "#general"
"""


@pytest.fixture
def sockets() -> Iterator[SocketServer]:
    with socket_server() as server:
        yield server


@pytest.fixture
def office(sockets: SocketServer) -> Iterator[SlackHttp]:
    workspace = SlackWorkspace(SystemClock())
    workspace.socket_url = sockets.url
    workspace.post("before")
    with slack_http(workspace) as server:
        yield server


@pytest.fixture
def applied(dct: Dct, office: SlackHttp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dct:
    """A project with that workspace."""
    for name in ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"):
        monkeypatch.setenv(name, TOKEN)
    (tmp_path / "chat.yaml").write_text(MANIFEST.format(base=office.url))
    said = dct("apply", "-f", "chat.yaml")
    assert said.code == 0, said.err
    return dct


@pytest.fixture
def process(applied: Dct, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The process, its output by the line."""
    argv = [sys.executable, "-m", "dct_pipelines.cli.main", "listen", "slack", "--json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(argv, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as started:
        yield started
        started.kill()


def test_an_event_is_stored_before_slack_is_told(
    applied: Dct,
    process: subprocess.Popen[str],
    office: SlackHttp,
    sockets: SocketServer,
    database_settings: Settings,
):
    sockets.wait(lambda: len(sockets.connections) == 2, 60)
    # The first read takes the channel as it is; after it, events count.
    app = build(database_settings)
    app.listening.tick("slack")
    ts = office.workspace.post("hello", user="UDEV000001")
    envelope = sockets.send(office.workspace.done[-1].event)
    sockets.wait(lambda: envelope in sockets.acknowledged)
    with app.database.connect() as connection:
        rows = connection.exec_driver_sql("SELECT subject, kind FROM dct.events").all()
    assert [tuple(row) for row in rows] == [(f"{CHANNEL}/{ts}", "message_posted")]
    app.listening.tick("slack")
    with app.database.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM dct.events").scalar() == 1
    app.database.dispose()
    process.send_signal(signal.SIGTERM)
    lines = [json.loads(line)["said"] for line in process.communicate(timeout=30)[0].splitlines()]
    assert process.returncode == 0
    assert lines[0] == "chat: connecting"
    assert lines[-1] == "ended"
    assert TOKEN not in "".join(lines)


def test_what_we_post_is_announced_to_the_items_that_read_the_channel(
    applied: Dct, office: SlackHttp, database_settings: Settings
):
    app = build(database_settings)
    assert app.library.readers_of("chat", CHANNEL) == []
    app.listening.tick("slack")
    item = app.library.item("general")
    assert app.library.readers_of("chat", CHANNEL) == [item.id]
    assert app.library.readers_of("chat", "C0OTHER001") == []
    assert app.library.readers_of("other", CHANNEL) == []
    app.database.dispose()


def test_a_connection_without_an_app_token_is_told(applied: Dct):
    said = applied("listen", "slack", "code")
    assert said.code == 2
    assert "no enabled Slack connection 'code' with an app_token" in said.err
