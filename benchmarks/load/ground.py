"""The ground of a load benchmark: a project of its own, source and sink, triggers, and what runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import create_engine

import dct_pipelines
from benchmarks.load.tree import Tree
from dct_pipelines.settings import Settings, load_settings
from dct_pipelines.store.database import Database
from dct_pipelines.store.embedded import EmbeddedPostgres

SOURCE = Path(dct_pipelines.__file__).parent.parent
PLUGINS = Path(__file__).parent / "plugins"
READY_SECONDS = 180
STOP_SECONDS = 60
ACTIONS = ("first", "second", "third")
DATABASE_SETTINGS = "track_commit_timestamp = on\n"
"""So that the database itself says when a page of events was committed; costs 12 bytes a transaction."""
STOCK: Mapping[str, Mapping[str, Any] | None] = {
    "run_launcher": None,
    "run_coordinator": {
        "module": "dagster._core.run_coordinator.queued_run_coordinator",
        "class": "QueuedRunCoordinator",
        "config": {
            "max_concurrent_runs": 10,
            "dequeue_interval_seconds": 1,
            "dequeue_use_threads": True,
            "dequeue_num_workers": 2,
        },
    },
}
"""Sections of dagster.yaml for Dagster's own launcher and queue, as this project had them before its own."""
PATIENT = {"retry": {"max_attempts": 60, "backoff_seconds": 1}}
"""However often it is killed, an execution tries again."""
Say = Callable[[str], None]


class Outside:
    """The process with source and sink, as the harness speaks to it."""

    def __init__(self, items: int, statuses: int) -> None:
        module = ("-m", "benchmarks.load.outside", "--items", str(items), "--statuses", str(statuses))
        self.process = subprocess.Popen(
            [sys.executable, *module], stdout=subprocess.PIPE, text=True, cwd=SOURCE
        )
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().strip()}"

    def ask(self, what: str, method: str = "GET") -> Any:
        """The answer to one request, parsed."""
        with urllib.request.urlopen(
            urllib.request.Request(f"{self.url}/{what}", method=method), timeout=60
        ) as answer:
            return json.load(answer)

    def change(self, count: int) -> None:
        """The next items change now."""
        self.ask(f"change?count={count}", "POST")

    def counts(self) -> dict[str, int]:
        """`reads` of the source; `posts` and distinct `keys` at the sink."""
        found: dict[str, int] = self.ask("counts")
        return found

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.wait(STOP_SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()


@dataclass(frozen=True)
class Ground:
    """Where a benchmark happens. `tree` is the deployment's processes, without source and sink."""

    settings: Settings
    outside: Outside
    database: Database
    server: EmbeddedPostgres
    tree: Tree
    triggers: int


@contextmanager
def ground(triggers: int, *, is_stock: bool = False, ui: bool = False, say: Say) -> Iterator[Ground]:
    """A running deployment with so many triggers, ended and thrown away afterwards.

    `is_stock` runs the same project on Dagster's own daemon, queue and launcher.
    """
    root = Path(tempfile.mkdtemp(prefix="dct-load-"))
    outside = Outside(items=max(triggers, 200), statuses=triggers)
    tree = Tree(apart=[outside.process.pid])
    settings = load_settings({"DAGSTER_HOME": str(root)})
    server = EmbeddedPostgres(settings.home)
    try:
        _lay(root, outside.url, triggers, is_stock, server)
        command = ["dct_pipelines.cli.main", "up", "--json", *([] if ui else ["--no-ui"])]
        if is_stock:
            command = ["dagster._daemon", "run", "--workspace", str(root / "workspace.yaml")]
        with _running(root, command, outside):
            database = Database(create_engine(server.ensure(), pool_pre_ping=True), None)
            say(f"{'stock Dagster' if is_stock else 'dct up'} is ready, {triggers} triggers")
            try:
                yield Ground(settings, outside, database, server, tree, triggers)
            finally:
                database.dispose()
    finally:
        outside.stop()
        server.discard()
        shutil.rmtree(root, ignore_errors=True)


def _lay(root: Path, url: str, triggers: int, is_stock: bool, server: EmbeddedPostgres) -> None:
    """Make the project and apply the manifests; leaves the database down, to start with its settings."""
    root.chmod(0o755)
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(SOURCE / name, root / name)
    if is_stock:
        (root / "dagster.yaml").write_text(stock_configuration((root / "dagster.yaml").read_text()))
    path = root / "manifests.yaml"
    path.write_text(yaml.safe_dump_all(manifests(url, triggers), sort_keys=False))
    done = subprocess.run(
        [sys.executable, "-m", "dct_pipelines.cli.main", "apply", "-f", str(path)],
        check=False,
        capture_output=True,
        text=True,
        env=_environment(root),
    )
    if done.returncode:
        raise SystemExit(f"dct apply failed:\n{done.stderr or done.stdout}")
    data = server.status().data
    assert data is not None
    (data / "dct.conf").write_text(DATABASE_SETTINGS)
    (data / "dct.conf").chmod(0o644)
    server.stop()


def stock_configuration(text: str) -> str:
    """dagster.yaml with Dagster's own launcher and queue; storage and logs stay, which only favours it."""
    found = yaml.safe_load(text)
    for name, section in STOCK.items():
        found.pop(name, None)
        if section is not None:
            found[name] = section
    return yaml.safe_dump(found, sort_keys=False)


def manifests(url: str, triggers: int) -> list[dict[str, Any]]:
    """Source, sink, and the triggers: the change to status `sN` fires trigger N, which posts three times."""
    message = {"channels": [{"channel": "sink"}], "subject": "changed", "text": "{{ item.name }} changed"}
    steps = [{"type": "notify_users", "name": name, "config": message} for name in ACTIONS]
    return [
        {
            "kind": "connection",
            "name": "source",
            "type": "benchsource",
            "base": url,
            "allow_private_network": True,
            "busy_interval_seconds": 2,
        },
        {"kind": "item", "name": "all", "type": "jira_query", "connection": "source", "location": "all"},
        {
            "kind": "channel",
            "name": "sink",
            "type": "webhook",
            "url": f"{url}/hook",
            "allow_private_network": True,
        },
        *(
            {
                "kind": "trigger",
                "name": f"trigger-{number}",
                "items": ["all"],
                "conditions": [{"type": "status_change", "config": {"to_status": f"s{number}"}}],
                "actions": steps,
                "limits": PATIENT,
            }
            for number in range(triggers)
        ),
    ]


def _environment(root: Path) -> dict[str, str]:
    paths = (str(SOURCE), str(PLUGINS), os.environ.get("PYTHONPATH", ""))
    return os.environ | {"DAGSTER_HOME": str(root), "PYTHONPATH": os.pathsep.join(filter(None, paths))}


@contextmanager
def _running(root: Path, command: list[str], outside: Outside) -> Iterator[None]:
    """Run it for the block, from the moment at which it has read the source."""
    log = root / "stack.log"
    with log.open("wb") as output:
        stack = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(root),
            cwd=root,
        )
        try:
            until, reads = time.monotonic() + READY_SECONDS, outside.counts()["reads"]
            while outside.counts()["reads"] == reads:
                if stack.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"the stack does not read the source:\n{log.read_text()[-4000:]}")
                time.sleep(0.2)
            yield
        finally:
            stack.terminate()
            try:
                stack.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                stack.kill()
                stack.wait()
