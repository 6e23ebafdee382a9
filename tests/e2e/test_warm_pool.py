"""Runs of a real stack in its warm pool: their output, and what becomes of them when a part of it dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import dagster as dg
import psutil
import pytest
from sqlalchemy import func, insert, select

from dct_pipelines.bootstrap import App, build
from dct_pipelines.cli.supervisor import Stack, running
from dct_pipelines.domain import run_tags
from dct_pipelines.instance.gateway import gateway_of
from dct_pipelines.settings import load_settings
from dct_pipelines.store import tables
from dct_pipelines.store.wakeups import notify
from tests.architecture.tree import ROOT
from tests.support.deployment import *  # noqa: F403
from tests.support.postgres import *  # noqa: F403
from tests.support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
PATIENCE_SECONDS = 90
E, A = tables.trigger_executions.c, tables.execution_attempts.c
R = tables.action_results.c


class Ground:
    """A stack with an action that does what it is told."""

    def __init__(self, app: App, instance: dg.DagsterInstance, stack: Stack) -> None:
        self.app, self.instance, self.stack = app, instance, stack

    def ask(self, do: str, text: str = "", kind: str = "toy_act", retry: int = 5) -> UUID:
        """An execution of one toy action."""
        made = uuid4()
        action = {"type": kind, "name": kind, "config": {"do": do, "text": text}}
        limits = {"retry": {"max_attempts": retry, "backoff_seconds": 0}}
        with self.app.database.begin() as connection:
            connection.execute(
                insert(tables.trigger_executions).values(
                    id=made,
                    triggered_by="manual",
                    created_by="local",
                    job_name=kind,
                    actions=[action],
                    resource_limits=limits,
                    context_snapshot={},
                )
            )
            notify(connection)
        return made

    def status(self, execution: UUID) -> str:
        with self.app.database.connect() as connection:
            return str(connection.scalar(select(E.status).where(E.id == execution)))

    def ends(self, execution: UUID, status: str = "completed") -> bool:
        return eventually(lambda: self.status(execution) == status, PATIENCE_SECONDS)

    def attempts(self, execution: UUID) -> list[str]:
        wanted = select(A.state).where(A.execution_id == execution).order_by(A.attempt)
        with self.app.database.connect() as connection:
            return list(connection.scalars(wanted))

    def pid(self, execution: UUID) -> int:
        """The process that did it."""
        with self.app.database.connect() as connection:
            found = connection.scalar(select(R.outputs).where(R.execution_id == execution))
        assert found is not None
        return int(found["pid"])

    def at_work(self, execution: UUID) -> bool:
        """Whether its action has begun."""
        wanted = select(func.count()).where(R.execution_id == execution, R.state == "started")
        with self.app.database.connect() as connection:
            return bool(connection.scalar(wanted))

    def runs(self, execution: UUID) -> list[dg.DagsterRun]:
        tags = {run_tags.EXECUTION: str(execution)}
        return list(self.instance.get_runs(dg.RunsFilter(tags=tags), ascending=True))

    def run_statuses(self, execution: UUID) -> list[str]:
        return [run.status.value for run in self.runs(execution)]

    def log(self, execution: UUID) -> str:
        """What the log of its last run says."""
        return "\n".join(one.user_message for one in self.instance.all_logs(self.runs(execution)[-1].run_id))


@pytest.fixture
def ground(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    plugins = ROOT / "tests/support/plugins"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(plugins), os.environ["PYTHONPATH"])))
    settings = load_settings()
    with running(settings, ui=False) as stack, dg.DagsterInstance.get() as instance:
        app = build(settings, gateway_of(settings.home, project))
        yield Ground(app, instance, stack)
        app.database.dispose()


def test_runs_live_through_what_becomes_of_the_pool(ground: Ground, tmp_path: Path):
    printed = ground.ask("print", "hello from python")
    assert ground.ends(printed)
    assert "hello from python\nand from below" in ground.log(printed)
    worker = ground.pid(printed)
    assert psutil.Process(worker).ppid() == ground.stack.pids["warm pool"]

    died = ground.ask("die")
    assert ground.ends(died)
    assert ground.attempts(died) == ["lost", "succeeded"]
    assert eventually(lambda: ground.run_statuses(died) == ["FAILURE", "SUCCESS"])

    stranger = ground.ask("print", "a stranger", kind="toy_stranger")
    assert ground.ends(stranger)
    assert eventually(lambda: not psutil.pid_exists(ground.pid(stranger)))

    goes_on = tmp_path / "goes-on"
    waits = ground.ask("wait", str(goes_on))
    assert eventually(lambda: ground.at_work(waits))
    os.kill(ground.stack.pids["warm pool"], signal.SIGKILL)
    after = ground.ask("print", "after the zygote")
    assert ground.ends(after)
    assert ground.status(waits) == "running"
    goes_on.touch()
    assert ground.ends(waits)
    assert ground.attempts(waits) == ["succeeded"]

    stays = tmp_path / "stays"
    cancelled = ground.ask("wait", str(stays))
    assert eventually(lambda: ground.at_work(cancelled))
    ground.app.executor.cancel(cancelled, "olga")
    assert ground.ends(cancelled, "cancelled")
    assert eventually(lambda: ground.run_statuses(cancelled) == ["CANCELED"])
