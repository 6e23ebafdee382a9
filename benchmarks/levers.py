"""`python -m benchmarks.levers`: what each shortcut around Dagster is worth, alone, in one run.

A run of five steps that do nothing is carried out in this process, over a fresh embedded PostgreSQL: by
Dagster's stock way, with every lever pulled, and with all but one, for each. `ratio` is what the run costs
without that one lever, over what it costs with all of them; CPU is that of this process and of every process
of the database.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from types import MethodType
from typing import Any

import dagster as dg
import psutil
from dagster._grpc.impl import core_execute_run
from dagster._serdes import serialize_value

from dct_pipelines.bootstrap import App, build
from dct_pipelines.instance import entries, ledger, levers, storage
from dct_pipelines.instance.launcher import launch_of
from dct_pipelines.settings import load_settings
from tests.support.warm import Workshop

PROJECT = Path(__file__).resolve().parent.parent
MODULE = "benchmarks.levers_jobs"
EMPTY, DATA = "empty", "with_data"
WARM_UP = 20
"""Runs before anything is measured."""
Way = Callable[[], Any]


class Bench:
    """A worker over empty jobs, and how to do without each lever."""

    def __init__(self, root: Path, app: App, runs: int) -> None:
        self._app = app
        self._runs = runs
        self._workshop = Workshop(root, MODULE)
        self._storage: Any = self._workshop.instance.run_storage

    def cost(self, job: str = EMPTY) -> float:
        """CPU milliseconds of one run, the median of five rounds."""
        for _ in range(WARM_UP):
            self._workshop.do(self._workshop.make(job))
        rounds = []
        for _ in range(5):
            made = [launch_of(self._workshop.make(job)) for _ in range(self._runs)]
            before = self._cpu()
            for launch in made:
                self._workshop.worker.work(launch)
            rounds.append(1000 * (self._cpu() - before) / self._runs)
        return statistics.median(rounds)

    def _cpu(self) -> float:
        server = self._app.database.embedded
        assert server is not None
        root = psutil.Process(server.pid())
        return time.process_time() + sum(map(_seconds, (root, *root.children())))

    def without(self) -> Mapping[str, Callable[[], Any]]:
        """By lever: a context in which it is not pulled."""
        return {
            "columns asked for once": lambda: _instead(
                self._storage, "_once", lambda _self, _what, ask: ask()
            ),
            "snapshots kept": lambda: _instead(self._storage, "_get_snapshot", self._stock_snapshot()),
            "events and status in one transaction": lambda: _instead(
                self._workshop.worker, "_recording", lambda _self, _run: nullcontext()
            ),
            "events packed by class": lambda: _instead(entries, "text_of", serialize_value, bound=False),
            "noise left out": lambda: _instead(storage, "is_noise", lambda _event: False, bound=False),
            "plans kept": lambda: _instead(self._workshop.worker, "_whole", self._stock_run()),
            **{name: partial(self._but, name) for name in levers.LEVERS},
        }

    def _stock_snapshot(self) -> Callable[..., Any]:
        stock: Any = getattr(super(type(self._storage), self._storage), "_get_snapshot")  # noqa: B009
        return lambda _self, snapshot_id: stock(snapshot_id)

    def _stock_run(self) -> Callable[..., Iterator[dg.DagsterEvent]]:
        instance = self._workshop.instance
        repository = self._workshop.repository

        def run_it(_self: object, _planned: object, run: dg.DagsterRun) -> Iterator[dg.DagsterEvent]:
            job = repository.get_reconstructable_job(run.job_name)
            return core_execute_run(job, run, instance, inject_env_vars=False)

        return run_it

    @contextmanager
    def _but(self, name: str) -> Iterator[None]:
        """With every shortcut through the engine but this one."""
        self.undo()
        undone = [pull() for other, pull in levers.LEVERS.items() if other != name]
        try:
            yield
        finally:
            for one in reversed(undone):
                one()
            self.pull()

    def pull(self) -> None:
        """Pull the shortcuts through the engine."""
        self._undo = levers.pull_all()

    def undo(self) -> None:
        """And undo them."""
        self._undo()

    @contextmanager
    def stock(self) -> Iterator[None]:
        """Without any of them."""
        self.undo()
        try:
            with (
                _instead(self._storage, "_once", _ask),
                _instead(self._storage, "_get_snapshot", self._stock_snapshot()),
                _instead(self._workshop.worker, "_recording", lambda _self, _run: nullcontext()),
                _instead(self._workshop.worker, "_whole", self._stock_run()),
            ):
                yield
        finally:
            self.pull()

    def measured(self) -> dict[str, Any]:
        """Every figure."""
        self.pull()
        best = self.cost()
        found: dict[str, Any] = {"with all levers": {"cpu_ms": round(best, 2)}}
        with self.stock():
            found["stock, one process"] = _beside(self.cost(DATA), best)
        found["without: no data between steps"] = _beside(self.cost(DATA), best)
        for name, off in self.without().items():
            with off():
                found[f"without: {name}"] = _beside(self.cost(), best)
        self.undo()
        self._workshop.close()
        return found


def _ask(_storage: Any, _what: str, ask: Callable[[], bool]) -> bool:
    return ask()


def _seconds(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        spent = process.cpu_times()
        return float(spent.user + spent.system)
    return 0.0


def _beside(cost: float, best: float) -> dict[str, float]:
    return {"cpu_ms": round(cost, 2), "ratio": round(cost / best, 2)}


@contextmanager
def _instead(place: Any, name: str, other: Callable[..., Any], *, bound: bool = True) -> Iterator[None]:
    """Another function in the place of one, for the block."""
    had = name in vars(place)
    before = getattr(place, name)
    setattr(place, name, MethodType(other, place) if bound else other)
    try:
        yield
    finally:
        if had or not bound:
            setattr(place, name, before)
        else:
            delattr(place, name)


def main() -> int:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=60, help="of each of five rounds")
    asked = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="dct-levers-"))
    root.chmod(0o755)
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, root / name)
    os.environ["DAGSTER_HOME"] = str(root)
    app = build(load_settings()).ready()
    with Path(os.devnull).open("w") as nowhere:
        errors, sys.stderr = sys.stderr, nowhere
        try:
            found = Bench(root, app, asked.runs).measured()
        finally:
            sys.stderr = errors
            app.database.dispose()
            if app.database.embedded is not None:
                app.database.embedded.stop()
            shutil.rmtree(root, ignore_errors=True)
    sys.stdout.write(json.dumps({"levers": found, "noise": len(ledger.NOISE)}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
