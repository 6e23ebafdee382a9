"""Quotas, the reserve and the ageing bound on the real daemon: hundreds of runs of mixed priority."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, text

from dct_pipelines.bootstrap import App, build
from dct_pipelines.cli.supervisor import running
from dct_pipelines.domain.quotas import HIGH_PRIORITY, Quota
from dct_pipelines.settings import load_settings
from dct_pipelines.store import quotas, tables
from dct_pipelines.store.wakeups import notify
from tests.architecture.tree import ROOT
from tests.support.deployment import *  # noqa: F403
from tests.support.postgres import *  # noqa: F403
from tests.support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]
EXECUTIONS, AGENTS, RESERVED_PERCENT = 5, 3, 34
STANDARD_AGENTS = AGENTS - AGENTS * RESERVED_PERCENT // 100
STEP_SECONDS = 1
RUNS = 250
PATIENCE_SECONDS = 240
IN_USE = text(
    "SELECT (SELECT count(*) FROM dagster.runs WHERE status IN ('STARTING', 'STARTED', 'CANCELING')) "
    "AS runs, count(*) AS executions, coalesce(sum(agents), 0) AS agents, "
    f"coalesce(sum(agents) FILTER (WHERE priority < {HIGH_PRIORITY}), 0) AS standard "
    "FROM dct.trigger_executions WHERE status IN ('dispatched', 'running', 'compensating')"
)


@dataclass
class Highest:
    """The most that was ever seen at the same time."""

    runs: int = 0
    executions: int = 0
    agents: int = 0
    standard: int = 0
    looks: int = field(default=0, compare=False)


@pytest.fixture(name="app")
def app_of_a_stack(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    plugins = ROOT / "tests/support/plugins"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(plugins), os.environ["PYTHONPATH"])))
    monkeypatch.setenv("DCT_AGEING_STEP_SECONDS", str(STEP_SECONDS))
    settings = load_settings()
    app = build(settings)
    with app.database.begin() as connection:
        quotas.put(connection, Quota.EXECUTIONS, EXECUTIONS, "local")
        quotas.put(connection, Quota.AGENTS, AGENTS, "local")
        quotas.put(connection, Quota.AGENT_RESERVATION_PERCENT, RESERVED_PERCENT, "local")
    with running(settings, ui=False):
        yield app
    app.database.dispose()


def ask(app: App, *wanted: tuple[int, int]) -> list[UUID]:
    """Executions of these priorities and numbers of agents."""
    rows = [
        {
            "id": uuid4(),
            "triggered_by": "manual",
            "created_by": "local",
            "job_name": "toy_act",
            "priority": priority,
            "agents": agents,
            "actions": [{"type": "toy_act", "name": "toy_act", "config": {"do": "print", "agents": agents}}],
            "resource_limits": {},
            "context_snapshot": {},
        }
        for priority, agents in wanted
    ]
    with app.database.begin() as connection:
        connection.execute(insert(tables.trigger_executions), rows)
        notify(connection)
    return [row["id"] for row in rows]  # type: ignore[misc]


def open_ones(app: App) -> int:
    with app.database.connect() as connection:
        found = "SELECT count(*) FROM dct.trigger_executions WHERE status <> 'completed'"
        return int(connection.scalar(text(found)) or 0)


def has_started(app: App, execution: UUID) -> bool:
    row = tables.trigger_executions.c
    with app.database.connect() as connection:
        return connection.scalar(select(row.started_at).where(row.id == execution)) is not None


@contextmanager
def watching(app: App) -> Iterator[Highest]:
    """Look at what is in use, again and again, during the block."""
    highest, stop = Highest(), threading.Event()

    def watch() -> None:
        while not stop.wait(0.01):
            with app.database.connect() as connection:
                now = connection.execute(IN_USE).one()
            highest.looks += 1
            for name in ("runs", "executions", "agents", "standard"):
                setattr(highest, name, max(getattr(highest, name), int(getattr(now, name))))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield highest
    finally:
        stop.set()
        thread.join()


@contextmanager
def flood(app: App) -> Iterator[None]:
    """High priority work that arrives for ever, faster than it can be done."""
    stop = threading.Event()

    def pour() -> None:
        while not stop.wait(0.25):
            ask(app, *[(10, 0)] * 15)

    ask(app, *[(10, 0)] * 60)
    thread = threading.Thread(target=pour)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_no_limit_is_ever_exceeded_and_nothing_starves(app: App):
    chance = random.Random(7)
    mixed = [(chance.randint(1, 10), chance.choice((0, 0, 1, 1, 2))) for _ in range(RUNS)]
    with watching(app) as highest:
        for begin in range(0, RUNS, 40):
            ask(app, *mixed[begin : begin + 40])
        assert eventually(lambda: open_ones(app) == 0, PATIENCE_SECONDS)
        with flood(app):
            (low,) = ask(app, (1, 0))
            assert eventually(lambda: has_started(app, low), PATIENCE_SECONDS)
            assert open_ones(app) > EXECUTIONS, "nothing was there that could have starved it"
    assert highest.looks > 100
    assert highest == Highest(EXECUTIONS, EXECUTIONS, AGENTS, STANDARD_AGENTS)
