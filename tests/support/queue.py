"""A daemon's queue over a pool in memory: a turn is taken, and a run ends, when the test says so.

A test module takes the fixture by name: `from tests.support.queue import *  # noqa: F403`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import dagster as dg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from sqlalchemy import func, insert, text

from dct_pipelines.bootstrap import App
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.domain.quotas import Quota
from dct_pipelines.instance.daemon import QueueDaemon
from dct_pipelines.instance.handover import Turn
from dct_pipelines.instance.launcher import WarmRunLauncher
from dct_pipelines.instance.storage import PooledRunStorage
from dct_pipelines.store import quotas, tables
from dct_pipelines.store.executions.transitions import RunStart, transition
from dct_pipelines.store.lane import Lane
from dct_pipelines.store.wakeups import notify
from tests.fakes.pools import FakePools
from tests.support.deployment import *  # noqa: F403
from tests.support.deployment import outbox_config

LIMIT = 3
E = tables.trigger_executions.c


__all__ = ["LIMIT", "Ground", "ground"]


class Ground:
    """A daemon's queue with a pool in memory; a turn is taken when the test says so."""

    def __init__(self, app: App, instance: dg.DagsterInstance, context: Any) -> None:
        self.app, self.instance, self.context = app, instance, context
        self.pools = FakePools(["notify_users", "run_tests"])
        launcher = instance.run_launcher
        assert isinstance(launcher, WarmRunLauncher)
        launcher.pools = self.pools
        storage = instance.run_storage
        assert isinstance(storage, PooledRunStorage)
        self.storage = storage
        self.lane = Lane(app.settings)
        self.daemon = self.new_daemon(self.lane)

    def new_daemon(self, lane: Lane) -> QueueDaemon:
        return QueueDaemon(self.instance, self.storage, self.app, lane)

    def turn(self, daemon: QueueDaemon | None = None) -> Turn:
        """One turn, with a look at the pool's runs."""
        daemon = daemon or self.daemon
        daemon._watched_at = -1000.0
        daemon._hand_over._asked_pool_at = -1000.0
        steps = daemon._turn(self.context)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                turned: Turn = end.value
                return turned

    def trigger(self, status: str) -> UUID:
        """A trigger in that state."""
        trigger = tables.dynamic_context_triggers
        values = {
            "name": f"is-{status}",
            "status": status,
            "trigger_type": "testing",
            "active_since": func.now(),
        }
        with self.app.database.begin() as connection:
            statement = insert(trigger).values(**values, job_name="notify_users", created_by="local")
            return connection.execute(statement.returning(trigger.c.id)).scalar_one()

    def wait(
        self, count: int = 1, job_name: str = "notify_users", trigger_id: UUID | None = None
    ) -> list[UUID]:
        """Executions that nothing holds back."""
        made = []
        action = {"type": job_name, "name": job_name, "config": outbox_config()}
        with self.app.database.begin() as connection:
            for _ in range(count):
                statement = insert(tables.trigger_executions).values(
                    triggered_by="manual",
                    trigger_id=trigger_id,
                    created_by="local",
                    job_name=job_name,
                    actions=[action],
                    resource_limits={},
                    context_snapshot={},
                )
                made.append(connection.execute(statement.returning(E.id)).scalar_one())
            notify(connection)
        return made

    def statuses(self) -> dict[str, int]:
        """How many executions are in each state."""
        with self.app.database.connect() as connection:
            rows = connection.execute(text("SELECT status, count(*) FROM dct.trigger_executions GROUP BY 1"))
            return {row[0]: row[1] for row in rows}

    def runs(self, *statuses: dg.DagsterRunStatus) -> list[dg.DagsterRun]:
        return list(self.instance.get_runs(dg.RunsFilter(statuses=list(statuses) or None), ascending=True))

    def begin(self, run: dg.DagsterRun) -> None:
        """The worker has claimed the execution and told Dagster so."""
        with self.app.database.begin() as connection:
            start = RunStart(run.run_id, "test:1", claims=True)
            transition(connection, UUID(run.tags["dct/execution"]), ExecutionState.RUNNING, run=start)
        started = dg.DagsterEvent(event_type_value="PIPELINE_START", job_name=run.job_name)
        self.instance.report_dagster_event(started, run.run_id)

    def complete(self, run: dg.DagsterRun) -> None:
        """The execution is completed, durably."""
        with self.app.database.begin() as connection:
            transition(connection, UUID(run.tags["dct/execution"]), ExecutionState.COMPLETED)

    def succeed(self, run: dg.DagsterRun) -> None:
        """Dagster knows that the run is over."""
        ended = dg.DagsterEvent(event_type_value="PIPELINE_SUCCESS", job_name=run.job_name)
        self.instance.report_dagster_event(ended, run.run_id)
        self.pools.end(run.run_id)

    def status_of(self, run: dg.DagsterRun) -> dg.DagsterRunStatus:
        found = self.instance.get_run_by_id(run.run_id)
        assert found is not None
        return found.status


@pytest.fixture
def ground(app: App, instance: dg.DagsterInstance, project: Path) -> Iterator[Ground]:
    with app.database.begin() as connection:
        quotas.put(connection, Quota.EXECUTIONS, LIMIT, "local")
    origin = InProcessCodeLocationOrigin(
        LoadableTargetOrigin(module_name="dct_pipelines.definitions", working_directory=str(project)),
        location_name="dct_pipelines",
    )
    target = InProcessWorkspaceLoadTarget(origin)
    with create_test_daemon_workspace_context(target, instance) as context:
        made = Ground(app, instance, context)
        yield made
        made.lane.leave()
