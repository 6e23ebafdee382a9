"""Claiming, performing and closing on a real database."""

from __future__ import annotations

from typing import Any

import pytest

from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted, ExecutionCancelled, InvalidInput
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.domain.outcome import done, nothing_to_do
from dct_pipelines.engine.execute import SKIPPED, RunIdentity
from dct_pipelines.store.database import Database
from tests.support.stage import Stage

pytestmark = pytest.mark.integration


@pytest.fixture
def stage(database: Database):
    stage = Stage(database)
    yield stage
    stage.stop()


def test_a_dispatched_execution_goes_through_its_actions_and_is_completed(stage: Stage):
    execution_id, run = stage.claimed("check", "key")
    assert stage.state(execution_id) is ExecutionState.RUNNING
    reports = [stage.perform(run, index) for index in (0, 1)]
    assert [report.state for report in reports] == ["done", "done"]
    assert stage.executor.close(run).status is ExecutionState.COMPLETED
    row = stage.row(execution_id)
    assert (row.status, row.dagster_run_id, row.attempt) == ("completed", run.run_id, 1)
    assert row.started_at <= row.completed_at < row.deadline_at
    assert row.metrics["attempts"] == 1
    assert row.metrics["ran_seconds"] >= 0
    assert stage.attempts(execution_id) == ["succeeded"]


def test_templates_see_the_event_and_the_outputs_of_earlier_actions(stage: Stage):
    texts = [{"text": "{{ event.branch }}"}, {"text": "{{ steps.check.text }} by {{ trigger.name }}"}]
    execution_id, run = stage.claimed("check", "key", configs=texts)
    stage.perform(run, 0)
    assert stage.perform(run, 1).outputs == {"text": "feature/pay by ship-it"}
    result = stage.result(execution_id, 1)
    assert result is not None
    assert result.config["text"] == "feature/pay by ship-it"


def test_a_template_without_its_value_fails_for_good_and_says_where(stage: Stage):
    execution_id, run = stage.claimed("check", configs=[{"text": "{{ event.nothing }}"}])
    with pytest.raises(ActionFailed, match="configuration of check"):
        stage.perform(run)
    result = stage.result(execution_id)
    assert result is not None
    assert (result.state, stage.state(execution_id)) == ("failed", ExecutionState.FAILED)
    assert stage.attempts(execution_id) == ["failed"]


def test_a_configuration_that_is_invalid_once_filled_in_names_its_key(stage: Stage):
    execution_id, run = stage.claimed("check", configs=[{"count": "{{ event.branch }}"}])
    with pytest.raises(ActionFailed, match="count: Input should be a valid integer"):
        stage.perform(run)
    assert stage.state(execution_id) is ExecutionState.FAILED
    assert "feature/pay" not in (stage.read(execution_id).error_message or "")


def test_an_action_cannot_be_done_before_the_one_it_follows(stage: Stage):
    execution_id, run = stage.claimed("check", "key")
    with pytest.raises(ActionFailed, match="key needs check first"):
        stage.perform(run, 1)
    assert stage.effects == []
    assert stage.state(execution_id) is ExecutionState.FAILED


def test_what_is_done_is_not_done_again_by_the_same_run(stage: Stage):
    _, run = stage.claimed("check")
    first = stage.perform(run)
    again = stage.perform(run)
    assert again.is_repeat
    assert again.outputs == first.outputs
    assert len(stage.effects) == 1


def test_nothing_to_do_is_a_result(stage: Stage):
    stage.behaviours["check"] = lambda *_: nothing_to_do("it was so already")
    execution_id, run = stage.claimed("check")
    assert stage.perform(run).state == "nothing_to_do"
    assert stage.executor.close(run).status is ExecutionState.COMPLETED
    assert stage.state(execution_id) is ExecutionState.COMPLETED


def test_a_passing_failure_waits_and_is_tried_again_in_another_run(stage: Stage):
    execution_id, run = stage.claimed("check", "key", limits={"retry": {"backoff_seconds": 7}})
    stage.perform(run, 0)

    def broken(*_):
        raise ActionInterrupted("the receiver does not answer")

    stage.behaviours["key"] = broken
    with pytest.raises(ActionInterrupted):
        stage.perform(run, 1)
    row = stage.row(execution_id)
    assert (row.status, row.wait_reason) == ("waiting", "retry_backoff")
    assert "the receiver does not answer; attempt 2 follows" in row.error_message
    assert 5 < (row.not_before - row.dispatched_at).total_seconds() < 30
    del stage.behaviours["key"]
    second = stage.run(execution_id, stage.dispatch(execution_id))
    stage.executor.claim(second)
    assert stage.perform(second, 0).is_repeat
    assert not stage.perform(second, 1).is_repeat
    assert stage.executor.close(second).status is ExecutionState.COMPLETED
    assert stage.row(execution_id).error_message is None
    assert stage.attempts(execution_id) == ["failed", "succeeded"]


def test_passing_failures_end_when_no_attempt_is_left(stage: Stage):
    def broken(*_):
        raise ActionInterrupted("the receiver does not answer")

    stage.behaviours["check"] = broken
    limits = {"retry": {"max_attempts": 2, "backoff_seconds": 0}}
    execution_id = stage.execution("check", limits=limits, dispatched=False)
    for status in (ExecutionState.WAITING, ExecutionState.FAILED):
        run = stage.run(execution_id, stage.dispatch(execution_id))
        stage.executor.claim(run)
        with pytest.raises(ActionInterrupted):
            stage.perform(run)
        assert stage.state(execution_id) is status
    assert "none of 2 attempts is left" in (stage.read(execution_id).error_message or "")


def test_a_fault_of_an_action_fails_the_execution_in_words(stage: Stage):
    def faulty(*_):
        raise KeyError("nothing")

    stage.behaviours["check"] = faulty
    execution_id, run = stage.claimed("check")
    with pytest.raises(ActionFailed, match="unexpected KeyError"):
        stage.perform(run)
    assert stage.state(execution_id) is ExecutionState.FAILED


def test_a_missing_deliverable_is_named(stage: Stage):
    execution_id, run = stage.claimed("check", deliverables=["check.text", "check.url"])
    stage.perform(run)
    report = stage.executor.close(run)
    assert report.status is ExecutionState.FAILED
    assert "check.url: check gave no url" in report.because
    row = stage.row(execution_id)
    assert row.status == "failed"
    assert row.deliverables_completed == ["check.text"]


def test_a_deliverable_path_must_exist(stage: Stage, tmp_path):
    stage.behaviours["check"] = lambda *_: done("made", path=str(tmp_path), directory=str(tmp_path / "no"))
    execution_id, run = stage.claimed("check", deliverables=["check.path", "check.directory"])
    stage.perform(run)
    report = stage.executor.close(run)
    assert report.status is ExecutionState.FAILED
    assert "/no does not exist" in report.because
    assert stage.row(execution_id).deliverables_completed == ["check.path"]


def test_closing_before_everything_is_done_fails_and_names_it(stage: Stage):
    execution_id, run = stage.claimed("check", "key")
    stage.perform(run, 0)
    report = stage.executor.close(run)
    assert report.status is ExecutionState.FAILED
    assert "not done: key" in report.because
    assert stage.state(execution_id) is ExecutionState.FAILED


def test_closing_twice_changes_nothing(stage: Stage):
    _, run = stage.claimed("check")
    stage.perform(run)
    stage.executor.close(run)
    again = stage.executor.close(run)
    assert again.is_noop
    assert again.status is ExecutionState.COMPLETED


def test_outputs_too_large_to_keep_are_left_out_and_named(stage: Stage):
    stage.behaviours["check"] = lambda *_: done("read it", text="short", report="x" * 100_000)
    _, run = stage.claimed("check")
    report = stage.perform(run)
    assert report.outputs == {"text": "short"}
    assert "too large to keep: report" in report.summary


def test_a_run_by_hand_makes_its_own_execution_once(stage: Stage):
    run = RunIdentity("manual-1", "check__check")
    actions: list[dict[str, Any]] = [{"type": "check", "config": {"text": "one"}}, {"type": "check"}]
    first = stage.executor.claim(run, actions)
    again = stage.executor.claim(run, actions)
    assert (first.execution_id, first.attempt, first.is_noop) == (again.execution_id, 1, again.is_noop)
    assert [step.name for step in stage.read(first.execution_id).steps] == ["check", "check_2"]
    assert stage.perform(run, 0).outputs == {"text": "one"}
    assert stage.perform(run, 1).outputs == {"text": "check_2"}
    assert stage.executor.close(run).status is ExecutionState.COMPLETED
    row = stage.row(first.execution_id)
    assert (row.triggered_by, row.created_by, row.event_id) == ("manual", "local", None)


def test_an_op_of_a_run_without_execution_says_what_to_do(stage: Stage):
    with pytest.raises(InvalidInput, match="launch the whole job"):
        stage.perform(RunIdentity("manual-2", "check"))


def test_a_re_execution_of_a_run_by_hand_goes_on_with_the_same_execution(stage: Stage):
    def broken(*_):
        raise ActionFailed("no")

    first = RunIdentity("manual-3", "check__key")
    claim = stage.executor.claim(first, [{"type": "check"}, {"type": "key"}])
    stage.perform(first, 0)
    stage.behaviours["key"] = broken
    with pytest.raises(ActionFailed):
        stage.perform(first, 1)
    del stage.behaviours["key"]
    again = RunIdentity("manual-4", "check__key", parent_run_id="manual-3")
    assert stage.perform(again, 1).state == "done"
    assert stage.executor.close(again).status is ExecutionState.COMPLETED
    assert stage.attempts(claim.execution_id) == ["failed", "succeeded"]


def test_a_completed_execution_is_left_alone(stage: Stage):
    execution_id, run = stage.claimed("check")
    stage.perform(run)
    stage.executor.close(run)
    again = stage.run(execution_id, 1, parent=run.run_id)
    claim = stage.executor.claim(again)
    assert claim.is_noop
    assert "already completed" in claim.because
    assert stage.perform(again).state == SKIPPED
    assert stage.executor.close(again).is_noop
    assert len(stage.effects) == 1


def test_a_cancelled_run_cancels_its_execution(stage: Stage):
    def stopped(context, _config, _ports):
        assert context.is_cancelled()
        raise ActionFailed("the command was killed")

    stage.behaviours["check"] = stopped
    execution_id, run = stage.claimed("check")
    asked = iter([False, True])
    with pytest.raises(ExecutionCancelled, match="the run was cancelled"):
        stage.executor.perform(run, 0, stage.log.append, lambda: next(asked, True))
    assert stage.state(execution_id) is ExecutionState.CANCELLED
    assert stage.attempts(execution_id) == ["cancelled"]
