"""A process works on what it has taken without reading it again; the database still has the last word."""

from __future__ import annotations

from uuid import UUID

import pytest

from dct_pipelines.domain.errors import ActionFailed, ExecutionCancelled, ExecutionTimedOut, StaleAttempt
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.domain.outcome import done
from dct_pipelines.engine.execute import RunIdentity
from dct_pipelines.store.database import Database
from tests.support.stage import Stage
from tests.support.statements import statements_to

pytestmark = pytest.mark.integration


@pytest.fixture
def stage(database: Database):
    stage = Stage(database)
    yield stage
    stage.stop()


def take_over(stage: Stage, execution_id: UUID, run: RunIdentity) -> RunIdentity:
    """Another process takes the execution over from the run's, which hears nothing of it."""
    stage.age_heartbeat(execution_id)
    again = stage.run(execution_id, 1, parent=run.run_id)
    assert not stage.process().claim(again).is_noop
    return again


def test_an_action_is_two_statements_to_the_database(stage: Stage):
    _, warm = stage.claimed("check")
    stage.perform(warm)
    _, run = stage.claimed("check")
    with statements_to(stage.database) as sent:
        stage.perform(run)
    assert len(sent) == 2, sent


def test_an_action_of_a_run_that_lost_its_execution_between_two_actions_does_and_writes_nothing(stage: Stage):
    execution_id, run = stage.claimed("check", "key")
    stage.perform(run, 0)
    take_over(stage, execution_id, run)
    with pytest.raises(StaleAttempt, match="attempt 1 no longer holds"):
        stage.perform(run, 1)
    assert len(stage.effects) == 1
    assert stage.result(execution_id, 1) is None
    assert stage.attempts(execution_id) == ["lost", "running"]


def test_a_run_that_lost_its_execution_before_its_end_closes_nothing_and_says_why(stage: Stage):
    execution_id, run = stage.claimed("check")
    stage.perform(run)
    take_over(stage, execution_id, run)
    report = stage.executor.close(run)
    assert report.is_noop
    assert "ended as lost: taken over by run" in report.because
    assert stage.state(execution_id) is ExecutionState.RUNNING


def test_a_run_whose_execution_another_one_completed_does_not_say_that_it_did(stage: Stage):
    execution_id, run = stage.claimed("check")
    stage.perform(run)
    again = take_over(stage, execution_id, run)
    assert stage.process().close(again).status is ExecutionState.COMPLETED
    report = stage.executor.close(run)
    assert (report.status, report.is_noop) == (ExecutionState.COMPLETED, True)


def test_an_action_that_is_settled_is_not_reported_again_by_a_run_that_lost_its_execution(stage: Stage):
    execution_id, run = stage.claimed("check")
    stage.perform(run)
    take_over(stage, execution_id, run)
    with pytest.raises(StaleAttempt, match="ended as lost"):
        stage.perform(run)


def test_what_the_attempt_before_did_is_read_by_the_one_that_takes_over(stage: Stage):
    texts = [{"text": "first"}, {"text": "{{ steps.check.text }} and second"}]
    execution_id, run = stage.claimed("check", "key", configs=texts)
    stage.perform(run, 0)
    again = take_over(stage, execution_id, run)
    assert stage.perform(again, 0).is_repeat
    assert stage.perform(again, 1).outputs == {"text": "first and second"}


def test_a_cancel_that_no_heartbeat_has_brought_stops_the_next_action_before_it_is_recorded(stage: Stage):
    execution_id, run = stage.claimed("check", "uncertain")
    stage.perform(run, 0)
    stage.process().cancel(execution_id, "kim")
    with pytest.raises(ExecutionCancelled):
        stage.perform(run, 1)
    result = stage.result(execution_id, 1)
    assert result is not None
    assert (result.state, result.error_message) == ("failed", "the execution was cancelled")
    assert stage.state(execution_id) is ExecutionState.CANCELLED
    assert len(stage.effects) == 1


def test_a_deadline_that_passes_between_two_actions_is_noticed(stage: Stage):
    execution_id, run = stage.claimed("check", "key")
    stage.perform(run, 0)
    stage.clock.advance(hours=2)
    with pytest.raises(ExecutionTimedOut):
        stage.perform(run, 1)
    assert stage.state(execution_id) is ExecutionState.FAILED


def test_a_run_that_could_not_show_life_for_long_asks_the_database_before_it_goes_on(stage: Stage):
    execution_id, run = stage.claimed("check", "key")
    stage.perform(run, 0)
    take_over(stage, execution_id, run)
    stage.executor.beat()
    with pytest.raises(StaleAttempt, match="ended as lost"):
        stage.perform(run, 1)


def test_a_run_that_failed_in_this_process_starts_anew_from_the_database(stage: Stage):
    def broken(*_):
        raise ActionFailed("no")

    stage.behaviours["check"] = broken
    execution_id, run = stage.claimed("check")
    with pytest.raises(ActionFailed):
        stage.perform(run)
    stage.behaviours["check"] = lambda *_: done("did it")
    with pytest.raises(StaleAttempt, match="ended as failed"):
        stage.perform(run)
    again = stage.run(execution_id, 1, parent=run.run_id)
    assert stage.perform(again).state == "done"


def test_runs_of_two_executions_in_one_process_do_not_mix(stage: Stage):
    first, one = stage.claimed("check", "key", configs=[{"text": "one"}, {"text": "{{ steps.check.text }}"}])
    second, two = stage.claimed("check", "key", configs=[{"text": "two"}, {"text": "{{ steps.check.text }}"}])
    for index in (0, 1):
        assert stage.perform(one, index).outputs == {"text": "one"}
        assert stage.perform(two, index).outputs == {"text": "two"}
    assert stage.executor.close(one).status is ExecutionState.COMPLETED
    assert stage.state(second) is ExecutionState.RUNNING
    assert stage.state(first) is ExecutionState.COMPLETED


def test_the_next_action_sees_outputs_as_they_can_be_stored(stage: Stage):
    stage.behaviours["check"] = lambda *_: done("read\0it", text="a\0b\ud800")
    _, run = stage.claimed("check", "key", configs=[{}, {"text": "{{ steps.check.text }}"}])
    stage.perform(run, 0)
    assert stage.perform(run, 1).outputs == {"text": "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"}
