"""What commands print and providers send may hold anything; it never keeps a result from being stored."""

from __future__ import annotations

import pytest

from dct_pipelines.domain.errors import ActionFailed
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.domain.outcome import done
from dct_pipelines.store.database import Database
from tests.support.stage import Stage

pytestmark = pytest.mark.integration
UNSTORABLE = "a\0b\ud800c"
STORED = "a\ufffdb\ufffdc"
SHOWN = "a b c"
"""Summaries and messages of errors, which people read, hold no such characters at all."""


@pytest.fixture
def stage(database: Database):
    stage = Stage(database)
    yield stage
    stage.stop()


def test_a_failure_whose_message_cannot_be_stored_as_it_is_ends_the_execution_with_it(stage: Stage):
    def broken(*_):
        raise ActionFailed(UNSTORABLE)

    stage.behaviours["check"] = broken
    execution_id, run = stage.claimed("check")
    with pytest.raises(ActionFailed):
        stage.perform(run)
    assert stage.state(execution_id) is ExecutionState.FAILED
    assert SHOWN in stage.row(execution_id).error_message


def test_what_was_done_is_recorded_whatever_it_returned(stage: Stage):
    stage.behaviours["check"] = lambda *_: done(UNSTORABLE, text=UNSTORABLE, more=[{"log": UNSTORABLE}])
    execution_id, run = stage.claimed("check")
    stage.perform(run)
    result = stage.result(execution_id)
    assert result is not None
    assert (result.state, result.summary) == ("done", SHOWN)
    assert result.outputs == {"text": STORED, "more": [{"log": STORED}]}
