"""`python -m benchmarks.listening`: one large repository with very many triggers.

Measures, in one run: a tick of the listener when nothing changed, against the bare `git ls-remote` that it
cannot do without; and a tick after many branches moved at once, until everything is decided and committed.
CPU seconds are those of this process and of the git processes that it waited for.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text

import dct_pipelines
from benchmarks.world import REPOSITORY, apply
from dct_pipelines.bootstrap import App, build
from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.settings import load_settings
from tests.support.repos import SampleRepository

PROJECT = Path(dct_pipelines.__file__).parent.parent
MESSAGE = {
    "type": "notify_users",
    "config": {"channels": [{"channel": "outbox"}], "subject": "ready", "text": "ready"},
}


@dataclass(frozen=True)
class Cost:
    """What something took."""

    wall_seconds: float
    cpu_seconds: float


def measured(work: Callable[[], object]) -> Cost:
    """Run it once."""
    wall, cpu = time.perf_counter(), _cpu()
    work()
    return Cost(time.perf_counter() - wall, _cpu() - cpu)


def _cpu() -> float:
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, whose))


def main() -> int:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--refs", type=int, default=10_000)
    parser.add_argument("--triggers", type=int, default=5_000)
    parser.add_argument("--moves", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="dct-bench-"))
    root.chmod(0o755)
    try:
        figures = _figures(root, asked.refs, asked.triggers, asked.moves, asked.repeats)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return 0


def _figures(root: Path, refs: int, triggers: int, moves: int, repeats: int) -> dict[str, object]:
    shutil.copy(PROJECT / "dagster.yaml", root)
    repository = SampleRepository.create(root / REPOSITORY)
    base = repository.commit("main", {"README": "a sample\n"})
    names = [f"feature/{number}" for number in range(refs - 2)]
    repository.branches([("qa", base), *((name, base) for name in names)])
    app = build(load_settings({"DAGSTER_HOME": str(root)})).ready()
    try:
        applying = measured(lambda: apply(app, root, triggers, [MESSAGE]))
        _tick(app)
        calls = [
            measured(lambda: app.outside.git.list_refs(RepositoryRef(str(root / REPOSITORY))))
            for _ in range(repeats)
        ]
        idle = [measured(lambda: _tick(app)) for _ in range(repeats)]
        repository.commits_on_branches(base, names[:moves])
        moved = measured(lambda: _tick(app))
        with app.database.connect() as connection:
            fired = connection.scalar(text("SELECT count(*) FROM dct.trigger_executions"))
            events = connection.scalar(text("SELECT count(*) FROM dct.events"))
    finally:
        app.database.dispose()
        if app.database.embedded is not None:
            app.database.embedded.stop()
    idle_cpu = statistics.median(cost.cpu_seconds for cost in idle)
    call_cpu = statistics.median(cost.cpu_seconds for cost in calls)
    return {
        "refs": refs,
        "triggers": triggers,
        "apply_seconds": round(applying.wall_seconds, 2),
        "idle_tick_cpu_seconds": round(idle_cpu, 3),
        "idle_tick_wall_seconds": round(statistics.median(cost.wall_seconds for cost in idle), 3),
        "ls_remote_cpu_seconds": round(call_cpu, 3),
        "idle_tick_to_ls_remote_ratio": round(idle_cpu / call_cpu, 2),
        "moved_branches": moves,
        "moved_tick_wall_seconds": round(moved.wall_seconds, 2),
        "moved_tick_cpu_seconds": round(moved.cpu_seconds, 2),
        "events": events,
        "executions": fired,
        "machine": {"cores": os.cpu_count(), "load": os.getloadavg()[0]},
    }


def _tick(app: App) -> None:
    with app.database.begin() as connection:
        connection.execute(text("UPDATE dct.connections SET next_due_at = NULL"))
    report = app.listening.tick("git", budget_seconds=120)
    if report.problems or not report.is_finished:
        raise SystemExit(f"the tick went wrong: {report}")


if __name__ == "__main__":
    sys.exit(main())
