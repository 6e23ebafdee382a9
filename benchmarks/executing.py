"""`python -m benchmarks.executing`: what one execution of three HTTP actions costs without Dagster.

Events are taken in by pages and fire triggers whose three actions post to a receiver each; every execution is
then claimed, performed and closed in this process, over a fresh embedded PostgreSQL. CPU is that of this
process and of every process of the database, but not that of the receiver.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import psutil
from sqlalchemy import text

import dct_pipelines
from benchmarks.receiving import receiving
from benchmarks.world import REPOSITORY, apply
from dct_pipelines.bootstrap import App, build
from dct_pipelines.domain.event import EventDraft
from dct_pipelines.domain.listener import Page
from dct_pipelines.domain.payloads import BranchAssessed
from dct_pipelines.engine.identity import RunIdentity
from dct_pipelines.settings import load_settings
from tests.support.repos import SampleRepository
from tests.support.statements import statements_to

PROJECT = Path(dct_pipelines.__file__).parent.parent
ACTIONS = 3
WARM_UP = 20
"""Executions before anything is measured: the first of each kind compile, connect and import."""


@dataclass
class Meter:
    """Measures what is done between `begin` and `end`."""

    app: App

    def begin(self) -> None:
        """Start anew."""
        self._wall, self._own, self._database = time.perf_counter(), _own_cpu(), self._database_cpu()

    def end(self, count: int) -> dict[str, object]:
        """The figures of one of `count`."""
        wall, own = time.perf_counter() - self._wall, _own_cpu() - self._own
        database = self._database_cpu() - self._database
        return {
            "own_cpu_ms": round(1000 * own / count, 2),
            "database_cpu_ms": round(1000 * database / count, 2),
            "cpu_ms": round(1000 * (own + database) / count, 2),
            "wall_ms": round(1000 * wall / count, 2),
        }

    def _database_cpu(self) -> float:
        server = self.app.database.embedded
        if server is None or (pid := server.pid()) is None:
            raise SystemExit("the embedded database is not there")
        postmaster = psutil.Process(pid)
        times = [one.cpu_times() for one in (postmaster, *postmaster.children(recursive=True))]
        # The last two are those of backends that have ended; only the postmaster has any.
        return sum(one.user + one.system for one in times) + times[0].children_user + times[0].children_system


def _own_cpu() -> float:
    times = os.times()
    return times.user + times.system


def main() -> int:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=300)
    parser.add_argument("--page", type=int, default=200, help="events in a page, each firing its own trigger")
    parser.add_argument("--profile", action="store_true", help="show where this process spends its time")
    parser.add_argument("--statements", action="store_true", help="list the statements of one execution")
    asked = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="dct-bench-"))
    root.chmod(0o755)
    try:
        with receiving() as url:
            figures = _figures(root, url, asked)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return 0


def _figures(root: Path, url: str, asked: argparse.Namespace) -> dict[str, object]:
    shutil.copy(PROJECT / "dagster.yaml", root)
    app = build(load_settings({"DAGSTER_HOME": str(root)})).ready()
    try:
        _apply(app, root, url, asked.page)
        meter = Meter(app)
        connection_id, item_id = _ids(app)
        pages = -(-(asked.executions + 2 * WARM_UP) // asked.page)
        _take_in(app, connection_id, item_id, asked.page, "warm-up")
        with statements_to(app.database) as of_page:
            _take_in(app, connection_id, item_id, asked.page, "counted")
        meter.begin()
        for number in range(pages):
            _take_in(app, connection_id, item_id, asked.page, f"page-{number}")
        intake = meter.end(pages * asked.page) | _sent(of_page, asked.page)
        _execute(app, WARM_UP)
        with statements_to(app.database) as of_executions:
            _execute(app, WARM_UP)
        runs = _dispatched(app, asked.executions)
        profile = cProfile.Profile(time.process_time)
        meter.begin()
        if asked.profile:
            profile.enable()
        for run in runs:
            _carry_out(app, run)
        profile.disable()
        executing = meter.end(len(runs)) | _sent(of_executions, WARM_UP)
        if asked.profile:
            stats = pstats.Stats(profile, stream=sys.stderr)
            stats.sort_stats("cumtime").print_stats(70).sort_stats("tottime").print_stats(30)
        if asked.statements:
            for statement, count in Counter(of_executions).most_common():
                sys.stderr.write(f"{count / WARM_UP:6.2f}  {' '.join(statement.split())[:150]}\n")
        with app.database.connect() as connection:
            completed = connection.scalar(
                text("SELECT count(*) FROM dct.trigger_executions WHERE status = 'completed'")
            )
    finally:
        app.executor.stop()
        app.database.dispose()
        if app.database.embedded is not None:
            app.database.embedded.stop()
    if completed != len(runs) + 2 * WARM_UP:
        raise SystemExit(f"{completed} executions were completed, not {len(runs) + 2 * WARM_UP}")
    return {
        "executions": len(runs),
        "actions": ACTIONS,
        "executing": executing,
        "events_in_a_page": asked.page,
        "intake_and_decision": intake,
        "machine": {
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
            "cpu_ms_of_a_million_additions": round(_yardstick(), 1),
        },
    }


def _sent(said: list[str], count: int) -> dict[str, object]:
    """Statements of one of `count`."""
    return {"statements": round(len(said) / count, 2)}


def _yardstick() -> float:
    """What this machine makes of plain Python now: CPU time grows with the load of its neighbours."""
    began, total = _own_cpu(), 0
    for number in range(5_000_000):
        total += number
    return (_own_cpu() - began) * 1000 / 5


def _ids(app: App) -> tuple[UUID, UUID]:
    with app.database.connect() as connection:
        row = connection.execute(text("SELECT connection_id, id FROM dct.context_library")).one()
    return row.connection_id, row.id


def _take_in(app: App, connection_id: UUID, item_id: UUID, events: int, head: str) -> None:
    drafts = [
        EventDraft(
            item_id=item_id,
            subject=f"refs/heads/feature/{number}",
            dedup_key=f"{head} {number}",
            occurred_at=app.outside.clock.now(),
            payload=BranchAssessed(
                branch=f"feature/{number}",
                head=f"{head}-{number}",
                target="qa",
                target_head="b" * 40,
                is_default_target=False,
                ahead=1,
                behind=0,
                merges_cleanly=True,
            ),
        )
        for number in range(events)
    ]
    report = app.intake.ingest(connection_id, Page(item_id=item_id, token={}, events=tuple(drafts)))
    if report.decided.fired != events:
        raise SystemExit(f"{report.decided.fired} of {events} events fired")


def _dispatched(app: App, count: int) -> list[RunIdentity]:
    """Runs of executions that were handed over, as the dispatcher leaves them."""
    with app.database.begin() as connection:
        rows = connection.execute(
            text(
                "WITH moved AS (UPDATE dct.trigger_executions SET status = 'dispatched', attempt = 1,"
                " dispatched_at = clock_timestamp() WHERE id IN (SELECT id FROM dct.trigger_executions"
                " WHERE status = 'waiting' ORDER BY created_at, id LIMIT :count) RETURNING id, attempt)"
                " INSERT INTO dct.execution_attempts (execution_id, attempt) SELECT id, attempt FROM moved"
                " RETURNING execution_id, attempt"
            ),
            {"count": count},
        ).all()
    return [RunIdentity(str(uuid4()), "job", row.execution_id, row.attempt) for row in rows]


def _execute(app: App, count: int) -> None:
    for run in _dispatched(app, count):
        _carry_out(app, run)


def _carry_out(app: App, run: RunIdentity) -> None:
    app.executor.claim(run)
    for index in range(ACTIONS):
        app.executor.perform(run, index, _say_nothing)
    app.executor.close(run)
    app.executor.release(run)


def _say_nothing(_line: str) -> None:
    """What an action says is not part of what is measured."""


def _apply(app: App, root: Path, url: str, triggers: int) -> None:
    SampleRepository.create(root / REPOSITORY).commit("main", {"README": "a sample\n"})
    hook = {"kind": "channel", "name": "hook", "type": "webhook", "url": url, "allow_private_network": True}
    message = {
        "channels": [{"channel": "hook"}],
        "subject": "{{ event.branch }} is ready",
        "text": "{{ trigger.name }} saw {{ event.head | short }}",
    }
    apply(app, root, triggers, [{"type": "notify_users", "config": message}] * ACTIONS, hook)


if __name__ == "__main__":
    sys.exit(main())
