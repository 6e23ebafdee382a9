"""No run that a pool was given is lost, and none is declared lost that is not."""

from __future__ import annotations

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from sqlalchemy import select

from dct_pipelines.store import tables
from tests.support.deployment import *  # noqa: F403
from tests.support.deployment import loaded
from tests.support.queue import *  # noqa: F403
from tests.support.queue import Ground

E = tables.trigger_executions.c
pytestmark = pytest.mark.dagster


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
