"""The flagship flow: a ticket goes to "Ready for QA", and what follows is seen in git, on disk, Slack, Jira.

Jira (jira820), Slack (emulate), the repository, Dagster's daemon and its runs are real ones; the manifests
are those of `examples/flagship`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dct_pipelines.cli.supervisor import Stack, running
from dct_pipelines.domain.git_refs import Oid
from dct_pipelines.settings import load_settings
from tests.support.command_line import *  # noqa: F403
from tests.support.command_line import Dct
from tests.support.deployment import *  # noqa: F403
from tests.support.flagship import JIRA_TOKEN, Site
from tests.support.leaks import Search
from tests.support.postgres import *  # noqa: F403
from tests.support.repos import git
from tests.support.servers import *  # noqa: F403
from tests.support.servers.jira_server import JiraServer, running_jira
from tests.support.servers.slack_server import BOT, SlackChannel

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]
PATIENCE_SECONDS = 120
READY = "Ready for QA"
COMMENTS = """
kind: trigger
name: comments
items: [shop-tickets]
conditions: [{type: new_comment}]
actions:
  - {type: notify_users, config: {channels: [{channel: outbox}], subject: "{{ event.text }}", text: comment}}
"""
PUSHES = """
kind: trigger
name: pushes
items: [shop]
conditions: [{type: branch_ready, config: {branch: fix/*, target_branch: qa}}]
actions:
  - {type: notify_users, config: {channels: [{channel: outbox}], subject: "{{ event.branch }}", text: push}}
"""


def wait_for(what: Callable[[], bool]) -> float:
    """Wait until it is so; returns for how long, in seconds."""
    begun = time.monotonic()
    while not what():
        assert time.monotonic() - begun < PATIENCE_SECONDS, "it did not happen in time"
        time.sleep(0.1)
    return time.monotonic() - begun


@pytest.fixture
def jira_ends() -> Iterator[ExitStack]:
    """Closing it ends Jira."""
    with ExitStack() as servers:
        yield servers


@pytest.fixture
def jira_here(tmp_path: Path, jira_ends: ExitStack) -> JiraServer:
    """Its changes happen at nine o'clock of one day: of the next one, so that they are after the trigger."""
    directory = tmp_path / "jira"
    directory.mkdir()
    return jira_ends.enter_context(running_jira(directory, datetime.now(UTC).date() + timedelta(days=1)))


@pytest.fixture
def site(project: Path, jira_here: JiraServer, slack: SlackChannel, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site.make(project, jira_here, slack)
    made.set_secrets(monkeypatch)
    return made


@pytest.fixture
def stack(site: Site) -> Iterator[Stack]:
    with running(load_settings(), ui=False) as up:
        yield up


class Watcher:
    """What the command line says of the deployment."""

    def __init__(self, dct: Dct, site: Site) -> None:
        self.dct, self.site = dct, site

    def apply(self, more: str = "") -> None:
        """The example, and more."""
        folder = self.site.write()
        (folder / "more.yaml").write_text(more)
        said = self.dct("apply", "-f", str(folder))
        assert said.code == 0, said.err
        wait_for(lambda: self.reads("shop-tickets") > 0)

    def executions(self, trigger: str = "ready-for-qa") -> list[dict[str, Any]]:
        """The oldest first."""
        found = self.dct("execution", "list", "--json").data
        return [dict(one) for one in reversed(found) if one["trigger"] == trigger]

    def statuses(self, trigger: str = "ready-for-qa") -> list[str]:
        return [one["status"] for one in self.executions(trigger)]

    def source(self, item: str) -> dict[str, Any]:
        found = self.dct("status", "--json").data["sources"]
        return next(dict(source) for source in found if source["item"] == item)

    def reads(self, item: str) -> float:
        """When the item was last read, in seconds since 1970; 0 is never."""
        at = self.source(item)["read_ok_at"]
        return datetime.fromisoformat(at).timestamp() if at else 0

    def wait_for_reads(self, count: int) -> None:
        """So many more reads of the tickets."""
        for _ in range(count):
            last = self.reads("shop-tickets")
            wait_for(lambda last=last: self.reads("shop-tickets") > last)  # type: ignore[misc]  # bound at once


@pytest.fixture
def watcher(dct: Dct, site: Site) -> Watcher:
    return Watcher(dct, site)


def test_a_ticket_that_is_ready_for_qa_goes_all_the_way_once_for_each_real_change(
    stack: Stack, site: Site, watcher: Watcher, jira_ends: ExitStack, database_url: str
):
    watcher.apply(COMMENTS + "---" + PUSHES)
    key = site.ready("Show the price with tax")
    start = site.shop.head("qa")
    site.jira.move(key, READY)
    took = wait_for(lambda: watcher.statuses() == ["completed"])

    bundle = opened_workspace(site, key)
    assert_merged_and_deployed(site, key, start)
    assert_told(site, key, bundle.parents[1])
    assert_fired_once_and_our_comment_fires_nothing(watcher, key)
    assert_back_and_forth_fires_twice(watcher)
    before = pushed(watcher, "fix/typo")
    jira_ends.close()
    wait_for(lambda: watcher.source("shop-tickets")["health"] != "ok")
    meanwhile = pushed(watcher, "fix/another")
    tokens = Search({"Jira's token": JIRA_TOKEN, "Slack's token": site.slack.server.tokens[BOT]})
    assert tokens.in_database(database_url) + tokens.in_files(site.folder) + tokens.in_processes() == []
    print(f"a ticket's move to the end: {took:.1f} s; a push: {before:.1f} s, without Jira {meanwhile:.1f} s")


def opened_workspace(site: Site, key: str) -> Path:
    """The context bundle of the one workspace, which names the ticket."""
    [bundle] = site.folder.glob(".dct/workspaces/*/.dct/context.json")
    context = json.loads(bundle.read_text())
    assert context["workspace"]["title"] == f"Test {key}: Show the price with tax"
    assert context["event"]["ticket"]["key"] == key
    assert [suite["name"] for suite in context["suites"]] == ["smoke"]
    return bundle


def assert_merged_and_deployed(site: Site, key: str, before: str | None) -> None:
    qa, feature = site.shop.head("qa"), site.shop.head(f"feature/{key}")
    assert git("rev-list", "--parents", "-1", str(qa), cwd=site.shop.path) == f"{qa} {before} {feature}"
    assert git("log", "-1", "--format=%s", str(qa), cwd=site.shop.path) == f"{key}: Show the price with tax"
    released = {path.read_text() for path in site.folder.glob(".dct/environments/qa/**/deployed.txt")}
    assert released == {f"{qa} of qa\n"}


def assert_told(site: Site, key: str, workspace: Path) -> None:
    [message] = [one for one in site.slack.history() if key in one["text"]]
    assert str(workspace) in json.dumps(message)
    [comment] = site.jira.comments(key)
    assert str(workspace) in comment["body"]
    assert str(site.shop.head("qa"))[:8] in comment["body"]


def assert_fired_once_and_our_comment_fires_nothing(watcher: Watcher, key: str) -> None:
    watcher.wait_for_reads(2)
    assert len(watcher.executions()) == 1
    assert watcher.executions("comments") == []
    watcher.site.jira.comment(key, "It works here")
    wait_for(lambda: watcher.statuses("comments") == ["completed"])
    story = watcher.dct("explain", "ready-for-qa", "--subject", key).out
    assert f"fired: status went Open → {READY}" in story
    own = watcher.dct("explain", "comments", "--subject", key).out
    assert f"execution {watcher.executions()[0]['id']} wrote it" in own


def assert_back_and_forth_fires_twice(watcher: Watcher) -> None:
    """Twice ready between two reads: two changes, and a second merge that has nothing to do."""
    jira, key = watcher.site.jira, watcher.site.ready("Another one")
    watcher.wait_for_reads(1)
    for status in (READY, "In Progress", READY, "Open"):
        jira.move(key, status)
    wait_for(lambda: watcher.statuses() == ["completed"] * 3)
    watcher.wait_for_reads(1)
    assert len(watcher.executions()) == 3
    assert len(jira.comments(key)) == 2


def pushed(watcher: Watcher, branch: str) -> float:
    """How long a push takes until it is dealt with, in seconds."""
    shop, done = watcher.site.shop, len(watcher.executions("pushes"))
    shop.commit(branch, {branch: "Welcome!\n"}, parents=[Oid(str(shop.head("qa")))])
    took = wait_for(lambda: watcher.statuses("pushes") == ["completed"] * (done + 1))
    assert watcher.source("shop")["health"] == "ok"
    return took
