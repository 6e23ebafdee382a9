"""The sweep: runs that died, were cancelled, never started, or do not stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from dct_pipelines.domain.errors import StaleAttempt
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.domain.gateway import RunInfo
from dct_pipelines.engine.reconcile import Reconciler, SweepReport
from dct_pipelines.store.database import Database
from tests.fakes.gateway import FakeGateway
from tests.support.stage import Stage

pytestmark = pytest.mark.integration
CALM = "every execution is where it should be"


@pytest.fixture
def stage(database: Database):
    stage = Stage(database)
    yield stage
    stage.stop()


def test_a_sweep_leaves_alone_what_goes_well(stage: Stage):
    execution_id, run = stage.claimed("check")
    stage.execution(dispatched=False)
    stage.execution()
    assert str(stage.reconciler.sweep()) == CALM
    assert stage.perform(run).state == "done"
    assert stage.attempts(execution_id) == ["running"]


def test_a_dispatched_execution_without_a_run_gets_its_next_attempt_at_once(stage: Stage):
    execution_id = stage.execution(limits={"retry": {"max_attempts": 1}})
    assert stage.reconciler.sweep() == SweepReport()
    for attempt in (1, 2, 3):
        stage.age_dispatch(execution_id)
        report = stage.reconciler.sweep()
        assert [one.because for one in report.settled] == [
            f"no run of it ever started; attempt {attempt + 1} follows"
        ]
        row = stage.row(execution_id)
        assert (row.status, row.not_before) == ("waiting", None)
        stage.dispatch(execution_id)
    assert stage.attempts(execution_id) == ["lost", "lost", "lost", "dispatched"]


@pytest.mark.parametrize("status", ["QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"])
def test_a_run_that_has_not_begun_yet_is_not_lost(stage: Stage, status: str):
    execution_id = stage.execution()
    run = stage.run(execution_id)
    stage.gateway.end(run.run_id, status)
    stage.age_dispatch(execution_id)
    assert str(stage.reconciler.sweep()) == CALM


def test_a_run_that_failed_before_it_began_counts_as_an_attempt(stage: Stage):
    limits = {"retry": {"max_attempts": 2, "backoff_seconds": 0}}
    execution_id = stage.execution(dispatched=False, limits=limits)
    for status in (ExecutionState.WAITING, ExecutionState.FAILED):
        run = stage.run(execution_id, stage.dispatch(execution_id))
        stage.gateway.end(run.run_id, "FAILURE")
        stage.reconciler.sweep()
        assert stage.state(execution_id) is status
    assert "ended as FAILURE before it began" in (stage.read(execution_id).error_message or "")


def test_an_execution_whose_process_died_says_so_and_gets_its_next_attempt(stage: Stage):
    execution_id, run = stage.claimed("check")
    stage.kill(run)
    report = stage.reconciler.sweep()
    assert stage.read(execution_id).error_message == "the process of its run died; attempt 2 follows"
    assert str(report) == (
        f"execution {execution_id} is waiting (the process of its run died; attempt 2 follows)"
    )
    row = stage.row(execution_id)
    assert row.wait_reason == "retry_backoff"
    assert row.not_before > row.started_at
    assert stage.attempts(execution_id) == ["lost"]


def test_a_run_without_a_sign_of_life_is_lost_and_marked_as_failed_in_dagster(stage: Stage):
    execution_id, run = stage.claimed("check")
    stage.executor.release(run)
    stage.age_heartbeat(execution_id)
    stage.reconciler.sweep()
    assert stage.state(execution_id) is ExecutionState.WAITING
    assert "gave no sign of life" in stage.gateway.marked_as_lost[run.run_id]
    with pytest.raises(StaleAttempt):
        stage.perform(run)
    assert str(stage.reconciler.sweep()) == CALM


def test_a_run_that_dagster_does_not_know_lives_as_long_as_its_heartbeat(stage: Stage):
    execution_id, run = stage.claimed("check")
    del stage.gateway.runs[run.run_id]
    assert str(stage.reconciler.sweep()) == CALM
    stage.executor.release(run)
    stage.age_heartbeat(execution_id)
    stage.reconciler.sweep()
    assert stage.state(execution_id) is ExecutionState.WAITING


def test_a_run_that_ends_without_closing_leaves_its_execution_to_the_next(stage: Stage):
    execution_id, run = stage.claimed("check", "key")
    stage.perform(run, 0)
    stage.gateway.end(run.run_id, "SUCCESS")
    stage.reconciler.sweep()
    assert "before every action was done" in (stage.read(execution_id).error_message or "")
    assert stage.state(execution_id) is ExecutionState.WAITING


def test_lost_runs_end_the_execution_when_no_attempt_is_left(stage: Stage):
    execution_id, run = stage.claimed("check", limits={"retry": {"max_attempts": 1}})
    stage.kill(run)
    stage.reconciler.sweep()
    assert stage.state(execution_id) is ExecutionState.FAILED
    assert stage.attempts(execution_id) == ["lost"]
    assert "none of 1 attempts is left" in (stage.read(execution_id).error_message or "")


@pytest.mark.parametrize("claimed", [False, True])
def test_a_run_cancelled_in_dagster_cancels_its_execution(stage: Stage, claimed: bool):
    execution_id = stage.execution()
    run = stage.run(execution_id)
    if claimed:
        stage.executor.claim(run)
    stage.gateway.end(run.run_id, "CANCELED")
    stage.reconciler.sweep()
    assert stage.state(execution_id) is ExecutionState.CANCELLED
    assert stage.attempts(execution_id) == ["cancelled"]


def test_a_lost_run_that_was_asked_to_stop_is_cancelled_and_not_tried_again(stage: Stage):
    execution_id, run = stage.claimed("check")
    stage.executor.cancel(execution_id, "kim")
    stage.kill(run)
    stage.reconciler.sweep()
    row = stage.row(execution_id)
    assert (row.status, row.error_message) == ("cancelled", "cancelled by kim")


def test_a_cancelled_execution_that_never_got_a_run_is_cancelled(stage: Stage):
    execution_id = stage.execution()
    stage.executor.cancel(execution_id, "kim")
    stage.age_dispatch(execution_id)
    stage.reconciler.sweep()
    assert stage.state(execution_id) is ExecutionState.CANCELLED


def test_a_run_that_does_not_stop_is_told_again(stage: Stage):
    execution_id, run = stage.claimed("check")
    stage.executor.cancel(execution_id, "kim")
    stage.age_dispatch(execution_id)
    stage.set(execution_id, cancel_requested_at=datetime.now(UTC) - timedelta(minutes=5))
    stage.gateway.told_to_stop.clear()
    assert stage.reconciler.sweep().reminded_runs == (run.run_id,)
    assert stage.gateway.told_to_stop == [run.run_id]


def test_an_execution_that_ignores_its_time_limit_is_ended(stage: Stage):
    execution_id, run = stage.claimed("check")
    stage.set(execution_id, deadline_at=datetime.now(UTC) - timedelta(minutes=5))
    stage.reconciler.sweep()
    assert stage.state(execution_id) is ExecutionState.FAILED
    assert "timed out" in (stage.read(execution_id).error_message or "")
    assert stage.gateway.told_to_stop == [run.run_id]


@pytest.mark.parametrize("status", ["CANCELED", "FAILURE"])
def test_a_run_that_was_stopped_for_its_time_limit_counts_as_timed_out_and_not_as_cancelled(
    stage: Stage, status: str
):
    execution_id, run = stage.claimed("check")
    stage.set(execution_id, deadline_at=datetime.now(UTC) - timedelta(minutes=5))
    stage.executor.beat()
    stage.executor.release(run)
    # The sweep that told it to stop died before it could write down why.
    stage.gateway.end(run.run_id, status)
    stage.reconciler.sweep()
    row = stage.row(execution_id)
    assert row.status == "failed"
    assert row.error_message.startswith("timed out")


def test_a_run_that_died_before_its_time_limit_is_lost_however_late_that_is_noticed(stage: Stage):
    execution_id, run = stage.claimed("check")
    stage.executor.release(run)
    stage.age_heartbeat(execution_id, 3600)
    stage.set(execution_id, deadline_at=datetime.now(UTC) - timedelta(minutes=5))
    stage.gateway.end(run.run_id, "FAILURE")
    stage.reconciler.sweep()
    assert stage.state(execution_id) is ExecutionState.WAITING


def test_an_execution_just_over_its_time_limit_may_stop_by_itself(stage: Stage):
    execution_id, _ = stage.claimed("check")
    stage.set(execution_id, deadline_at=datetime.now(UTC) - timedelta(seconds=1))
    assert str(stage.reconciler.sweep()) == CALM


def test_sweeps_at_the_same_time_settle_everything_once(stage: Stage):
    runs = [stage.claimed("check") for _ in range(8)]
    for _, run in runs:
        stage.kill(run)
    reports: list[SweepReport] = []
    threads = [threading.Thread(target=lambda: reports.append(stage.reconciler.sweep())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stage.reconciler.sweep()
    settled = [one.execution_id for report in reports for one in report.settled]
    assert len(settled) == len(set(settled))
    for execution_id, _ in runs:
        assert stage.attempts(execution_id) == ["lost"]
        assert stage.state(execution_id) is ExecutionState.WAITING


def test_a_lease_whose_attempt_is_over_is_freed(stage: Stage):
    execution_id, run = stage.claimed("check", configs=[{"environment": "qa"}])
    stage.perform(run)
    stage.executor.close(run)
    stage.lease("environment:qa", execution_id)
    assert stage.reconciler.sweep().freed_leases == ("environment:qa",)
    assert stage.leases() == {}


def test_what_dagster_cannot_answer_for_stays_for_the_next_sweep(stage: Stage):
    class Mute(FakeGateway):
        def fail_lost_run(self, run_id: str, message: str) -> None:
            raise OSError("no answer")

    silent, run = stage.claimed("check")
    dead, other = stage.claimed("check")
    stage.executor.release(run)
    stage.age_heartbeat(silent)
    stage.kill(other)
    mute = Mute()
    mute.runs = stage.gateway.runs
    report = Reconciler(stage.database, mute, stage.times).sweep()
    assert report.faults == (f"execution {silent} cannot be settled now: no answer",)
    assert stage.state(silent) is ExecutionState.RUNNING
    assert stage.state(dead) is ExecutionState.WAITING
    stage.reconciler.sweep()
    assert stage.state(silent) is ExecutionState.WAITING


class Interfering(FakeGateway):
    """Something happens between the first look of a sweep and its second."""

    def __init__(self, stage: Stage, happens: Callable[[], object]) -> None:
        super().__init__()
        self.runs = stage.gateway.runs
        self.happens = happens

    def get_run(self, run_id: str) -> RunInfo | None:
        self.happens()
        return super().get_run(run_id)


def test_an_execution_that_closes_while_the_sweep_looks_stays_closed(stage: Stage):
    execution_id, run = stage.claimed("check")
    stage.perform(run)

    def it_closes() -> None:
        stage.executor.close(run)
        stage.gateway.end(run.run_id, "SUCCESS")

    sweep = Reconciler(stage.database, Interfering(stage, it_closes), stage.times).sweep
    assert str(sweep()) == CALM
    assert stage.state(execution_id) is ExecutionState.COMPLETED


def test_an_attempt_that_shows_life_again_while_the_sweep_looks_is_not_lost(stage: Stage):
    execution_id, run = stage.claimed("check")
    stage.age_heartbeat(execution_id)
    sweep = Reconciler(stage.database, Interfering(stage, stage.executor.beat), stage.times).sweep
    assert str(sweep()) == CALM
    assert stage.perform(run).state == "done"
