"""Alerts on the real stack: what each rule looks at really happens, and is told once, and its end once.

All of it on one stack, whose thresholds and timings are low by its settings. Nothing in the database is
written by the test: what is out of order is a host that refuses, one that says nothing, a repository that is
gone, tests that fail, an action that hangs, a quota that is used up, metrics that end hours ago.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from dct_pipelines.bootstrap import App, build
from dct_pipelines.cli.supervisor import running
from dct_pipelines.domain.metrics import Grain, Span
from dct_pipelines.domain.signing import sign
from dct_pipelines.settings import load_settings
from dct_pipelines.store import tables
from tests.support.command_line import *  # noqa: F403
from tests.support.command_line import Dct
from tests.support.deployment import *  # noqa: F403
from tests.support.git_http import GitHost, serving
from tests.support.postgres import *  # noqa: F403
from tests.support.receiver import Received, Receiver, receiver
from tests.support.repos import SampleRepository

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]
PATIENCE_SECONDS = 240
"""On a machine that does much else at the same time."""
OPENED, RESOLVED = "incidents_opened", "incidents_resolved"
SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cy0xMjM0NTY3ODkw"
TOKEN = "token-of-the-hosts"
SETTINGS = {
    "DCT_ALERT_WEBHOOK_SECRET": SECRET,
    "GIT_INTEGRATION_TOKEN": TOKEN,
    "MAX_CONCURRENT_WORKSPACES": "1",
    "DCT_ALERT_INTERVAL_SECONDS": "5",
    "DCT_ALERT_WINDOW_SECONDS": "30",
    "DCT_ALERT_SETTLE_SECONDS": "5",
    "DCT_ALERT_UTILIZATION_SECONDS": "5",
    "DCT_ALERT_LISTENER_SECONDS": "20",
    "DCT_ALERT_METRICS_HOURS": "2",
    "DCT_ALERT_METRICS_MINUTES": "0",
}
MANIFESTS = """
{connections}
kind: suite
name: passes
command: [/bin/sh, -c, "test ! -e broken"]
junit: null
---
kind: suite
name: hangs
command: [sleep, "600"]
junit: null
---
kind: draft
name: look
title: Look at it
repository: shop
base: main
---
kind: trigger
name: checks
items: [shop]
conditions: [{{type: branch_ready, config: {{branch: fix/*, target_branch: main}}}}]
actions:
  - type: run_tests
    config: {{suite: passes, repository: shop, branch: "{{{{ event.branch }}}}"}}
alerts: {{failure_minimum: 4}}
---
kind: trigger
name: slow
items: [shop]
conditions: [{{type: branch_ready, config: {{branch: slow/*, target_branch: main}}}}]
actions:
  - type: run_tests
    config: {{suite: hangs, repository: shop, branch: "{{{{ event.branch }}}}"}}
limits: {{timeout_seconds: 3}}
---
kind: trigger
name: looks
items: [shop]
conditions: [{{type: branch_ready, config: {{branch: look/*, target_branch: main}}}}]
actions:
  - {{type: create_workspace, config: {{draft: look}}}}
alerts: {{wait_seconds: 5}}
"""
CONNECTION = """
kind: connection
name: {name}
type: git
base: {base}
{more}
---
kind: item
name: {item}
type: git_repository
connection: {name}
location: {item}.git
---
"""
FROM_HOST = "credential: env:GIT_INTEGRATION_TOKEN\nallow_private_network: true"
Key = tuple[str, str]
"""Rule and subject of an incident."""


def wait_for(what: Callable[[], bool]) -> None:
    begun = time.monotonic()
    while not what():
        assert time.monotonic() - begun < PATIENCE_SECONDS, "it did not happen in time"
        time.sleep(0.2)


@dataclass(frozen=True)
class Site:
    """A deployment, its providers, and who is told."""

    folder: Path
    dct: Dct
    app: App
    listening: Receiver
    shop: SampleRepository
    refusing: GitHost
    silent: GitHost

    def apply(self) -> None:
        """Four connections with a repository each, and three triggers on one of them."""
        written = [
            CONNECTION.format(name="code", base="repositories", item="shop", more=""),
            CONNECTION.format(name="vault", base="vault", item="treasure", more=""),
            *(
                CONNECTION.format(name=name, base=host.url("").rstrip("/"), item=f"on-{name}", more=FROM_HOST)
                for name, host in (("refusing", self.refusing), ("silent", self.silent))
            ),
        ]
        for path in ("vault/treasure", "hosts/on-refusing", "hosts/on-silent"):
            SampleRepository.create(self.folder / f"{path}.git").commit("main", {"README": "hello\n"})
        manifest = self.folder / "site.yaml"
        manifest.write_text(MANIFESTS.format(connections="".join(written)))
        said = self.dct("apply", "-f", str(manifest))
        assert said.code == 0, said.err

    def push(self, *branches: str, **files: str) -> None:
        head = self.shop.head("main")
        assert head is not None
        for branch in branches:
            self.shop.commit(branch, {"what": branch, **files}, parents=[head])

    def measure(self, hours_ago: int) -> None:
        """Compute the metrics of the hour that ended so many hours ago."""
        until = Grain.HOUR.begin(datetime.now(UTC)) - timedelta(hours=hours_ago)
        span = Span(Grain.HOUR, until - timedelta(hours=1), until)
        for name, table in self.app.metrics.tables.items():
            if Grain.HOUR in table.grains:
                self.app.metrics.refresh(name, span)

    def vault(self, *, is_there: bool) -> None:
        place, away = self.folder / "vault/treasure.git", self.folder / "treasure.away"
        (away if is_there else place).rename(place if is_there else away)

    def ended(self, trigger: str) -> int:
        """How many of its executions completed or failed."""
        execution, named = tables.trigger_executions.c, tables.dynamic_context_triggers.c
        statement = (
            select(func.count())
            .join_from(tables.trigger_executions, tables.dynamic_context_triggers)
            .where(named.name == trigger, execution.status.in_(("completed", "failed")))
        )
        with self.app.database.connect() as connection:
            return connection.scalar(statement) or 0

    def posts(self) -> list[Received]:
        return [one for one in self.listening.requests if one.method == "POST"]

    def told(self) -> Counter[tuple[str, Key]]:
        """How often the beginning and the end of each incident was told."""
        bodies = [json.loads(post.body) for post in self.posts()]
        return Counter(
            (body["type"], (one["rule"], one["subject"])) for body in bodies for one in body["incidents"]
        )

    def heartbeat(self) -> dict[str, Any]:
        """As a monitor on the machine sees it."""
        try:
            return dict(json.loads((self.folder / ".dct/heartbeat.json").read_text()))
        except FileNotFoundError:
            return {"at": None}

    def wait_for_looks(self, count: int) -> None:
        for _ in range(count):
            last = self.heartbeat()["at"]
            wait_for(lambda last=last: self.heartbeat()["at"] != last)  # type: ignore[misc]  # bound at once

    def ways_out(self) -> dict[Key, Callable[[], object] | None]:
        """Every incident that there is to be, and what ends it; None: time does."""
        return {
            ("failure_rate", "checks"): None,
            ("timeout", "slow"): None,
            ("wait", "workspace_quota"): None,
            ("utilization", "workspaces"): lambda: self.dct("quota", "set", "workspaces", "5"),
            ("connection", "refusing"): lambda: setattr(self.refusing, "status", None),
            ("connection", "vault/treasure"): lambda: self.vault(is_there=True),
            ("listener", "silent"): self.silent.answers.set,
            ("metrics", "hourly"): lambda: self.measure(0),
        }


@pytest.fixture
def site(project: Path, dct: Dct, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    shop = SampleRepository.create(project / "repositories/shop.git")
    shop.commit("main", {"README": "hello\n"})
    hosts = [GitHost(project / "hosts", TOKEN) for _ in range(2)]
    with receiver() as listening, serving(hosts[0]) as refusing, serving(hosts[1]) as silent:
        for name, value in SETTINGS.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("ALERT_WEBHOOK_URL", listening.url)
        monkeypatch.setenv("DCT_HEARTBEAT_URL", listening.url.replace("/hook", "/alive"))
        # their schedule has nothing to compute yet
        monkeypatch.setenv("DCT_METRICS_SINCE", f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}")
        app = build(load_settings()).ready()
        made = Site(project, dct, app, listening, shop, refusing, silent)
        made.apply()
        yield made
        app.database.dispose()


def test_each_rule_tells_its_incident_once_and_its_end_once_and_noise_is_not_told(site: Site):
    ways_out = site.ways_out()
    site.measure(4)
    with running(load_settings(), ui=False):
        site.refusing.status = 503
        site.silent.answers.clear()
        site.vault(is_there=False)
        site.push("fix/good", "look/one", "look/two", "slow/one")
        site.push("fix/bad", broken="yes")
        wait_for(lambda: site.ended("checks") == 2)
        site.wait_for_looks(2)
        assert (OPENED, ("failure_rate", "checks")) not in site.told(), "one failure of two is noise"
        site.push(*(f"fix/worse-{number}" for number in range(4)), broken="yes")
        end_each_once_it_is_told(site, ways_out)
        wait_for(lambda: site.heartbeat()["is_working"])

    assert site.told() == Counter({(kind, key): 1 for kind in (OPENED, RESOLVED) for key in ways_out})
    posts = site.posts()
    assert len({post.headers["idempotency-key"] for post in posts}) == len(posts), "nothing was told twice"
    for post in posts:
        key, moment = json.loads(post.body)["id"], int(post.headers["webhook-timestamp"])
        assert post.headers["webhook-signature"] == sign(SECRET, key, moment, post.body)
    listed = site.dct("alert", "list", "--all", "--json").data
    assert {(one["state"], one["resolved_by"]) for one in listed} == {("resolved", None)}
    assert any(one.path == "/alive" for one in site.listening.requests)


def end_each_once_it_is_told(site: Site, ways_out: dict[Key, Callable[[], object] | None]) -> None:
    """Wait for every beginning, end what does not end by itself, and wait for every end."""
    left = dict(ways_out)

    def all_ended() -> bool:
        told = site.told()
        if (OPENED, ("wait", "workspace_quota")) not in told:
            # more room would end this one, too
            told.pop((OPENED, ("utilization", "workspaces")), None)
        for key in [key for key in left if (OPENED, key) in told]:
            if key == ("listener", "silent"):
                assert site.heartbeat()["problems"] == ["nobody reads silent"]
            if (way_out := left.pop(key)) is not None:
                way_out()
        return all((RESOLVED, key) in told for key in ways_out)

    wait_for(all_ended)
