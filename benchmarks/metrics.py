"""`python -m benchmarks.metrics`: what computing the metrics costs on very many executions.

Fills a fresh embedded database by SQL (executions of 90 days with their attempts, three actions and one event
each) and measures: a full rebuild of every table, hours and days side by side, right after the filling, when
nothing is known of the tables; the same one by one, and as Dagster's runs with files and events; one hour of
all tables; the same numbers by statements that select and keep nothing; and what memory processes took.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

import dct_pipelines
from benchmarks.metrics_runs import runs
from dct_pipelines.bootstrap import App, build
from dct_pipelines.domain.metrics import Grain, Span
from dct_pipelines.settings import load_settings
from dct_pipelines.store.metrics.base import Metric
from dct_pipelines.store.metrics.catalog import METRICS
from dct_pipelines.store.metrics.refreshing import MEMORY
from dct_pipelines.store.schema import optimize

PROJECT = Path(dct_pipelines.__file__).parent.parent
DAYS = 90
_WORLD = """
INSERT INTO dct.connections (name, kind, created_by, created_at)
SELECT 'connection-' || n, (ARRAY['git', 'jira', 'slack', 'github'])[n], 'bench', :since
FROM generate_series(1, 4) AS n;
INSERT INTO dct.context_library (name, kind, connection_id, location, created_by)
SELECT 'item-' || n, 'git_repository', c.id, '/srv/' || n, 'bench'
FROM generate_series(1, 40) AS n JOIN dct.connections AS c ON c.name = 'connection-' || (1 + n % 4);
INSERT INTO dct.dynamic_context_triggers
    (name, status, priority, trigger_type, job_name, active_since, created_by)
SELECT 'trigger-' || n, 'active', 1 + n % 10,
    (ARRAY['development', 'testing', 'deployment', 'business'])[1 + n % 4], 'job', :since, 'owner-' || n % 12
FROM generate_series(1, :triggers) AS n;
INSERT INTO dct.environments (name, branch, created_by)
SELECT name, name, 'bench' FROM unnest(ARRAY['qa', 'staging', 'uat', 'production']) AS name;
INSERT INTO dct.connection_reads (connection_id, hour, outcome, reads, longest_gap_seconds)
SELECT c.id, hour, outcome, 60, 70
FROM dct.connections AS c, generate_series(:since, :until, interval '1 hour') AS hour,
    unnest(ARRAY['ok', 'unreachable']) AS outcome;
"""
_EVENTS = """
INSERT INTO dct.events (
    seq, connection_id, item_id, subject, kind, dedup_key, occurred_at, observed_at, payload, release
)
SELECT n, i.connection_id, i.id, 'subject-' || n / 20, 'status_changed', 'key-' || n, at,
    at + random() * interval '20 s', jsonb_build_object('text', repeat('x', 300)), '0'
FROM generate_series(1, :count) AS n
CROSS JOIN LATERAL (SELECT :since + (:until - :since) * n / :count AS at) AS happened
JOIN dct.context_library AS i ON i.name = 'item-' || (1 + n / 20 % 40);
INSERT INTO dct.event_keys (connection_id, dedup_key, event_id, created_at)
SELECT connection_id, dedup_key, id, observed_at FROM dct.events;
"""
_EXECUTIONS = """
INSERT INTO dct.trigger_executions (
    trigger_id, event_id, item_id, connection_id, subject, line_order, triggered_by, created_by, job_name,
    actions, context_snapshot, created_at, waits_since, first_dispatched_at, dispatched_at, started_at,
    completed_at, status, attempt, agents, error_message, metrics
)
SELECT t.id, v.id, v.item_id, v.connection_id, v.subject, v.seq, 'event', 'trigger', 'job',
    jsonb_build_array(jsonb_build_object('type', 'merge_branches', 'name', 'm', 'config', repeat('x', 300))),
    jsonb_build_object('event', jsonb_build_object('text', repeat('y', 500))), at, at,
    at + waited, at + waited, at + waited + interval '200 ms', at + waited + took,
    CASE WHEN v.seq % 20 = 0 THEN 'failed' WHEN v.seq % 97 = 0 THEN 'cancelled' ELSE 'completed' END,
    1 + CAST(v.seq % 30 = 0 AS int), CAST(v.seq % 8 = 0 AS int),
    CASE WHEN v.seq % 20 = 0 THEN 'exit ' || v.seq % 7 || ' of "job ' || v.seq || '" in /srv/' || v.seq END,
    CASE WHEN v.seq % 5 = 0 THEN jsonb_build_object('waited_for', 'run_slots') ELSE '{}' END
FROM dct.events AS v
CROSS JOIN LATERAL (
    SELECT v.observed_at + interval '40 ms' AS at, random() * random() * interval '600 s' AS waited,
        random() * random() * interval '900 s' + interval '1 s' AS took
) AS chance
JOIN dct.dynamic_context_triggers AS t ON t.name = 'trigger-' || (1 + v.seq % :triggers)
ORDER BY v.seq;
INSERT INTO dct.execution_attempts (execution_id, attempt, state, dispatched_at, started_at, ended_at)
SELECT id, attempt, 'succeeded', dispatched_at, started_at, completed_at FROM dct.trigger_executions;
"""
_RESULTS = """
INSERT INTO dct.action_results (
    execution_id, action_index, action_type, name, state, attempt, idempotency_key, config, summary, outputs,
    started_at, ended_at
)
SELECT e.id, k, (ARRAY['merge_branches', 'deploy_environment', 'update_ticket'])[k + 1], 'step', CASE
        WHEN e.status = 'failed' AND k = 2 THEN 'failed' ELSE 'done' END,
    e.attempt, e.id || '-' || k, jsonb_build_object('text', repeat('z', 200)), repeat('s', 40),
    jsonb_build_object('changed', jsonb_build_array('Open → In QA')),
    e.started_at + (e.completed_at - e.started_at) * k / 3,
    e.started_at + (e.completed_at - e.started_at) * (k + 1) / 3
FROM dct.trigger_executions AS e CROSS JOIN generate_series(0, 2) AS k;
INSERT INTO dct.deployments (
    environment_id, environment, commit, branch, state, execution_id, started_at, ended_at
)
SELECT n.id, n.name, md5(CAST(e.id AS text)), n.branch,
    CASE WHEN random() < 0.1 THEN 'failed' ELSE 'succeeded' END, e.id, e.started_at, e.completed_at
FROM dct.trigger_executions AS e
JOIN dct.environments AS n ON n.name = (ARRAY['qa', 'staging', 'uat', 'production'])[1 + e.line_order % 4]
WHERE e.line_order % 20 = 7;
INSERT INTO dct.workspaces (
    title, repository_item_id, branch, start_commit, directory, state, execution_id, created_at, updated_at
)
SELECT 'w', item_id, 'b', 'c', 'd', 'archived', id, started_at, started_at + random() * interval '20 h'
FROM dct.trigger_executions WHERE line_order % 500 = 3;
"""
_PLAIN = """
SELECT date_trunc(:grain, e.completed_at, 'UTC'), {by}, count(*),
    count(*) FILTER (WHERE e.status = 'completed'),
    count(*) FILTER (WHERE e.status = 'failed'), count(*) FILTER (WHERE e.attempt > 1),
    avg(date_part('epoch', {end} - {begin})), percentile_cont(ARRAY[0.5, 0.95, 0.99])
    WITHIN GROUP (ORDER BY date_part('epoch', {end} - {begin}))
FROM dct.trigger_executions AS e
LEFT JOIN dct.dynamic_context_triggers AS t ON t.id = e.trigger_id
LEFT JOIN dct.connections AS c ON c.id = e.connection_id {more}
WHERE e.completed_at >= :since AND e.completed_at < :until GROUP BY 1, 2
"""
"""What an analyst would write for `execution_metrics`, once for each dimension."""
_DIMENSIONS = ("CAST('all' AS text)", "t.name", "t.trigger_type", "c.kind", "t.created_by")
_INDEXES = """
SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid
WHERE relnamespace = 'dct'::regnamespace AND NOT relispartition
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""
"""Rebuilt when all is there, which takes a fraction of the time; references are not looked at either."""


def fill(app: App, count: int, span: Span, triggers: int) -> None:
    """Make the facts, all within the span."""
    values = {"since": span.since, "until": span.until, "count": count, "triggers": triggers}
    with app.database.begin() as connection:
        for name in connection.scalars(text(_INDEXES)).all():
            connection.execute(text(f"DROP INDEX dct.{name}"))
    for statements in (_WORLD, _EVENTS, _EXECUTIONS, _RESULTS):
        with app.database.begin() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            for statement in filter(str.strip, statements.split(";\n")):
                named = {name: value for name, value in values.items() if f":{name}" in statement}
                connection.execute(text(statement), named)
    optimize(app.database)
    with app.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM (ANALYZE)"))
        connection.execute(text("CHECKPOINT"))
        connection.execute(text("RESET statement_timeout"))


def figures(count: int, triggers: int) -> dict[str, Any]:
    """Every figure, in seconds."""
    until = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    spans = {grain: Span(grain, until - timedelta(days=DAYS), until) for grain in Grain}
    with _deployment() as app:
        begun = time.perf_counter()
        fill(app, count, spans[Grain.DAY], triggers)
        filling = time.perf_counter() - begun
        begun = time.perf_counter()
        with ThreadPoolExecutor(len(spans)) as both:
            list(both.map(lambda span: _refreshed(app, span), spans.values()))
        whole = time.perf_counter() - begun
        hour = timedelta(hours=1)
        last = _refreshed(app, Span(Grain.HOUR, until - hour, until))
        middle = until - timedelta(days=DAYS // 2)
        old = _refreshed(app, Span(Grain.HOUR, middle, middle + hour))
        alone = {grain: _refreshed(app, span) for grain, span in spans.items()}
        memory = _memory(app)
        plain = {grain: _selected(app, span) for grain, span in spans.items()}
        as_runs = runs(app.settings.project_root, spans)
    one_by_one, selected = _sum(alone), _sum({g: one["statements"] for g, one in plain.items()})
    return {
        "executions": count,
        "action_results": 3 * count,
        "events": count,
        "filling_seconds": round(filling, 1),
        "full_rebuild_seconds": round(whole, 2),
        "one_by_one_seconds": one_by_one,
        "one_hour_seconds": round(sum(last.values()), 2),
        "one_old_hour_seconds": round(sum(old.values()), 2),
        "selecting_seconds": selected,
        "times_selecting": round(one_by_one / selected, 2),
        "execution_metrics_seconds": _sum({g: {"": one["execution_metrics"]} for g, one in alone.items()}),
        "execution_metrics_plain_seconds": _sum({g: {"": one["plain"]} for g, one in plain.items()}),
        "server_mib": memory,
        "as_runs": as_runs,
        "by_table": {grain.value: _rounded(one) for grain, one in alone.items()},
        "one_hour_by_table": _rounded(last),
        "machine": {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 2)},
    }


def _refreshed(app: App, span: Span) -> dict[str, float]:
    """Seconds of each table that has this grain."""
    tables = app.metrics.tables.values()
    return {
        table.name: app.metrics.refresh(table.name, span).seconds
        for table in tables
        if span.grain in table.grains
    }


def _selected(app: App, span: Span) -> dict[str, Any]:
    """Seconds of the same statements without keeping what they give, and of an analyst's plain ones."""
    spent: dict[str, Any] = {"statements": {}, "plain": 0.0}
    length = {"step": span.grain.length, "ageing_step": 300.0, "grain": span.grain.value}
    quotas = {"executions": 50, "agents": 100, "workspaces": 200}
    values = {"since": span.since, "until": span.until} | length | quotas
    with app.database.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text(f"SET LOCAL work_mem = '{MEMORY}'"))
        for name, metric in METRICS.items():
            if span.grain in metric.table.grains:
                spent["statements"][name] = _explained(connection, _statement(metric), values)
        for by in _DIMENSIONS:
            asked = _PLAIN.format(by=by, begin="e.started_at", end="e.completed_at", more="")
            spent["plain"] += _explained(connection, asked, values)
        more = "JOIN dct.action_results AS a ON a.execution_id = e.id"
        asked = _PLAIN.format(by="a.action_type", begin="a.started_at", end="a.ended_at", more=more)
        spent["plain"] += _explained(connection, asked, values)
    return spent


def _statement(metric: Metric) -> str:
    return metric.statement


def _explained(connection: Connection, statement: str, values: Mapping[str, Any]) -> float:
    """Seconds that the server took; nothing is sent here."""
    begun = time.perf_counter()
    connection.execute(text(f"EXPLAIN (ANALYZE, TIMING OFF) {statement}"), dict(values)).all()
    return time.perf_counter() - begun


def _memory(app: App) -> int:
    """The most MiB that a process of the server had, its share of the common buffers included."""
    with app.database.connect() as connection:
        pids = connection.scalars(
            text("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
        ).all()
    most = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
        most = max(most, *(int(line.split()[1]) for line in lines if line.startswith("VmHWM")))
    return round(most / 1024)


def _sum(by_grain: Mapping[Any, Mapping[str, float]]) -> float:
    return round(sum(sum(one.values()) for one in by_grain.values()), 2)


def _rounded(found: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in found.items()}


@contextmanager
def _deployment() -> Iterator[App]:
    root = Path(tempfile.mkdtemp(prefix="dct-bench-"))
    root.chmod(0o755)
    shutil.copy(PROJECT / "dagster.yaml", root)
    app = build(load_settings({"DAGSTER_HOME": str(root)})).ready()
    try:
        yield app
    finally:
        app.database.dispose()
        if app.database.embedded is not None:
            app.database.embedded.stop()
        shutil.rmtree(root, ignore_errors=True)


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--triggers", type=int, default=200)
    parser.add_argument("--json", action="store_true", help="JSON instead of lines.")
    asked = parser.parse_args()
    found = figures(asked.executions, asked.triggers)
    lines = (f"{name.replace('_', ' ')}: {value}" for name, value in found.items())
    sys.stdout.write((json.dumps(found, indent=2) if asked.json else "\n".join(lines)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
