"""Runs that end in the middle: nothing stays under way for ever, and a full disk is no reason to give up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, select

from dct_pipelines.domain.action import ActionContext
from dct_pipelines.domain.errors import DiskFull
from dct_pipelines.domain.outcome import Outcome, done
from dct_pipelines.domain.ports import ActionPorts
from dct_pipelines.domain.words import DeploymentState
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.records import Records
from tests.support.recorded import deployment
from tests.support.stage import Stage, Told

pytestmark = pytest.mark.integration


@pytest.fixture
def stage(database: Database) -> Iterator[Stage]:
    stage = Stage(database)
    with database.begin() as connection:
        connection.execute(
            insert(tables.environments).values(name="qa", branch="qa", created_by="tests", spec={})
        )
    yield stage
    stage.stop()


def deployment_of(stage: Stage) -> tuple[str, bool, str]:
    """State, whether it has ended, and why."""
    with stage.database.connect() as connection:
        row = connection.execute(select(tables.deployments)).one()
    return row.state, row.ended_at is not None, row.summary


def test_a_deployment_whose_run_is_lost_for_good_is_closed_as_failed(stage: Stage):
    execution_id, run = stage.claimed("check", limits={"retry": {"max_attempts": 1}})
    records = Records(stage.database, stage.read(execution_id))
    records.save_deployment(
        deployment(execution_id, "a" * 40, 0, state=DeploymentState.RUNNING, ended_at=None)
    )
    stage.kill(run)
    stage.reconciler.sweep()
    assert stage.row(execution_id).status == "failed"
    state, has_ended, why = deployment_of(stage)
    assert (state, has_ended) == ("failed", True)
    assert why.startswith("its run ended before it did: ")
    with stage.database.connect() as connection:
        assert connection.execute(select(tables.environments)).one().current_commit is None


def test_the_next_attempt_takes_the_deployment_up_again(stage: Stage):
    execution_id, run = stage.claimed("check")
    under_way = deployment(execution_id, "a" * 40, 0, state=DeploymentState.RUNNING, ended_at=None)
    Records(stage.database, stage.read(execution_id)).save_deployment(under_way)
    stage.kill(run)
    stage.reconciler.sweep()
    assert deployment_of(stage)[0] == "failed"
    stage.executor.claim(stage.run(execution_id, stage.dispatch(execution_id)))
    records = Records(stage.database, stage.read(execution_id))
    records.save_deployment(under_way)
    assert deployment_of(stage)[:2] == ("running", False)
    done = {"state": DeploymentState.SUCCEEDED, "ended_at": under_way.started_at}
    records.save_deployment(under_way.model_copy(update=done))
    assert deployment_of(stage)[0] == "succeeded"


def test_a_deployment_that_succeeded_before_its_run_was_lost_stays_so(stage: Stage):
    execution_id, run = stage.claimed("check", limits={"retry": {"max_attempts": 1}})
    Records(stage.database, stage.read(execution_id)).save_deployment(deployment(execution_id, "a" * 40, 0))
    stage.kill(run)
    stage.reconciler.sweep()
    assert deployment_of(stage)[0] == "succeeded"


def test_a_full_disk_uses_up_no_attempt_and_is_asked_again_within_a_minute(stage: Stage):
    full = iter(range(8))

    def act(_context: ActionContext, _config: Told, _ports: ActionPorts) -> Outcome:
        if next(full, None) is not None:
            raise DiskFull("the disk is full")
        return done("wrote it")

    stage.behaviours["check"] = act
    limits = {"retry": {"max_attempts": 1, "backoff_seconds": 40}}
    execution_id = stage.execution(dispatched=False, limits=limits)
    for _ in range(8):
        run = stage.run(execution_id, stage.dispatch(execution_id))
        stage.executor.claim(run)
        with pytest.raises(DiskFull):
            stage.perform(run)
        row = stage.row(execution_id)
        assert (row.status, row.wait_reason) == ("waiting", "retry_backoff")
        assert "the disk is full" in row.wait_detail
        assert (row.not_before - datetime.now(UTC)).total_seconds() <= 60
    run = stage.run(execution_id, stage.dispatch(execution_id))
    stage.executor.claim(run)
    assert stage.perform(run).state == "done"
    assert stage.executor.close(run).status == "completed"
