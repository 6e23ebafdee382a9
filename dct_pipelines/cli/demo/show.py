"""The show: what a person sees of the demo, live while it happens and as a table afterwards."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dct_pipelines.bootstrap import App
from dct_pipelines.cli.output import STYLES, clean, span
from dct_pipelines.domain.errors import DctError
from dct_pipelines.domain.git_refs import branch_ref
from dct_pipelines.store.executions import listing

LOOK_EVERY_SECONDS = 0.3
PATIENCE_SECONDS = 150.0
ENDED = ("completed", "failed", "cancelled")


class DemoFailed(DctError):
    """The demo did not go as it should; the logs of its services say more."""


@dataclass(frozen=True)
class Show:
    """Follows executions on a console; as JSON, only the end is told."""

    app: App
    console: Console

    def follow(self, trigger: str, branch: str, since: datetime) -> dict[str, Any]:
        """Show the execution of `trigger` for a push to `branch` live until it has ended; returns it."""
        begun, found = time.monotonic(), None
        with Live(console=self.console, refresh_per_second=4, transient=True) as live:
            while time.monotonic() - begun < PATIENCE_SECONDS:
                found = self._find(trigger, branch, since)
                headline = Text(f"  {time.monotonic() - begun:4.0f} s  {_headline(found)}")
                live.update(Group(headline, _steps(found)))
                if found is not None and found["status"] in ENDED:
                    break
                time.sleep(LOOK_EVERY_SECONDS)
        if found is None or found["status"] not in ENDED:
            story = self.app.explainer.trigger(trigger, subject=branch_ref(branch), limit=3)
            why = " ".join([*story.advice, *(source.in_words(datetime.now(UTC)) for source in story.sources)])
            raise DemoFailed(
                f"nothing came of the push to {branch} within {PATIENCE_SECONDS:.0f} s. {why} "
                f"See {self.app.settings.home / 'log'}"
            )
        self.table(found)
        return found

    def table(self, execution: Mapping[str, Any]) -> None:
        """An execution with every action, how long it took and what came of it."""
        self.console.print(_steps(execution))
        took = seconds(execution["created_at"], execution["completed_at"])
        words = f"  {execution['status']} after {span(took)}"
        if execution["error_message"]:
            words += f": {clean(execution['error_message'])}"
        self.console.print(Text(words, style=STYLES.get(execution["status"], "")))

    def why(self, trigger: str, branch: str, *, kind: str = "branch_assessed") -> str:
        """The story of what a trigger decided about the latest event of a branch."""
        story = self.app.explainer.trigger(trigger, subject=branch_ref(branch), limit=10)
        for event in story.events:
            for decision in event.decisions:
                if event.event.kind == kind:
                    return decision.in_words()
        raise DemoFailed(f"no {kind} of {branch} was stored")

    def _find(self, trigger: str, branch: str, since: datetime) -> dict[str, Any] | None:
        with self.app.database.connect() as connection:
            for one in listing.latest(connection, status=None, trigger=trigger, limit=20):
                if one["subject"] == branch_ref(branch) and one["created_at"] > since:
                    return listing.show(connection, one["id"])
        return None


def seconds(start: datetime | None, end: datetime | None) -> float:
    """From one moment to the other; 0 while one is missing."""
    return (end - start).total_seconds() if start and end else 0.0


def _headline(execution: Mapping[str, Any] | None) -> str:
    if execution is None:
        return "waiting for the listener, which looks every 5 s"
    wait = execution["wait_reason"]
    return f"execution {str(execution['id'])[:8]} is {execution['status']}" + (f" ({wait})" if wait else "")


def _steps(execution: Mapping[str, Any] | None) -> Table:
    table = Table(box=None, padding=(0, 2), pad_edge=True, show_edge=False)
    for name in ("action", "state", "took", "result"):
        table.add_column(name, style="dim" if name == "took" else None, overflow="fold")
    for step in execution["actions"] if execution else ():
        state = step["state"]
        took = seconds(step.get("started_at"), step.get("ended_at"))
        result = clean(step.get("error_message") or step.get("summary"))
        table.add_row(
            step["name"],
            Text(state, style=STYLES.get(state, "dim")),
            span(took) if took else "",
            result,
        )
    return table
