"""`python -m benchmarks.backlog`: what dispatching and looking cost while very much waits.

Fills a fresh embedded database by SQL and measures, in one run: passes that hand over fifty each, passes
while nothing may start, passes beside a trigger that holds back most of what waits, and behind one very long
line, and while the planner still believes that nobody waits; an idle pass; `dct status`, as a function and
as a whole command; what Prometheus scrapes. CPU seconds are those of this process and of the database's.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text

import dct_pipelines
from dct_pipelines.bootstrap import App, build
from dct_pipelines.bootstrap.observed import exposition_of
from dct_pipelines.settings import load_settings

PROJECT = Path(dct_pipelines.__file__).parent.parent
JOB = "notify_users"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

_WORLD = """
INSERT INTO dct.connections (id, name, kind, created_by)
VALUES (gen_random_uuid(), 'bench', 'git', 'bench');
INSERT INTO dct.context_library (name, kind, connection_id, location, created_by)
SELECT 'item-' || n, 'git_repository', c.id, '/srv/' || n, 'bench'
FROM dct.connections AS c, generate_series(1, 10) AS n;
INSERT INTO dct.dynamic_context_triggers
    (name, status, priority, trigger_type, job_name, active_since, created_by)
SELECT 'trigger-' || n, 'active', 1 + n % 10, 'development', '{job}', now(), 'bench'
FROM generate_series(1, {triggers}) AS n;
"""
_WAITING = """
INSERT INTO dct.trigger_executions (
    trigger_id, item_id, connection_id, subject, line_order, triggered_by, created_by, priority, job_name,
    actions, resource_limits, context_snapshot, created_at, waits_since
)
SELECT t.id, i.id, i.connection_id, 'subject-' || (CASE WHEN :line THEN 0 ELSE n / :depth END), n, 'event',
    'trigger', t.priority, :job,
    jsonb_build_array(jsonb_build_object('type', :job, 'name', :job, 'config', jsonb_build_object(
        'channels', jsonb_build_array(jsonb_build_object('channel', 'outbox')), 'text', repeat('x', 300)))),
    CAST(:limits AS jsonb), jsonb_build_object('event', jsonb_build_object('text', repeat('y', 500))),
    at, at
FROM generate_series(1, :count) AS n
CROSS JOIN LATERAL (SELECT now() - (:count - n) * interval '10 ms' AS at) AS fired
JOIN dct.dynamic_context_triggers AS t ON t.name = 'trigger-' || (:first + n % :triggers)
JOIN dct.context_library AS i ON i.name = 'item-' || (1 + n % 10)
"""


@dataclass(frozen=True)
class Costs:
    """What many turns of the same took: seconds of wall time, and of this process and the database."""

    walls: list[float]
    cpu_seconds: float

    def told(self) -> dict[str, float]:
        """Milliseconds: the middle, the 95th of a hundred, and CPU for each turn."""
        ordered = sorted(self.walls)
        return {
            "p50_ms": round(1000 * statistics.median(ordered), 2),
            "p95_ms": round(1000 * ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 2),
            "cpu_ms": round(1000 * self.cpu_seconds / len(ordered), 2),
        }


@dataclass(frozen=True)
class Bench:
    """A database of its own with triggers; each figure fills it anew."""

    app: App
    triggers: int
    repeats: int

    def fill(
        self,
        count: int,
        *,
        first: int = 1,
        triggers: int = 0,
        depth: int = 2,
        line: bool = False,
        analyze: bool = True,
    ) -> None:
        """Make so many executions wait, of these triggers, `depth` a line or all of them in one."""
        from dct_pipelines.domain.trigger import ResourceLimits

        values = {
            "count": count,
            "first": first,
            "triggers": triggers or self.triggers,
            "depth": depth,
            "line": line,
            "job": JOB,
            "limits": ResourceLimits().model_dump_json(),
        }
        self.run(_WAITING, **values)
        if analyze:
            self.analyze()

    def analyze(self) -> None:
        """Have the planner know what there is."""
        with self.app.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM (ANALYZE) dct.trigger_executions"))

    def fill_unseen(self, count: int) -> None:
        """The same in one insert, after the planner has learnt of many executions of which none waits."""
        self.run("ALTER TABLE dct.trigger_executions SET (autovacuum_enabled = off)")
        self.fill(count, analyze=False)
        self.run("UPDATE dct.trigger_executions SET status = 'completed', completed_at = now()")
        self.analyze()
        self.fill(count, analyze=False)

    def run(self, statement: str, **values: object) -> None:
        """Run SQL."""
        with self.app.database.begin() as connection:
            connection.execute(text(statement), values)

    def ask(self) -> None:
        """The cheapest question there is, in a transaction: what a round costs on this machine now."""
        with self.app.database.begin() as connection:
            connection.execute(text("SELECT 1"))

    def clear(self) -> None:
        """Nothing waits or runs any more."""
        self.run("TRUNCATE dct.trigger_executions CASCADE")
        self.run("UPDATE dct.dynamic_context_triggers SET status = 'active'")

    def passes(self, limit: int, *, ends: bool = True) -> Costs:
        """Passes that may hand over `limit` each; what they hand over has ended before the next."""
        self.app.dispatcher.dispatch(frozenset({JOB}), 0)

        def one() -> None:
            self.app.dispatcher.dispatch(frozenset({JOB}), limit)

        return self.measured(one, self.end if ends else None)

    def scrapes(self) -> Costs:
        """What Prometheus asks, each answer read anew."""
        return self.measured(lambda: exposition_of(self.app, None, in_haste=True).text())

    def end(self) -> None:
        """Everything that was handed over is done."""
        self.run("UPDATE dct.trigger_executions SET status = 'completed' WHERE status = 'dispatched'")

    def measured(self, work: Callable[[], object], between: Callable[[], object] | None = None) -> Costs:
        """Run it many times; the first one, and what comes between, are not counted."""
        with self.app.database.connect() as connection:
            mine = connection.scalars(
                text("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
            )
            servers = mine.all()
        work()
        if between is not None:
            between()
        walls, cpu = [], 0.0
        for _ in range(self.repeats):
            wall, used = time.perf_counter(), _cpu(servers)
            work()
            walls.append(time.perf_counter() - wall)
            cpu += _cpu(servers) - used
            if between is not None:
                between()
        return Costs(walls, cpu)


def figures(waiting: int, triggers: int = 50, repeats: int = 30) -> dict[str, object]:
    """Every figure, in milliseconds."""
    with _bench(triggers, repeats) as bench:
        bench.clear()
        question = bench.measured(bench.ask)
        idle = bench.measured(lambda: bench.app.dispatcher.dispatch(frozenset({JOB}), 50))
        bench.fill(waiting)
        fifty = bench.passes(50)
        function = bench.measured(bench.app.status_by(None).status)
        command = _command(bench)
        bench.clear()
        bench.fill(waiting)
        bench.run("UPDATE dct.dynamic_context_triggers SET status = 'paused'")
        nothing = bench.passes(50)
        bench.clear()
        bench.fill(waiting * 9 // 10, triggers=1)
        bench.run("UPDATE dct.dynamic_context_triggers SET status = 'paused' WHERE name = 'trigger-1'")
        bench.fill(waiting // 10, first=2, triggers=triggers - 1)
        beside = bench.passes(50)
        bench.clear()
        bench.fill(waiting * 9 // 10, triggers=1, line=True)
        bench.fill(waiting // 10, triggers=1, first=1)
        long_line = bench.passes(50)
        bench.clear()
        bench.fill_unseen(waiting)
        unseen = bench.passes(50)
        bench.clear()
        bench.fill(waiting // 5)
        scrape = bench.scrapes()
    handed = fifty.told()
    return {
        "waiting": waiting,
        "triggers": triggers,
        "select_1_for_comparison": question.told(),
        "idle_pass": idle.told(),
        "pass_handing_over_50": handed,
        "cpu_ms_per_execution": round(handed["cpu_ms"] / 50, 3),
        "pass_with_nothing_that_may_start": nothing.told(),
        "pass_handing_over_50_beside_a_paused_trigger_with_most": beside.told(),
        "pass_handing_over_50_behind_one_long_line": long_line.told(),
        "pass_handing_over_50_before_any_analyze": unseen.told(),
        "scrape_with_a_fifth_waiting": scrape.told(),
        "status": function.told(),
        "status_command_seconds": command,
        "machine": {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 2)},
    }


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waiting", type=int, default=50_000)
    parser.add_argument("--triggers", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--json", action="store_true", help="JSON instead of lines.")
    asked = parser.parse_args()
    found = figures(asked.waiting, asked.triggers, asked.repeats)
    lines = (f"{name.replace('_', ' ')}: {value}" for name, value in found.items())
    sys.stdout.write((json.dumps(found, indent=2) if asked.json else "\n".join(lines)) + "\n")
    return 0


@contextmanager
def _bench(triggers: int, repeats: int) -> Iterator[Bench]:
    root = Path(tempfile.mkdtemp(prefix="dct-bench-"))
    root.chmod(0o755)
    shutil.copy(PROJECT / "dagster.yaml", root)
    app = build(load_settings({"DAGSTER_HOME": str(root)})).ready()
    try:
        with app.database.begin() as connection:
            connection.execute(text(_WORLD.format(job=JOB, triggers=triggers)))
        yield Bench(app, triggers, repeats)
    finally:
        app.database.dispose()
        if app.database.embedded is not None:
            app.database.embedded.stop()
        shutil.rmtree(root, ignore_errors=True)


def _command(bench: Bench) -> float:
    """Seconds of the whole `dct status --json`, the middle of three."""
    environment = os.environ | {"DAGSTER_HOME": str(bench.app.settings.project_root)}
    walls = []
    for _ in range(3):
        begun = time.perf_counter()
        command = [str(Path(sys.executable).with_name("dct")), "status", "--json"]
        subprocess.run(command, env=environment, capture_output=True, check=False)
        walls.append(time.perf_counter() - begun)
    return round(statistics.median(walls), 2)


def _cpu(servers: Sequence[int]) -> float:
    """CPU seconds of this process and of these of the database."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    ticks = 0
    for server in servers:
        fields = Path(f"/proc/{server}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return usage.ru_utime + usage.ru_stime + ticks / TICKS_PER_SECOND


if __name__ == "__main__":
    sys.exit(main())
