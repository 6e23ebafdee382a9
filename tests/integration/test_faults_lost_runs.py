"""Runs that are lost in the middle of an action: what they had under way does not stay under way for ever."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import insert, select

from dct_pipelines.domain.operations import DeploymentState
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.records import Records
from tests.support.recorded import deployment
from tests.support.stage import Stage

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
