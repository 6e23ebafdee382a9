"""Cancelling and retrying, and what triggers count of their executions."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select

from dct_pipelines.domain.errors import ActionFailed, ExecutionCancelled, IllegalTransition, NotFound
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from tests.support.stage import Stage

pytestmark = pytest.mark.integration


@pytest.fixture
def stage(database: Database):
    stage = Stage(database)
    yield stage
    stage.stop()


def test_what_waits_is_cancelled_at_once(stage: Stage):
    execution_id = stage.execution(dispatched=False)
    assert stage.executor.cancel(execution_id, "kim") is ExecutionState.CANCELLED
    assert stage.read(execution_id).error_message == "cancelled by kim"


def test_a_run_that_claims_a_cancelled_execution_does_nothing(stage: Stage):
    execution_id = stage.execution()
    run = stage.run(execution_id)
    assert stage.executor.cancel(execution_id, "kim") is ExecutionState.DISPATCHED
    assert stage.gateway.told_to_stop == [run.run_id]
    claim = stage.executor.claim(run)
    assert claim.is_noop
    assert claim.because == "cancelled by kim before it started"
    assert stage.state(execution_id) is ExecutionState.CANCELLED


def test_a_running_action_hears_that_it_is_cancelled(stage: Stage):
    execution_id, run = stage.claimed("check")

    def waits(context, *_):
        assert stage.executor.cancel(execution_id, "kim") is ExecutionState.RUNNING
        for _turn in range(1000):
            if context.is_cancelled():
                raise ActionFailed("the command was killed")
            stage.executor.beat()
        raise AssertionError("nobody told it")

    stage.behaviours["check"] = waits
    with pytest.raises(ExecutionCancelled):
        stage.perform(run)
    assert stage.gateway.told_to_stop == [run.run_id]
    row = stage.row(execution_id)
    assert (row.status, row.error_message) == ("cancelled", "cancelled by kim")


def test_a_cancel_between_two_actions_stops_the_second(stage: Stage):
    execution_id, run = stage.claimed("check", "key")
    stage.perform(run, 0)
    stage.executor.cancel(execution_id, "kim")
    with pytest.raises(ExecutionCancelled):
        stage.perform(run, 1)
    assert len(stage.effects) == 1
    assert stage.state(execution_id) is ExecutionState.CANCELLED


def test_what_has_ended_cannot_be_cancelled(stage: Stage):
    execution_id, run = stage.claimed("check")
    stage.perform(run)
    stage.executor.close(run)
    with pytest.raises(IllegalTransition, match="is completed already"):
        stage.executor.cancel(execution_id, "kim")
    with pytest.raises(NotFound, match="dct execution list"):
        stage.executor.cancel(uuid4(), "kim")


def test_a_retry_keeps_what_was_done_and_counts_attempts_anew(stage: Stage):
    def broken(*_):
        raise ActionFailed("no")

    execution_id, run = stage.claimed("check", "key", limits={"retry": {"max_attempts": 1}})
    stage.perform(run, 0)
    stage.behaviours["key"] = broken
    with pytest.raises(ActionFailed):
        stage.perform(run, 1)
    assert stage.executor.retry(execution_id, "kim") is ExecutionState.WAITING
    row = stage.row(execution_id)
    assert (row.not_before, row.completed_at, row.metrics["tried_before"]) == (None, None, 1)
    assert row.error_message == "asked for again by kim"
    del stage.behaviours["key"]
    second = stage.run(execution_id, stage.dispatch(execution_id))
    stage.executor.claim(second)
    assert stage.perform(second, 0).is_repeat
    stage.perform(second, 1)
    assert stage.executor.close(second).status is ExecutionState.COMPLETED
    assert len(stage.effects) == 2


def test_a_cancelled_execution_can_be_retried(stage: Stage):
    execution_id, run = stage.claimed("check")
    stage.executor.cancel(execution_id, "kim")
    with pytest.raises(ExecutionCancelled):
        stage.perform(run)
    stage.executor.retry(execution_id, "kim")
    assert stage.row(execution_id).cancel_requested_at is None
    second = stage.run(execution_id, stage.dispatch(execution_id))
    stage.executor.claim(second)
    assert stage.perform(second).state == "done"


def test_only_what_has_ended_can_be_retried(stage: Stage):
    execution_id = stage.execution(dispatched=False)
    with pytest.raises(IllegalTransition, match="only what failed or was cancelled"):
        stage.executor.retry(execution_id, "kim")


def trigger(stage: Stage) -> UUID:
    trigger_id = uuid4()
    with stage.database.begin() as connection:
        connection.execute(
            insert(tables.dynamic_context_triggers).values(
                id=trigger_id,
                name="ship-it",
                trigger_type="testing",
                job_name="check",
                created_by="tests",
                active_since=stage.clock.now(),
            )
        )
    return trigger_id


def test_a_trigger_counts_failures_and_knows_when_it_last_ran(stage: Stage):
    def broken(*_):
        raise ActionFailed("no")

    trigger_id = trigger(stage)
    execution_id, run = stage.claimed("check", trigger_id=trigger_id)
    stage.behaviours["check"] = broken
    with pytest.raises(ActionFailed):
        stage.perform(run)
    rows = tables.dynamic_context_triggers
    with stage.database.begin() as connection:
        row = connection.execute(select(rows).where(rows.c.id == trigger_id)).one()
        told = connection.execute(select(tables.activity).order_by(tables.activity.c.id)).all()
    assert row.failure_count == 1
    assert row.last_triggered == stage.row(execution_id).started_at
    assert [one.kind for one in told] == ["execution_dispatched", "execution_running", "execution_failed"]
    assert told[-1].data == {"from": "running", "to": "failed", "attempt": 1, "message": "check: no"}
