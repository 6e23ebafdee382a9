"""Attempts: who holds an execution, who may write, and what a dead attempt leaves behind."""

from __future__ import annotations

import threading

import pytest

from dct_pipelines.domain.errors import ActionFailed, ExecutionTimedOut, StaleAttempt
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.domain.outcome import done
from dct_pipelines.engine.execute import SKIPPED, Claim
from dct_pipelines.store.database import Database
from tests.support.stage import Killed, Stage

pytestmark = pytest.mark.integration


@pytest.fixture
def stage(database: Database):
    stage = Stage(database)
    yield stage
    stage.stop()


def test_of_two_runs_that_claim_at_once_one_works_and_the_other_ends_quietly(stage: Stage):
    for _ in range(5):
        execution_id = stage.execution()
        runs = [stage.run(execution_id), stage.run(execution_id)]
        processes = [stage.process(), stage.process()]
        claims: dict[int, Claim] = {}
        start = threading.Barrier(2)

        def claim(which: int, runs=runs, processes=processes, claims=claims, start=start) -> None:
            start.wait()
            claims[which] = processes[which].claim(runs[which])

        threads = [threading.Thread(target=claim, args=(which,)) for which in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        noop, winner = sorted(claims, key=lambda which: claims[which].is_noop, reverse=True)
        assert (claims[noop].is_noop, claims[winner].is_noop) == (True, False)
        assert f"at work in run {runs[winner].run_id}" in claims[noop].because
        assert stage.perform(runs[noop], executor=processes[noop]).state == SKIPPED
        assert processes[noop].close(runs[noop]).is_noop
        assert stage.attempts(execution_id) == ["running"]


def test_a_late_run_of_an_older_attempt_does_nothing(stage: Stage):
    execution_id = stage.execution()
    late = stage.run(execution_id, 1)
    stage.dispatch(execution_id)
    claim = stage.executor.claim(late)
    assert claim.is_noop
    assert "attempt 2 is about to start" in claim.because
    current = stage.run(execution_id, 2)
    assert not stage.executor.claim(current).is_noop
    assert stage.executor.claim(late).is_noop
    assert stage.perform(late).state == SKIPPED
    assert stage.attempts(execution_id) == ["lost", "running"]


def test_a_waiting_execution_may_be_started_by_hand(stage: Stage):
    execution_id = stage.execution(dispatched=False)
    by_hand = stage.run(execution_id, None)
    assert not stage.executor.claim(by_hand).is_noop
    stage.perform(by_hand)
    assert stage.executor.close(by_hand).status is ExecutionState.COMPLETED


def test_a_dispatched_run_must_not_start_an_execution_that_waits_again(stage: Stage):
    execution_id = stage.execution()
    stage.age_dispatch(execution_id)
    stage.reconciler.sweep()
    late = stage.run(execution_id, 1)
    assert stage.executor.claim(late).is_noop
    assert stage.state(execution_id) is ExecutionState.WAITING


def test_a_re_execution_of_a_live_run_is_a_no_op(stage: Stage):
    execution_id, run = stage.claimed()
    again = stage.run(execution_id, 1, parent=run.run_id)
    assert stage.executor.claim(again).is_noop
    assert stage.perform(again).state == SKIPPED
    assert stage.perform(run).state == "done"


@pytest.mark.parametrize("how", ["its run is over", "its heartbeat is stale"])
def test_a_re_execution_takes_over_when_the_claimant_is_dead(stage: Stage, how: str):
    execution_id, run = stage.claimed("check", "key")
    stage.perform(run, 0)
    stage.executor.release(run)
    if how == "its run is over":
        stage.gateway.end(run.run_id, "FAILURE")
    else:
        stage.age_heartbeat(execution_id)
    again = stage.run(execution_id, 1, parent=run.run_id)
    assert stage.perform(again, 1).state == "done"
    assert stage.executor.close(again).status is ExecutionState.COMPLETED
    assert stage.attempts(execution_id) == ["lost", "succeeded"]
    assert len(stage.effects) == 2


def test_a_re_execution_of_a_failed_execution_repeats_only_what_failed(stage: Stage):
    def broken(*_):
        raise ActionFailed("no")

    execution_id, run = stage.claimed("check", "key")
    stage.perform(run, 0)
    stage.behaviours["key"] = broken
    with pytest.raises(ActionFailed):
        stage.perform(run, 1)
    del stage.behaviours["key"]
    again = stage.run(execution_id, 1, parent=run.run_id)
    assert stage.perform(again, 0).is_repeat
    stage.perform(again, 1)
    assert stage.executor.close(again).status is ExecutionState.COMPLETED
    assert len(stage.effects) == 2


def test_an_overtaken_attempt_cannot_write_its_result(stage: Stage):
    execution_id, run = stage.claimed("check")
    other = stage.process()

    def overtaken_meanwhile(context, *_):
        if context.attempt == 1:
            stage.executor.release(run)
            stage.age_heartbeat(execution_id)
            stage.perform(stage.run(execution_id, 1, parent=run.run_id), executor=other)
        return done(f"by attempt {context.attempt}")

    stage.behaviours["check"] = overtaken_meanwhile
    with pytest.raises(StaleAttempt, match="attempt 1 no longer holds"):
        stage.perform(run)
    result = stage.result(execution_id)
    assert result is not None
    assert (result.summary, result.attempt) == ("by attempt 2", 2)
    assert stage.state(execution_id) is ExecutionState.RUNNING
    with pytest.raises(StaleAttempt, match="ended as lost"):
        stage.perform(run)


def test_an_overtaken_attempt_cannot_fail_the_execution(stage: Stage):
    execution_id, run = stage.claimed("check")

    def overtaken_meanwhile(context, *_):
        stage.executor.release(run)
        stage.age_heartbeat(execution_id)
        stage.executor.claim(stage.run(execution_id, 1, parent=run.run_id))
        raise ActionFailed("no")

    stage.behaviours["check"] = overtaken_meanwhile
    with pytest.raises(StaleAttempt):
        stage.perform(run)
    assert stage.state(execution_id) is ExecutionState.RUNNING
    assert stage.attempts(execution_id) == ["lost", "running"]


@pytest.mark.parametrize(
    ("kind", "state", "effects"), [("check", "done", 2), ("key", "done", 2), ("uncertain", "uncertain", 1)]
)
def test_what_died_in_the_middle_is_recovered_as_its_type_declares(
    stage: Stage, kind: str, state: str, effects: int
):
    seen = []

    def dies_the_first_time(context, *_):
        seen.append((context.started_before, context.idempotency_key))
        stage.effects.append(context.idempotency_key)
        if context.attempt == 1:
            raise Killed
        return done("did it")

    stage.behaviours[kind] = dies_the_first_time
    execution_id, run = stage.claimed(kind, "check")
    with pytest.raises(Killed):
        stage.perform(run)
    result = stage.result(execution_id)
    assert result is not None
    assert result.state == "started"
    stage.kill(run)
    stage.reconciler.sweep()
    second = stage.run(execution_id, stage.dispatch(execution_id))
    report = stage.perform(second)
    assert report.state == state
    assert len(stage.effects) == effects
    assert len({key for _, key in seen}) == 1
    assert [started for started, _ in seen] == [False, True][:effects]
    stage.perform(second, 1)
    assert stage.executor.close(second).status is ExecutionState.COMPLETED
    assert stage.perform(stage.run(execution_id, 2, parent=second.run_id)).state == SKIPPED


def test_an_uncertain_action_says_so_and_is_never_done_again(stage: Stage):
    def dies(*_):
        raise Killed

    stage.behaviours["uncertain"] = dies
    execution_id, run = stage.claimed("uncertain")
    with pytest.raises(Killed):
        stage.perform(run)
    stage.kill(run)
    stage.reconciler.sweep()
    del stage.behaviours["uncertain"]
    second = stage.run(execution_id, stage.dispatch(execution_id))
    assert "nobody can tell whether it happened" in stage.perform(second).summary
    assert stage.perform(second).is_repeat
    assert stage.effects == []


def test_an_execution_over_its_time_limit_is_told_to_stop_and_fails(stage: Stage):
    def slow(context, *_):
        assert not context.is_cancelled()
        stage.clock.advance(hours=2)
        assert context.is_cancelled()
        raise ActionFailed("the command was killed")

    stage.behaviours["check"] = slow
    execution_id, run = stage.claimed("check")
    with pytest.raises(ExecutionTimedOut, match="longer than its limit of 3600 s"):
        stage.perform(run)
    assert stage.state(execution_id) is ExecutionState.FAILED
    assert "the command was killed" in (stage.read(execution_id).error_message or "")


def test_what_was_done_although_it_was_told_to_stop_is_recorded(stage: Stage):
    def finishes_anyway(context, *_):
        stage.clock.advance(hours=2)
        assert context.is_cancelled()
        return done("too late to stop")

    stage.behaviours["check"] = finishes_anyway
    execution_id, run = stage.claimed("check", "key")
    assert stage.perform(run).summary == "too late to stop"
    with pytest.raises(ExecutionTimedOut):
        stage.perform(run, 1)
    assert stage.effects == []
    assert stage.state(execution_id) is ExecutionState.FAILED
