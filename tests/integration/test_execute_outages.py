"""A database that goes away while an execution works: nothing is lost, nothing is done twice."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted, DctError, StaleAttempt
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.domain.outcome import done
from dct_pipelines.engine.execute import RunIdentity
from dct_pipelines.store.database import Database
from tests.support.stage import MovableDatabase, Stage

pytestmark = pytest.mark.integration


@pytest.fixture
def stage(database: Database):
    stage = Stage(database)
    yield stage
    stage.stop()


def test_a_result_waits_for_a_database_that_is_away(stage: Stage):
    movable = MovableDatabase.beside(stage.database)
    executor = stage.process(movable)
    execution_id = stage.execution()
    run = stage.run(execution_id)
    executor.claim(run)

    def goes_away(context, *_):
        stage.effects.append(context.idempotency_key)
        movable.away = 4
        return done("did it")

    stage.behaviours["check"] = goes_away
    assert stage.perform(run, executor=executor).state == "done"
    assert len(stage.effects) == 1
    assert any("waits for the database" in line for line in stage.log)
    assert any("the database is back" in line for line in stage.log)
    assert executor.close(run).status is ExecutionState.COMPLETED


def test_a_failure_waits_for_a_database_that_is_away(stage: Stage):
    movable = MovableDatabase.beside(stage.database)
    executor = stage.process(movable)
    execution_id = stage.execution()
    run = stage.run(execution_id)
    executor.claim(run)

    def goes_away(*_):
        movable.away = 3
        raise ActionFailed("no")

    stage.behaviours["check"] = goes_away
    with pytest.raises(DctError, match="no"):
        stage.perform(run, executor=executor)
    assert stage.state(execution_id) is ExecutionState.FAILED


def test_connections_that_break_during_an_action_are_replaced(stage: Stage):
    def cut_off(context, *_):
        stage.effects.append(context.idempotency_key)
        with stage.database.begin() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        return done("did it")

    stage.behaviours["check"] = cut_off
    _, run = stage.claimed("check", configs=[{"environment": "qa"}])
    assert stage.perform(run).state == "done"
    assert stage.executor.close(run).status is ExecutionState.COMPLETED
    assert len(stage.effects) == 1


def test_commits_whose_answer_got_lost_are_not_made_twice(stage: Stage):
    movable = MovableDatabase.beside(stage.database)
    movable.is_lossy = True
    executor = stage.process(movable)
    run = RunIdentity("manual", "check__key")
    actions: list[dict[str, Any]] = [{"type": "check", "config": {"environment": "qa"}}, {"type": "key"}]
    claim = executor.claim(run, actions)
    for index in (0, 1):
        assert stage.perform(run, index, executor).state == "done"
    assert executor.close(run).status is ExecutionState.COMPLETED
    assert stage.attempts(claim.execution_id) == ["succeeded"]
    assert len(stage.effects) == 2
    assert stage.leases() == {}


def test_a_failure_whose_answer_got_lost_is_recorded_once(stage: Stage):
    movable = MovableDatabase.beside(stage.database)
    movable.is_lossy = True
    executor = stage.process(movable)
    execution_id = stage.execution()
    run = stage.run(execution_id)
    executor.claim(run)

    def broken(*_):
        raise ActionInterrupted("the receiver does not answer")

    stage.behaviours["check"] = broken
    with pytest.raises(ActionInterrupted):
        stage.perform(run, executor=executor)
    assert stage.attempts(execution_id) == ["failed"]
    assert stage.state(execution_id) is ExecutionState.WAITING


def test_an_action_hears_that_its_attempt_was_taken_over(stage: Stage):
    execution_id, run = stage.claimed("check")
    heard: list[bool] = []

    def overtaken_meanwhile(context, *_):
        stage.gateway.end(run.run_id, "FAILURE")
        stage.reconciler.sweep()
        stage.executor.beat()
        heard.append(context.is_cancelled())
        raise ActionFailed("the command was killed")

    stage.behaviours["check"] = overtaken_meanwhile
    with pytest.raises(StaleAttempt):
        stage.perform(run)
    assert heard[-1]
    assert stage.state(execution_id) is ExecutionState.WAITING
    assert stage.attempts(execution_id) == ["lost"]
