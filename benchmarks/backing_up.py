"""`python -m benchmarks.backing_up`: what a backup costs, and whether anybody waits for it.

Fills a fresh embedded database by SQL with executions, results and events, then takes pages in, one after
the other, before a backup and while one is made, and restores it into another one. It prints JSON: seconds,
sizes, and what taking a page in took.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text

from benchmarks.backlog import _bench
from dct_pipelines.bootstrap import App
from dct_pipelines.domain.event import EventDraft
from dct_pipelines.domain.listener import Page
from dct_pipelines.domain.payloads import BranchCreated

_FILL = (
    """
    INSERT INTO dct.events (seq, connection_id, item_id, subject, kind, dedup_key, occurred_at, observed_at,
        payload, release)
    SELECT n, i.connection_id, i.id, 'refs/heads/' || n, 'branch_created', 'old-' || n, now(), now(),
        jsonb_build_object('kind', 'branch_created', 'branch', 'b' || n, 'text', repeat('y', 400)), '0'
    FROM generate_series(1, :events) AS n JOIN dct.context_library AS i ON i.name = 'item-' || (1 + n % 10)
    """,
    """
    INSERT INTO dct.trigger_executions (trigger_id, item_id, subject, status, triggered_by, created_by,
        job_name, actions, resource_limits, context_snapshot, attempt, started_at, completed_at)
    SELECT t.id, i.id, 'subject-' || n, 'completed', 'event', 'trigger', 'notify_users',
        jsonb_build_array(jsonb_build_object('type', 'notify_users', 'config', repeat('x', 300))), '{}',
        jsonb_build_object('event', jsonb_build_object('text', repeat('y', 500))), 1, now(), now()
    FROM generate_series(1, :executions) AS n
    JOIN dct.dynamic_context_triggers AS t ON t.name = 'trigger-' || (1 + n % 10)
    JOIN dct.context_library AS i ON i.name = 'item-' || (1 + n % 10)
    """,
    """
    INSERT INTO dct.action_results (execution_id, action_index, action_type, name, state, attempt,
        idempotency_key, config, outputs, started_at, ended_at)
    SELECT e.id, n, 'notify_users', 'step-' || n, 'done', 1, e.id || '-' || n, '{}',
        jsonb_build_object('text', repeat('z', 200)), now(), now()
    FROM dct.trigger_executions AS e, generate_series(0, 2) AS n
    """,
    "INSERT INTO dct.intake_order (id, next_seq) VALUES (1, :events + 1)",
)


@dataclass
class Intake:
    """Pages of one event, one after the other in a thread; `took` is how long each one did."""

    app: App
    took: list[float] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        with self.app.database.connect() as connection:
            found = text("SELECT id, connection_id FROM dct.context_library ORDER BY name LIMIT 1")
            self.item, self.connection = connection.execute(found).one()
        self.number = 0

    def page(self) -> None:
        self.number += 1
        name = f"new-{self.number}"
        draft = EventDraft(
            item_id=self.item,
            subject=f"refs/heads/{name}",
            dedup_key=name,
            occurred_at=self.app.outside.clock.now(),
            payload=BranchCreated(branch=name, head="a" * 40),
        )
        begun = time.perf_counter()
        self.app.intake.ingest(self.connection, Page(item_id=self.item, token={}, events=(draft,)))
        self.took.append(time.perf_counter() - begun)

    def during(self, work: Callable[[], object]) -> dict[str, float]:
        """What pages took while that was done."""
        self.took, self.stop = [], threading.Event()
        writer = threading.Thread(target=self._write)
        writer.start()
        try:
            work()
        finally:
            self.stop.set()
            writer.join()
        return _told(self.took)

    def _write(self) -> None:
        while not self.stop.wait(0.02):
            self.page()


def _told(took: list[float]) -> dict[str, float]:
    ordered = sorted(took)
    return {
        "pages": len(ordered),
        "p50_ms": round(1000 * statistics.median(ordered), 1),
        "p99_ms": round(1000 * ordered[int(0.99 * (len(ordered) - 1))], 1),
        "most_ms": round(1000 * ordered[-1], 1),
    }


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return round(time.perf_counter() - begun, 1)


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="Before the backup, for comparison.")
    given = parser.parse_args()
    told: dict[str, object] = {"executions": given.executions, "events": given.events}
    with tempfile.TemporaryDirectory() as directory, _bench(10, 1) as here, _bench(10, 1) as there:
        path = Path(directory) / "backup"
        with here.app.database.begin() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            for statement in _FILL:
                connection.execute(text(statement), vars(given))
        intake = Intake(here.app)
        told["pages_before"] = intake.during(lambda: time.sleep(given.seconds))

        def back_up() -> None:
            told["backup_seconds"] = _seconds(
                lambda: here.app.backups.make(path, "local", lambda _line: None)
            )

        told["pages_meanwhile"] = intake.during(back_up)
        told["backup_mib"] = round(path.stat().st_size / 2**20, 1)

        def restore() -> None:
            there.app.restoring.restore(path, "local", lambda _line: None, replace=True)

        told["restore_seconds"] = _seconds(restore)
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
