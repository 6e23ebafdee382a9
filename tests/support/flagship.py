"""The flagship flow as `examples/flagship` has it, with nothing changed but where the providers are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.architecture.tree import ROOT
from tests.support.repos import SampleRepository
from tests.support.servers.jira_server import JiraServer
from tests.support.servers.slack_server import BOT, SlackChannel

EXAMPLE = ROOT / "examples/flagship"
JIRA_TOKEN = "jira-token-of-the-test"
RUN_SH = """#!/bin/sh
echo "<testsuite name='shop'><testcase classname='shop' name='greets'/></testsuite>" > junit.xml
"""
Manifest = dict[str, Any]


@dataclass(frozen=True)
class Site:
    """Where the example's providers are in a test, and the repository that it works on."""

    folder: Path
    jira: JiraServer
    slack: SlackChannel
    shop: SampleRepository

    @classmethod
    def make(cls, folder: Path, jira: JiraServer, slack: SlackChannel) -> Site:
        """A repository with `main` and `qa`, and nothing applied yet."""
        shop = SampleRepository.create(folder / "repositories/shop.git")
        start = shop.commit("main", {"greeting.txt": "Welcome\n", "tests/run.sh": RUN_SH})
        shop.branch("qa", start)
        return cls(folder, jira, slack, shop)

    def set_secrets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The variables that the example names."""
        monkeypatch.setenv("JIRA_API_TOKEN", JIRA_TOKEN)
        monkeypatch.setenv("SLACK_BOT_TOKEN", self.slack.server.tokens[BOT])

    def write(self) -> Path:
        """The example's files with this test's addresses; gives their folder."""
        written = self.folder / "manifests"
        written.mkdir(exist_ok=True)
        for path in sorted(EXAMPLE.glob("*.yaml")):
            documents = [self._here(one) for one in yaml.safe_load_all(path.read_text(encoding="utf-8"))]
            (written / path.name).write_text(yaml.safe_dump_all(documents, sort_keys=False))
        return written

    def ready(self, title: str = "Show the price with tax") -> str:
        """A ticket whose branch is ready to be merged. Gives its key."""
        key = self.jira.create(title)
        head = self.shop.head("main")
        assert head is not None
        self.shop.commit(f"feature/{key}", {f"{key}.txt": "new\n"}, parents=[head])
        return key

    def _here(self, manifest: Manifest) -> Manifest:
        changes: Mapping[tuple[str, str], Callable[[], Manifest]] = {
            ("connection", "jira"): lambda: {
                "base": self.jira.base_url,
                "allow_private_network": True,
                "poll_interval_seconds": 5,
                "config": {"deployment": "data_center", "history_metadata": False},
            },
            ("connection", "slack"): lambda: {
                "base": self.slack.server.base_url.removesuffix("/api/"),
                "allow_private_network": True,
            },
            ("channel", "team"): lambda: {"receivers": [f"#{self.slack.name}"]},
            ("connection", "code"): lambda: {"base": str(self.shop.path.parent), "poll_interval_seconds": 5},
        }
        change = changes.get((manifest["kind"], manifest["name"]))
        if change is None:
            return _told_in(manifest, f"#{self.slack.name}")
        changed = {**manifest, **change()}
        return {
            key: value for key, value in changed.items() if (manifest["name"], key) != ("code", "credential")
        }


def _told_in(manifest: Manifest, channel: str) -> Manifest:
    for action in manifest.get("actions", ()):
        for target in action["config"].get("channels", ()):
            target["to"] = [channel]
    return manifest
