"""Runs of attempts that were lost: none stays open in Dagster, where it would take a slot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from tests.support.stage import Stage

pytestmark = pytest.mark.integration


@pytest.fixture
def stage(database: Database):
    stage = Stage(database)
    yield stage
    stage.stop()


def test_the_run_of_an_attempt_that_was_overtaken_does_not_stay_open_in_dagster(stage: Stage):
    execution_id, dead = stage.claimed("check")
    stage.executor.release(dead)
    stage.age_heartbeat(execution_id)
    again = stage.run(execution_id, parent=dead.run_id)
    assert not stage.process().claim(again).is_noop
    stage.reconciler.sweep()
    assert stage.gateway.runs[dead.run_id].status == "STARTED"
    rows = tables.execution_attempts
    with stage.database.begin() as connection:
        ended = update(rows).where(rows.c.run_id == dead.run_id)
        connection.execute(ended.values(ended_at=datetime.now(UTC) - timedelta(minutes=1)))
    stage.reconciler.sweep()
    assert stage.gateway.runs[dead.run_id].status == "FAILURE"
    assert stage.gateway.runs[again.run_id].status == "STARTED"
    assert stage.attempts(execution_id) == ["lost", "running"]
