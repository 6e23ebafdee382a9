"""Servers that somebody else wrote, started by the tests themselves on loopback: Jira, IMAP, Slack.

One process a server and xdist worker, started when the first test asks for it; each test has tickets, a
mailbox or a channel of its own on it. SMTP is in `tests.support.mail`, git over HTTP in `git_http`.
A server that is not installed fails the test with the command that installs it; none is skipped.

A conftest takes the fixtures by name: `from tests.support.servers import *  # noqa: F403`.
"""

from __future__ import annotations

from tests.support.servers.imap_server import imap_server, mailbox
from tests.support.servers.jira_server import jira, jira_server
from tests.support.servers.slack_server import slack, slack_server

__all__ = ["imap_server", "jira", "jira_server", "mailbox", "slack", "slack_server"]
