"""The stack of `dct up`: it loads new jobs, survives the death of a part, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest
from sqlalchemy import insert, select, text

from dct_pipelines.bootstrap import App, build
from dct_pipelines.cli.supervisor import Stack, running
from dct_pipelines.domain.errors import AlreadyRunning
from dct_pipelines.domain.shapes import job_name, step_names
from dct_pipelines.settings import load_settings
from dct_pipelines.store import tables
from tests.support.deployment import *  # noqa: F403
from tests.support.deployment import outbox_config
from tests.support.postgres import *  # noqa: F403

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
PATIENCE_SECONDS = 120
"""On a machine that does much else at the same time."""


def wait_for(what: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> float:
    """Wait until it is so; returns for how long."""
    begun = time.monotonic()
    while not what():
        assert time.monotonic() - begun < seconds, "it did not happen in time"
        time.sleep(0.2)
    return time.monotonic() - begun


def ask_for(app: App, shape: tuple[str, ...]) -> None:
    """An execution of that shape, whose row is written as a new trigger's is."""
    steps = zip(shape, step_names(shape), strict=True)
    actions = [{"type": kind, "name": name, "config": outbox_config()} for kind, name in steps]
    with app.database.begin() as connection:
        connection.execute(insert(tables.shapes).values(job_name=job_name(shape), actions=list(shape)))
        connection.execute(
            insert(tables.trigger_executions).values(
                triggered_by="manual",
                created_by="local",
                job_name=job_name(shape),
                actions=actions,
                resource_limits={},
                context_snapshot={},
            )
        )


def states(app: App) -> list[str]:
    with app.database.connect() as connection:
        rows = tables.trigger_executions
        return list(connection.scalars(select(rows.c.status).order_by(rows.c.created_at)))


@pytest.fixture(name="app")
def command_line(project: Path) -> Iterator[App]:
    built = build(load_settings())
    yield built
    built.database.dispose()


@pytest.fixture
def said() -> list[str]:
    return []


def partition_of_now() -> str:
    return f"events_{datetime.now(UTC):%Y_%m}"


@pytest.fixture
def stack(project: Path, app: App, said: list[str]) -> Iterator[Stack]:
    """The stack of a deployment that was off for months."""
    with app.database.begin() as connection:
        connection.execute(text(f"DROP TABLE dct.{partition_of_now()}"))
    with running(load_settings(), ui_port=3100, say=said.append) as up:
        yield up


def test_a_new_shape_is_loaded_and_carried_out_and_parts_that_die_come_back(
    stack: Stack, app: App, said: list[str]
):
    assert f"made {partition_of_now()}" in said
    assert set(stack.pids) == {"code server", "warm pool", "daemon", "web UI"}
    with urlopen(f"{stack.ui_url}/server_info") as answer:
        assert answer.status == 200

    ask_for(app, ("notify_users",) * 3)
    assert wait_for(lambda: states(app) == ["completed"]) < 90

    os.kill(stack.pids["daemon"], signal.SIGKILL)
    os.kill(stack.pids["code server"], signal.SIGKILL)
    wait_for(lambda: sum("started again" in line for line in said) == 2)
    ask_for(app, ("notify_users",) * 4)
    wait_for(lambda: states(app) == ["completed", "completed"])

    [behind] = [
        one for one in psutil.Process(stack.pids["code server"]).children() if "grpc" in one.cmdline()
    ]
    behind.kill()
    wait_for(lambda: "code server lost the process behind it" in said)
    ask_for(app, ("notify_users",) * 5)
    wait_for(lambda: states(app) == ["completed"] * 3)

    with pytest.raises(AlreadyRunning, match=str(os.getpid())), running(load_settings()):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_running_however_it_ends(project: Path, number: signal.Signals):
    up = subprocess.Popen(
        [sys.executable, "-m", "dct_pipelines.cli.main", "up", "--no-ui", "--json"],
        cwd=project,
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert up.stdout is not None
    with up.stdout as lines:
        assert '"ready": true' in lines.readline()
        children = psutil.Process(up.pid).children(recursive=True)
        assert len(children) >= 3
        up.send_signal(number)
        up.wait(60)
    _, alive = psutil.wait_procs(children, 60)
    assert not [process.cmdline() for process in alive]
