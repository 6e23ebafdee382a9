"""`python -m benchmarks.retention`: what retention costs those who work meanwhile.

Fills a fresh embedded database by SQL with ten months of events (with their keys, decisions, firings,
checks, executions, results, states and activity), has retention delete nine of them, and beside it hands
over and takes in ten times a second. `--layout months` is a deployment that has made its months one by one;
`--layout one` is one that was upgraded: everything lies in one partition, and the migration that makes it
one is measured too.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alembic import command
from sqlalchemy import text

import dct_pipelines
from dct_pipelines.bootstrap import App, build
from dct_pipelines.domain.retention import RetentionPolicy, month_of, next_month
from dct_pipelines.domain.trigger import ResourceLimits
from dct_pipelines.engine.maintenance import STEPS
from dct_pipelines.settings import load_settings
from dct_pipelines.store import months, partitions
from dct_pipelines.store.order import lock_order
from dct_pipelines.store.schema import alembic_config, migrate

PROJECT = Path(dct_pipelines.__file__).parent.parent
JOB = "notify_users"
MONTHS = 10
CHUNK = 100_000
BEFORE = "0005"
"""The last revision without partitions."""
DELETING = ("executions", "events", "snapshots", "keys", "traces")

_WORLD = """
INSERT INTO dct.connections (id, name, kind, created_by) VALUES (md5('c')::uuid, 'bench', 'git', 'bench');
INSERT INTO dct.context_library (id, name, kind, connection_id, location, created_by)
VALUES (md5('i')::uuid, 'item', 'git_repository', md5('c')::uuid, '/srv/item', 'bench');
INSERT INTO dct.dynamic_context_triggers
    (id, name, status, priority, trigger_type, job_name, active_since, created_by)
SELECT md5(name)::uuid, 'trigger ' || name, 'active', 5, 'development', '{job}', now(), 'bench'
FROM unnest(ARRAY['t', 'u', 'v']) AS name;
INSERT INTO dct.intake_order (id, next_seq) VALUES (1, 1000000000);
"""
_FILL = """
CREATE TEMP TABLE filled ON COMMIT DROP AS
SELECT n, md5('e' || n)::uuid AS event, md5('x' || n)::uuid AS execution,
    CAST(:begin AS timestamptz) + n * CAST(:step AS interval) AS at
FROM generate_series(CAST(:first AS bigint), :last) AS n;
INSERT INTO dct.events (id, seq, connection_id, item_id, subject, kind, dedup_key, occurred_at, observed_at,
    payload, release)
SELECT event, n, md5('c')::uuid, md5('i')::uuid, 'subject ' || n % 10000, 'branch_assessed', 'k' || n,
    at, at, jsonb_build_object('branch', n % 10000, 'text', repeat('y', 300)), '0.5.0'
FROM filled;
INSERT INTO dct.event_keys (connection_id, dedup_key, event_id, created_at)
SELECT md5('c')::uuid, 'k' || n, event, at FROM filled;
INSERT INTO dct.snapshots (item_id, subject, from_seq, to_seq, state, observed_at)
SELECT md5('i')::uuid, 'refs/heads/feature/' || n, n, n + 10000, jsonb_build_object('head', md5('h' || n)), at
FROM filled WHERE n % 10 = 0;
INSERT INTO dct.trigger_executions (id, trigger_id, event_id, item_id, connection_id, subject, line_order,
    status, triggered_by, created_by, job_name, actions, resource_limits, context_snapshot, created_at,
    waits_since, first_dispatched_at, started_at, completed_at, attempt)
SELECT execution, md5('t')::uuid, event, md5('i')::uuid, md5('c')::uuid, 'subject ' || n % 10000, n,
    'completed', 'event', 'trigger', :job, jsonb_build_array(jsonb_build_object('type', :job)),
    CAST(:limits AS jsonb), jsonb_build_object('event', jsonb_build_object('text', repeat('y', 300))),
    at, at, at, at,
    at + interval '1 min', 1
FROM filled WHERE n % 50 = 0;
INSERT INTO dct.execution_attempts (execution_id, attempt, state, dispatched_at, ended_at)
SELECT execution, 1, 'succeeded', at, at + interval '1 min' FROM filled WHERE n % 50 = 0;
INSERT INTO dct.action_results (execution_id, action_index, action_type, name, state, attempt,
    idempotency_key, started_at)
SELECT execution, place, :job, :job, 'done', 1, execution || ':' || place, at
FROM filled, generate_series(0, 1) AS place WHERE n % 50 = 0;
INSERT INTO dct.decisions (event_id, trigger_id, trigger_version, outcome, because, once_key, execution_id,
    release, decided_at)
SELECT event, md5('t')::uuid, 1, 'fired', 'it was so', 'change ' || n, execution, '0.5.0', at
FROM filled WHERE n % 50 = 0;
INSERT INTO dct.trigger_firings (trigger_id, once_key, execution_id, created_at)
SELECT md5('t')::uuid, 'change ' || n, execution, at FROM filled WHERE n % 50 = 0;
INSERT INTO dct.trigger_firings (trigger_id, once_key, execution_id, created_at)
SELECT md5('u')::uuid, 'change ' || n, execution, at FROM filled WHERE n % 5 = 0;
INSERT INTO dct.decisions (event_id, trigger_id, trigger_version, outcome, because, once_key, release,
    decided_at)
SELECT event, md5(name)::uuid, 1, 'deduplicated', 'it had fired', 'change ' || 5 * (n % 10000), '0.5.0', at
FROM filled, unnest(ARRAY['u', 'v']) AS name WHERE at >= CAST(:kept AS timestamptz);
INSERT INTO dct.snapshots (item_id, subject, from_seq, state, observed_at)
SELECT md5('i')::uuid, 'refs/heads/now/' || n, n, jsonb_build_object('head', md5('h' || n)), at
FROM filled WHERE n % 500 = 0;
INSERT INTO dct.checks (repository_item_id, commit, name, state, reported_at)
SELECT md5('i')::uuid, md5('h' || n), 'unit', 'success', at FROM filled WHERE n % 10 = 0;
INSERT INTO dct.activity (at, kind, execution_id)
SELECT at, 'execution_completed', execution FROM filled WHERE n % 50 = 0
"""
_ARRIVE = """
INSERT INTO dct.events (id, seq, connection_id, item_id, subject, kind, dedup_key, occurred_at, observed_at,
    release)
VALUES (md5('e' || :n)::uuid, :n, md5('c')::uuid, md5('i')::uuid, 's' || :n, 'branch_created', 'k' || :n,
    now(), now(), '0.5.0');
INSERT INTO dct.decisions (event_id, trigger_id, trigger_version, outcome, because, once_key, execution_id,
    release)
VALUES (md5('e' || :n)::uuid, md5('t')::uuid, 1, 'fired', '', 'change ' || :n, md5('x' || :n)::uuid,
    '0.5.0');
INSERT INTO dct.trigger_executions (id, trigger_id, event_id, item_id, connection_id, subject, line_order,
    triggered_by, created_by, job_name, actions, resource_limits)
VALUES (md5('x' || :n)::uuid, md5('t')::uuid, md5('e' || :n)::uuid, md5('i')::uuid, md5('c')::uuid,
    's' || :n, :n, 'event', 'trigger', :job, '[]', CAST(:limits AS jsonb))
"""


@dataclass
class Beside:
    """Those who work meanwhile: milliseconds of each pass of the dispatcher and of each page taken in."""

    app: App
    number: int
    passes: list[float] = field(default_factory=list)
    pages: list[float] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def work(self) -> None:
        """Ten times a second, until told to stop."""
        limits = ResourceLimits().model_dump_json()
        self.app.dispatcher.dispatch(frozenset({JOB}), 0)  # the first one loads what it needs
        while not self._over.wait(0.1):
            self.number += 1
            begun = time.perf_counter()
            with self.app.database.begin() as connection:
                lock_order(connection)
                connection.execute(text(_ARRIVE), {"n": self.number, "job": JOB, "limits": limits})
            self.pages.append(_since(begun))
            begun = time.perf_counter()
            self.app.dispatcher.dispatch(frozenset({JOB}), 50)
            self.passes.append(_since(begun))
            with self.app.database.begin() as connection:
                done = "UPDATE dct.trigger_executions SET status = 'completed', completed_at = now()"
                connection.execute(text(f"{done} WHERE status = 'dispatched'"))

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """In a thread of its own."""
        thread = threading.Thread(target=self.work)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()


def figures(events: int, layout: str) -> dict[str, object]:
    """Every figure; times in seconds, those of passes and pages in milliseconds."""
    with _deployment(layout) as app:
        now = datetime.now(UTC)
        begin = month_of(now)
        for _ in range(MONTHS - 1):
            begin = month_of(begin - timedelta(days=1))
        if layout == "months":
            _make_months(app, begin, now)
        filling = _timed(lambda: _fill(app, events, begin, (now - begin) / (events + 1)))
        migrating = _timed(lambda: migrate(app.database))
        _run(app, "VACUUM ANALYZE")
        size = _size(app)
        idle, busy = Beside(app, 2_000_000_000), Beside(app, 3_000_000_000)
        with idle.at_work():
            time.sleep(10)
        kept_days = (now - month_of(now)).days
        maintenance = app.maintenance
        policy = RetentionPolicy(max(1, kept_days), max(1, kept_days))
        maintenance = replace(maintenance, retention=replace(maintenance.retention, policy=policy))
        with busy.at_work():
            begun = time.perf_counter()
            reports = [maintenance.run(step) for step in STEPS if step in DELETING]
            deleting = round(time.perf_counter() - begun, 1)
        with app.database.connect() as connection:
            left = connection.scalar(text("SELECT count(*) FROM dct.events WHERE seq <= :n"), {"n": events})
    return {
        "layout": layout,
        "events": events,
        "database_mb": size,
        "filling_seconds": filling,
        "migrating_seconds": migrating,
        "deleting_seconds": deleting,
        "deleted": {one.step: dict(one.deleted) | {"seconds": one.seconds} for one in reports},
        "notes": [note for one in reports for note in one.notes],
        "events_left": left,
        "events_deleted_percent": round(100 * (1 - (left or 0) / events), 1),
        "passes_before": _told(idle.passes),
        "passes_beside": _told(busy.passes),
        "pages_before": _told(idle.pages),
        "pages_beside": _told(busy.pages),
    }


def main() -> int:
    """Print the figures; 1 when a pass of the dispatcher took longer than a second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--layout", choices=("months", "one"), default="months")
    parser.add_argument("--json", action="store_true", help="JSON instead of lines.")
    asked = parser.parse_args()
    found = figures(asked.events, asked.layout)
    lines = (f"{name.replace('_', ' ')}: {value}" for name, value in found.items())
    sys.stdout.write((json.dumps(found, indent=2) if asked.json else "\n".join(lines)) + "\n")
    longest = found["passes_beside"]
    return int(isinstance(longest, dict) and longest["max_ms"] > 1000)


@contextmanager
def _deployment(layout: str) -> Iterator[App]:
    root = Path(tempfile.mkdtemp(prefix="dct-bench-"))
    root.chmod(0o755)
    shutil.copy(PROJECT / "dagster.yaml", root)
    app = build(load_settings({"DAGSTER_HOME": str(root), "DCT_STATEMENT_TIMEOUT_SECONDS": "600"}))
    try:
        with app.database.begin() as connection:
            connection.execute(text("CREATE SCHEMA dct"))
            command.upgrade(alembic_config(connection), BEFORE if layout == "one" else "head")
        _run(app, "ALTER SYSTEM SET max_wal_size = '4GB'")
        _run(app, "SELECT pg_reload_conf()")
        _run(app, _WORLD.format(job=JOB))
        yield app
    finally:
        app.database.dispose()
        if app.database.embedded is not None:
            app.database.embedded.stop()
        shutil.rmtree(root, ignore_errors=True)


def _make_months(app: App, begin: datetime, now: datetime) -> None:
    while begin < month_of(now):
        for payload in partitions.PAYLOADS:
            with app.database.begin() as connection:
                months.make(connection, payload, begin)
        begin = next_month(begin)


def _fill(app: App, events: int, begin: datetime, step: timedelta) -> None:
    values = {"begin": begin, "step": step, "kept": month_of(datetime.now(UTC)), "job": JOB}
    values |= {"limits": ResourceLimits().model_dump_json()}
    for first in range(1, events + 1, CHUNK):
        last = min(first + CHUNK - 1, events)
        with app.database.begin() as connection:
            # The rows are made to fit; to look up what each refers to would be most of the work.
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(text(_FILL), values | {"first": first, "last": last})


def _run(app: App, statement: str) -> None:
    with app.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(statement))


def _size(app: App) -> int:
    with app.database.connect() as connection:
        return int(connection.scalar(text("SELECT pg_database_size(current_database()) / 1000000")) or 0)


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return round(time.perf_counter() - begun, 1)


def _since(begun: float) -> float:
    return 1000 * (time.perf_counter() - begun)


def _told(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        "count": len(ordered),
        "p50_ms": round(statistics.median(ordered), 1),
        "p99_ms": round(ordered[int(0.99 * (len(ordered) - 1))], 1),
        "max_ms": round(ordered[-1], 1),
    }


if __name__ == "__main__":
    sys.exit(main())
