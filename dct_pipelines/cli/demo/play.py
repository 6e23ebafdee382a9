"""The play: a push that goes all the way, a push that conflicts, and the push that mends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dct_pipelines.bootstrap import App
from dct_pipelines.cli.demo.show import DemoFailed, Show, seconds
from dct_pipelines.cli.demo.stage import TARGET, Stage
from dct_pipelines.engine.manage.manager import Wanted
from dct_pipelines.engine.manifests import InvalidManifests, read_documents

TRIGGER = "feature-to-qa"
CAREFUL_TRIGGER = "ready-for-review"
SMOOTH, CLASH = "feature/welcome", "feature/discount"
FILE = "greeting.txt"
ANY_FILE = "dct-demo.txt"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Play:
    """The acts, in order. Each raises `DemoFailed` when what must happen does not."""

    app: App
    stage: Stage
    show: Show
    say: Say

    @property
    def file(self) -> str:
        """The file that both branches change."""
        return FILE if self.stage.is_sample else ANY_FILE

    def apply(self) -> str:
        """Apply the manifests of the example; returns what was done, in words."""
        documents, faults = read_documents([self.stage.manifests])
        if faults:
            raise InvalidManifests(faults)
        return str(self.app.manager.apply(Wanted(documents, by="local")))

    def smooth(self) -> dict[str, Any]:
        """A branch that merges cleanly: merged, deployed, tested, a workspace opened, people told."""
        self.say(f"\nPush {SMOOTH}: it is to be merged, deployed to {TARGET}, tested and handed to testers.")
        execution, took = self._push(SMOOTH, "Welcome back to the shop\n", "Greet people who come back")
        _expect(execution, "completed")
        tests = sum(_took(step) for step in execution["actions"] if step["type"] == "run_tests")
        self.say(f"  From the push to the end {took:.1f} s, {tests:.1f} s of it the tests.")
        self.say(f"\nWhy it fired (`dct explain {TRIGGER}`):\n  {self.show.why(TRIGGER, SMOOTH)}")
        return execution | {"push_to_end_seconds": took, "test_seconds": tests}

    def clash(self) -> dict[str, Any]:
        """A branch that conflicts with what the first one brought: an explained failure."""
        self.say(f"\nPush {CLASH}, which changes the same line: the merge must fail and name the file.")
        execution, _ = self._push(CLASH, "Welcome to the shop, 10 percent off\n", "Announce the discount")
        _expect(execution, "failed")
        if self.file not in str(execution["error_message"]):
            raise DemoFailed(f"the failure does not name {self.file}: {execution['error_message']}")
        why = self.show.why(CAREFUL_TRIGGER, CLASH)
        self.say(f"\nWhy another trigger did not fire at all (`dct explain {CAREFUL_TRIGGER}`):\n  {why}")
        return execution

    def mended(self) -> dict[str, Any]:
        """The developer merges the target in and pushes again: the same way, now to its end."""
        self.say(f"\nPush the fix: {TARGET} merged into {CLASH}.")
        greeting = "Welcome back to the shop, 10 percent off\n"
        execution, _ = self._push(CLASH, greeting, "Keep both greetings", merge=TARGET)
        _expect(execution, "completed")
        return execution

    def _push(
        self, branch: str, content: str, message: str, *, merge: str | None = None
    ) -> tuple[dict[str, Any], float]:
        since, begun = datetime.now(UTC), time.monotonic()
        self.stage.push(branch, {self.file: content}, message, merge=merge)
        execution = self.show.follow(TRIGGER, branch, since)
        ended = execution["completed_at"]
        return execution, seconds(since, ended) if ended else time.monotonic() - begun


def _expect(execution: Mapping[str, Any], status: str) -> None:
    if execution["status"] != status:
        why = execution["error_message"] or "it says nothing"
        raise DemoFailed(f"the execution is {execution['status']}, not {status}: {why}")


def _took(step: Mapping[str, Any]) -> float:
    return seconds(step.get("started_at"), step.get("ended_at"))
