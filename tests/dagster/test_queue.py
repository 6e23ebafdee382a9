"""The queue of our daemon: what waits is handed over at once, within the quota; no run of a pool is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._serdes import deserialize_value
from sqlalchemy import insert, select, text

from dct_pipelines.bootstrap import App
from dct_pipelines.domain import run_tags
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.domain.quotas import Quota
from dct_pipelines.instance import census
from dct_pipelines.instance.daemon import QueueDaemon
from dct_pipelines.instance.launcher import WARM, WarmRunLauncher
from dct_pipelines.instance.storage import PooledRunStorage
from dct_pipelines.store import quotas, tables
from dct_pipelines.store.executions.transitions import RunStart, transition
from dct_pipelines.store.lane import Lane, is_taken
from dct_pipelines.store.wakeups import notify
from tests.fakes.pools import FakePools
from tests.support.deployment import *  # noqa: F403
from tests.support.deployment import loaded, outbox_config
from tests.support.postgres import terminate_all
from tests.support.waiting import eventually

pytestmark = pytest.mark.dagster
LIMIT = 3
E = tables.trigger_executions.c


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

    def turn(self, daemon: QueueDaemon | None = None) -> None:
        """One turn, with a look at the pool's runs."""
        daemon = daemon or self.daemon
        daemon._watched_at = -1000.0
        daemon._hand_over._asked_pool_at = -1000.0
        for _ in daemon._turn(self.context):
            pass

    def wait(self, count: int = 1, job_name: str = "notify_users") -> list[UUID]:
        """Executions that nothing holds back."""
        made = []
        action = {"type": job_name, "name": job_name, "config": outbox_config()}
        with self.app.database.begin() as connection:
            for _ in range(count):
                statement = insert(tables.trigger_executions).values(
                    triggered_by="manual",
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
            start = RunStart(run.run_id, "test:1", 3600, claims=True)
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


def test_what_waits_is_a_run_about_to_start_that_the_pool_was_given(ground: Ground):
    (execution,) = ground.wait()
    ground.turn()
    (run,) = ground.runs()
    assert run.status is dg.DagsterRunStatus.STARTING
    assert run.tags["dct/execution"] == str(execution)
    assert run.tags["dct/attempt"] == "1"
    assert run.tags[run_tags.LAUNCHER] == WARM
    assert run.tags["dct/shape"] == "notify_users"
    assert run.remote_job_origin is not None
    assert run.job_snapshot_id
    assert run.execution_plan_snapshot_id
    (launch,) = ground.pools.given
    assert deserialize_value(launch.body, dg.DagsterRun) == run
    assert launch.limit_seconds == 3600 + 120
    (entry,) = ground.instance.all_logs(run.run_id)
    assert entry.dagster_event is not None
    assert entry.dagster_event.event_type_value == "PIPELINE_STARTING"
    assert ground.statuses() == {"dispatched": 1}


def test_a_run_that_was_made_can_be_found_by_its_tags_and_filters(ground: Ground):
    ground.wait()
    ground.turn()
    (run,) = ground.instance.get_runs(dg.RunsFilter(tags={run_tags.LAUNCHER: WARM}, job_name="notify_users"))
    assert run.is_finished is False


def test_no_more_runs_are_active_than_the_quota_allows(ground: Ground):
    ground.wait(7)
    active: list[int] = []
    for _ in range(12):
        ground.turn()
        ground.turn()
        running = ground.runs(dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED)
        active.append(len(running))
        for run in running[:2]:
            ground.begin(run)
            ground.complete(run)
            ground.succeed(run)
    assert max(active) == LIMIT
    assert ground.statuses() == {"completed": 7}
    assert len({launch.key for launch in ground.pools.given}) == 7


def test_runs_by_hand_and_executions_share_the_quota(ground: Ground):
    ground.wait(4)
    job = ground.context.create_request_context().get_code_location("dct_pipelines")
    remote = next(iter(job.get_repositories().values())).get_full_job("run_tests")
    for _ in range(2):
        made = ground.instance.create_run_for_job(
            loaded().get_job_def("run_tests"),
            remote_job_origin=remote.get_remote_origin(),
            job_code_origin=remote.get_python_origin(),
        )
        ground.instance.submit_run(made.run_id, ground.context.create_request_context())
    ground.turn()
    counted = census.count(ground.storage)
    assert (counted.active, counted.queued) == (LIMIT, 0)
    assert [run.job_name for run in ground.runs(dg.DagsterRunStatus.STARTING)].count("run_tests") == 2
    assert ground.statuses() == {"dispatched": 1, "waiting": 3}


def test_while_the_pool_is_away_nothing_is_dispatched_and_then_everything(ground: Ground):
    ground.wait(2)
    ground.pools.is_there = False
    ground.turn()
    assert ground.statuses() == {"waiting": 2}
    ground.pools.is_there = True
    ground.turn()
    assert ground.statuses() == {"dispatched": 2}


def test_a_job_that_the_pool_does_not_know_yet_waits_for_it(ground: Ground):
    ground.pools.jobs = frozenset({"run_tests"})
    ground.wait()
    ground.turn()
    assert ground.statuses() == {"waiting": 1}
    ground.pools.jobs = frozenset({"notify_users"})
    ground.turn()
    assert ground.statuses() == {"dispatched": 1}


def test_a_run_that_the_pool_never_got_is_launched_again(ground: Ground):
    ground.wait()
    ground.turn()
    ground.pools.forget()
    ground.turn()
    (run,) = ground.runs()
    assert [launch.key for launch in ground.pools.given] == [run.run_id] * 2
    ground.turn()
    assert len(ground.pools.given) == 2


def test_a_run_whose_worker_died_is_failed_and_its_execution_tries_again(ground: Ground):
    (execution,) = ground.wait()
    ground.turn()
    (run,) = ground.runs()
    ground.begin(run)
    ground.pools.end(run.run_id, "its process was ended by signal 9")
    ground.turn()
    assert ground.status_of(run) is dg.DagsterRunStatus.FAILURE
    said = [one.dagster_event.message for one in ground.instance.all_logs(run.run_id) if one.dagster_event]
    assert "its process was ended by signal 9" in str(said)
    with ground.app.database.connect() as connection:
        row = connection.execute(select(E.status, E.wait_reason).where(E.id == execution)).one()
    assert (row.status, row.wait_reason) == ("waiting", "retry_backoff")


def test_a_worker_that_died_before_dagster_heard_of_its_start_is_not_begun_again(ground: Ground):
    ground.wait()
    ground.turn()
    (run,) = ground.runs()
    ground.pools.end(run.run_id, "its process was ended by signal 9")
    ground.turn()
    assert ground.status_of(run) is dg.DagsterRunStatus.FAILURE
    assert len(ground.pools.given) == 1


def test_a_run_whose_pool_died_with_its_worker_is_lost(ground: Ground):
    ground.wait()
    ground.turn()
    (run,) = ground.runs()
    ground.begin(run)
    ground.pools.forget()
    ground.turn()
    assert ground.status_of(run) is dg.DagsterRunStatus.FAILURE


def test_a_run_that_ended_well_and_could_not_say_so_is_a_success(ground: Ground):
    ground.wait()
    ground.turn()
    (run,) = ground.runs()
    ground.begin(run)
    ground.complete(run)
    ground.pools.end(run.run_id, "its process was ended by signal 9")
    ground.turn()
    assert ground.status_of(run) is dg.DagsterRunStatus.SUCCESS
    assert ground.statuses() == {"completed": 1}


def test_while_the_pool_is_away_no_run_is_declared_lost(ground: Ground):
    ground.wait()
    ground.turn()
    (run,) = ground.runs()
    ground.begin(run)
    ground.pools.is_there = False
    ground.turn()
    assert ground.status_of(run) is dg.DagsterRunStatus.STARTED


def test_a_run_that_nobody_gave_to_a_pool_is_not_looked_after(ground: Ground):
    job = loaded().get_job_def("notify_users")
    run = ground.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    ground.turn()
    assert ground.status_of(run) is dg.DagsterRunStatus.STARTED
    health = ground.instance.run_launcher.check_run_worker_health(run)
    assert health.status is WorkerStatus.RUNNING


def test_whoever_gets_the_lane_gives_a_run_to_what_was_dispatched_without_one(ground: Ground):
    (execution,) = ground.wait()
    assert ground.app.dispatcher.dispatch(frozenset({"notify_users"}), 1).orders
    ground.turn()
    (run,) = ground.runs()
    assert run.tags["dct/execution"] == str(execution)
    assert run.tags["dct/attempt"] == "2"


def test_one_daemon_at_a_time_has_the_lane(ground: Ground):
    ground.turn()
    other_lane = Lane(ground.app.settings)
    other = ground.new_daemon(other_lane)
    with ground.app.database.connect() as connection:
        assert is_taken(connection)
    ground.wait()
    ground.turn(other)
    assert ground.statuses() == {"waiting": 1}
    ground.lane.leave()
    ground.turn(other)
    assert ground.statuses() == {"dispatched": 1}
    other_lane.leave()
    with ground.app.database.connect() as connection:
        assert not is_taken(connection)


def test_the_lane_hears_of_executions_when_they_are_committed(ground: Ground):
    ground.turn()
    assert ground.lane.wait(0) is False
    with ground.app.database.begin() as connection:
        notify(connection)
        assert ground.lane.wait(0) is False
    assert ground.lane.wait(5) is True
    assert ground.lane.wait(0) is False


@contextmanager
def looping(ground: Ground) -> Iterator[None]:
    """The daemon's own loop, in a thread."""
    shutdown = threading.Event()

    def loop() -> None:
        for _ in ground.daemon.core_loop(ground.context, shutdown):
            pass

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        shutdown.set()
        thread.join()


def test_the_loop_goes_on_after_the_database_was_away(ground: Ground, database_url: str):
    with looping(ground):
        ground.wait()
        assert eventually(lambda: ground.statuses() == {"dispatched": 1})
        terminate_all(database_url)
        ground.wait()
        assert eventually(lambda: ground.statuses() == {"dispatched": 2}, seconds=30)
