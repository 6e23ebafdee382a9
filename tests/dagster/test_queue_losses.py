"""No run that a pool was given is lost, and none is declared lost that is not."""

from __future__ import annotations

import time
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher import LaunchRunContext, RunLauncher, WorkerStatus
from dagster._core.storage.tags import MAX_RUNTIME_SECONDS_TAG
from sqlalchemy import select

from dct_pipelines.clients.pool.caller import Pools
from dct_pipelines.domain import run_tags
from dct_pipelines.instance.launcher import RETURNS_WITHIN_SECONDS, WARM, WarmRunLauncher, launch_of
from dct_pipelines.store import tables
from tests.support.deployment import *  # noqa: F403
from tests.support.deployment import loaded
from tests.support.pools import leave_note
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


def by_hand(ground: Ground, status: dg.DagsterRunStatus, tags: dict[str, str]) -> dg.DagsterRun:
    """A run that somebody launched, and that a pool was to have."""
    job = loaded().get_job_def("notify_users")
    return ground.instance.create_run_for_job(job, status=status, tags={run_tags.LAUNCHER: WARM} | tags)


class Processes(RunLauncher[dg.DagsterInstance]):
    """Stands for Dagster's default launcher: `begun` are the runs that got a process."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.begun: list[str] = []

    def launch_run(self, context: LaunchRunContext) -> None:
        self.begun.append(context.dagster_run.run_id)

    def terminate(self, run_id: str) -> bool:
        return run_id in self.begun


def test_a_run_that_got_a_process_because_no_pool_is_there_is_neither_lost_nor_begun_twice(ground: Ground):
    run = by_hand(ground, dg.DagsterRunStatus.STARTING, {})
    launcher = ground.instance.run_launcher
    assert isinstance(launcher, WarmRunLauncher)
    launcher._default = processes = Processes()
    ground.pools.is_noted = ground.pools.is_there = False
    ground.turn()
    ground.turn()
    assert processes.begun == [run.run_id]
    ground.pools.is_noted = ground.pools.is_there = True
    ground.turn()
    assert ground.status_of(run) is dg.DagsterRunStatus.STARTING
    assert ground.pools.given == []


def test_no_launch_waits_for_the_pool_of_a_dct_up_that_was_killed(ground: Ground, project: Path):
    launcher = ground.instance.run_launcher
    assert isinstance(launcher, WarmRunLauncher)
    launcher.pools, launcher._default = Pools(project / ".dct"), (processes := Processes())
    leave_note(project / ".dct")
    run = by_hand(ground, dg.DagsterRunStatus.STARTING, {})
    begun = time.monotonic()
    launcher.launch_run(LaunchRunContext(dagster_run=run, workspace=None))
    assert processes.begun == [run.run_id]
    assert time.monotonic() - begun < RETURNS_WITHIN_SECONDS / 3


def test_a_run_that_cannot_get_a_process_is_failed_and_holds_up_nobody(ground: Ground):
    run = by_hand(ground, dg.DagsterRunStatus.STARTING, {})
    ground.pools.is_noted = ground.pools.is_there = False
    ground.turn()
    assert ground.status_of(run) is dg.DagsterRunStatus.FAILURE


def test_a_run_that_cannot_be_settled_keeps_nobody_from_the_others(ground: Ground):
    bad = by_hand(ground, dg.DagsterRunStatus.STARTING, {})
    ground.pools.refuses.add(bad.run_id)
    ground.wait()
    ground.turn()
    ground.turn()
    assert ground.statuses() == {"dispatched": 1}
    assert [launch.key for launch in ground.pools.given] == [ground.runs()[-1].run_id]


@pytest.mark.parametrize(
    ("said", "means"), [("90", 90.0), ("soon", None), ("0", None), ("-3", None), ("nan", None)]
)
def test_a_limit_that_somebody_wrote_by_hand_and_that_is_none_does_not_keep_a_run_from_starting(
    ground: Ground, said: str, means: float | None
):
    run = by_hand(ground, dg.DagsterRunStatus.STARTING, {MAX_RUNTIME_SECONDS_TAG: said})
    assert launch_of(run).limit_seconds == means
