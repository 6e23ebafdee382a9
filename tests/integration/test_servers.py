"""The processes of the servers that tests start: they tell why they did not start, and they end."""

from __future__ import annotations

import socket
import sys

import httpx
import psutil
import pytest

from tests.support.servers.imap_server import running_imap
from tests.support.servers.jira_server import running_jira
from tests.support.servers.process import ServerFailed, free_port, running
from tests.support.servers.slack_server import running_slack

pytestmark = pytest.mark.integration


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_server_that_ends_while_it_starts_shows_its_log(tmp_path):
    argv = [sys.executable, "-c", "print('the disk is full'); raise SystemExit(3)"]
    with (
        pytest.raises(ServerFailed, match=r"ended with 3 while it started[\s\S]*the disk is full"),
        running("A server", argv, free_port(), tmp_path / "log"),
    ):
        pass


def test_the_servers_end_with_their_blocks_and_leave_no_process(tmp_path):
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with (
        running_imap(tmp_path / "log") as imap,
        running_jira(tmp_path) as jira,
        running_slack(tmp_path) as slack,
    ):
        ports = [imap.port, imap.tls_port, imap.lmtp_port]
        ports += [httpx.URL(url).port or 0 for url in (jira.base_url, slack.base_url)]
        assert all(listens(port) for port in ports)
    assert not any(listens(port) for port in ports)
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before
