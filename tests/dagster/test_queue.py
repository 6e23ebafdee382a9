"""The queue of our daemon: what waits is handed over at once, within the quota, by one daemon at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import pytest
from dagster._serdes import deserialize_value

from dct_pipelines.domain import run_tags
from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.domain.quotas import Quota
from dct_pipelines.instance import census
from dct_pipelines.instance.coordinator import PROCESSES_WITHOUT_POOL, WORKERS
from dct_pipelines.instance.launcher import WARM, with_pool
from dct_pipelines.store import quotas
from dct_pipelines.store.lane import Lane, is_taken
from dct_pipelines.store.wakeups import notify
from tests.support.deployment import *  # noqa: F403
from tests.support.deployment import loaded
from tests.support.postgres import terminate_all
from tests.support.queue import *  # noqa: F403
from tests.support.queue import LIMIT, Ground
from tests.support.waiting import eventually

pytestmark = pytest.mark.dagster


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


def launch_by_hand(ground: Ground) -> None:
    """A run that waits in Dagster's own queue."""
    workspace = ground.context.create_request_context()
    location = workspace.get_code_location("dct_pipelines")
    remote = next(iter(location.get_repositories().values())).get_full_job("run_tests")
    made = ground.instance.create_run_for_job(
        loaded().get_job_def("run_tests"),
        remote_job_origin=remote.get_remote_origin(),
        job_code_origin=remote.get_python_origin(),
    )
    ground.instance.submit_run(made.run_id, workspace)


def test_runs_by_hand_and_executions_share_the_quota(ground: Ground):
    ground.wait(4)
    for _ in range(2):
        launch_by_hand(ground)
    ground.turn()
    counted = census.count(ground.storage)
    assert (counted.active, counted.queued) == (LIMIT, 0)
    assert [run.job_name for run in ground.runs(dg.DagsterRunStatus.STARTING)].count("run_tests") == 2
    assert ground.statuses() == {"dispatched": 1, "waiting": 3}


def test_no_more_runs_are_active_than_there_are_processes_for_whatever_the_quota_allows(ground: Ground):
    with ground.app.database.begin() as connection:
        quotas.put(connection, Quota.EXECUTIONS, WORKERS + 50, "local")
    assert ground.daemon._slots(with_pool(ground.instance)) == WORKERS
    ground.pools.is_noted = False
    assert ground.daemon._slots(with_pool(ground.instance)) == PROCESSES_WITHOUT_POOL


def test_a_queue_that_waits_for_no_end_of_work_is_not_looked_at_ten_times_a_second(ground: Ground):
    paused = ground.trigger(status="paused")
    ground.wait(2, trigger_id=paused)
    assert ground.turn().is_more is False
    ground.wait(LIMIT + 1)
    assert ground.turn().is_more is True


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


def test_whoever_gets_the_lane_gives_a_run_to_what_was_dispatched_without_one(ground: Ground):
    (execution,) = ground.wait()
    assert ground.app.dispatcher.dispatch(frozenset({"notify_users"}), 1).orders
    ground.turn()
    (run,) = ground.runs()
    assert run.tags["dct/execution"] == str(execution)
    assert run.tags["dct/attempt"] == "2"


def test_whoever_lost_the_lane_for_a_moment_does_the_same(ground: Ground, database_url: str):
    ground.turn()
    ground.wait()
    assert ground.app.dispatcher.dispatch(frozenset({"notify_users"}), 1).orders
    terminate_all(database_url)
    with pytest.raises(DatabaseUnavailable):
        ground.turn()
    ground.turn()
    (run,) = ground.runs()
    assert run.tags["dct/attempt"] == "2"


def test_one_daemon_at_a_time_has_the_lane(ground: Ground):
    ground.turn()
    other_lane = Lane(ground.app.settings)
    other = ground.new_daemon(other_lane)
    with ground.app.database.connect() as connection:
        assert is_taken(connection)
    ground.wait()
    launch_by_hand(ground)
    ground.turn(other)
    assert ground.statuses() == {"waiting": 1}
    assert census.count(ground.storage).queued == 1
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
