"""Executions that providers ask to wait, and those whose credential is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dct_pipelines.domain.errors import CredentialRefused, DctError, Throttled
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.store.database import Database
from tests.support.stage import Stage

pytestmark = pytest.mark.integration


@pytest.fixture
def stage(database: Database):
    stage = Stage(database)
    yield stage
    stage.stop()


def fail(stage: Stage, error: DctError, retry: dict[str, float]):
    """An execution whose only action met this error, in its first attempt."""

    def broken(*_):
        raise error

    stage.behaviours["check"] = broken
    execution_id, run = stage.claimed("check", limits={"retry": retry})
    with pytest.raises(type(error)):
        stage.perform(run)
    return execution_id


def test_an_action_that_is_throttled_waits_exactly_as_long_as_it_was_told(stage: Stage):
    until = stage.clock.now() + timedelta(minutes=17)
    execution_id = fail(stage, Throttled("wait", not_before=until), {"backoff_seconds": 1})
    row = stage.row(execution_id)
    assert (row.status, row.not_before) == ("waiting", until)


def test_the_policys_own_pause_holds_where_it_is_longer(stage: Stage):
    until = stage.clock.now() + timedelta(seconds=1)
    execution_id = fail(stage, Throttled("wait", not_before=until), {"backoff_seconds": 600})
    assert stage.row(execution_id).not_before > until + timedelta(minutes=5)


def test_being_asked_to_wait_uses_no_attempt_up_at_first_but_ends_some_time(stage: Stage):
    error = Throttled("wait", not_before=stage.clock.now())
    execution_id = fail(stage, error, {"max_attempts": 1, "backoff_seconds": 0})
    for _ in range(8):
        assert stage.state(execution_id) is ExecutionState.WAITING
        run = stage.run(execution_id, stage.dispatch(execution_id))
        stage.executor.claim(run)
        with pytest.raises(Throttled):
            stage.perform(run)
    run = stage.run(execution_id, stage.dispatch(execution_id))
    stage.executor.claim(run)
    with pytest.raises(Throttled):
        stage.perform(run)
    assert stage.state(execution_id) is ExecutionState.FAILED
    assert "none of 10 attempts is left" in (stage.read(execution_id).error_message or "")


def test_an_action_whose_credential_is_refused_is_not_tried_again_blindly(stage: Stage):
    execution_id = fail(stage, CredentialRefused("renew the credential"), {"max_attempts": 5})
    assert stage.state(execution_id) is ExecutionState.FAILED
    assert "renew the credential" in (stage.read(execution_id).error_message or "")
