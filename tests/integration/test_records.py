"""What actions record, on a real database, and behind the fence of their attempt."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import insert, select

from dct_pipelines.domain.errors import NotFound, StaleAttempt
from dct_pipelines.domain.words import CheckState, DeploymentState
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.records import Records
from tests.support.recorded import NOON, REPOSITORY, check, deployment, workspace
from tests.support.stage import MovableDatabase, Stage

pytestmark = pytest.mark.integration


@pytest.fixture
def stage(database: Database):
    stage = Stage(database)
    stage.repository()
    with database.begin() as connection:
        connection.execute(
            insert(tables.environments).values(name="qa", branch="qa", created_by="tests", spec={})
        )
    yield stage
    stage.stop()


@pytest.fixture
def records(stage: Stage) -> Records:
    execution_id, _ = stage.claimed("check")
    return Records(stage.database, stage.read(execution_id))


def test_a_deployment_is_updated_by_its_id_and_its_environment_follows(stage: Stage, records: Records):
    begun = deployment(records.execution.id, "a" * 40, 0, state=DeploymentState.RUNNING, ended_at=None)
    records.save_deployment(begun)
    assert records.current_deployment("qa") is None
    done = begun.model_copy(update={"state": DeploymentState.SUCCEEDED, "ended_at": NOON})
    records.save_deployment(done)
    assert records.current_deployment("qa") == done
    with stage.database.begin() as connection:
        row = connection.execute(select(tables.environments)).one()
    assert (row.current_commit, row.running_since) == ("a" * 40, NOON)


def test_a_deployment_to_nowhere_says_so(records: Records):
    with pytest.raises(NotFound, match="no environment 'moon'"):
        records.save_deployment(deployment(records.execution.id, "a" * 40, 0, environment="moon"))


def test_an_execution_refers_to_the_workspace_that_it_made(stage: Stage, records: Records):
    made = workspace(records.execution.id)
    records.save_workspace(made)
    assert stage.row(records.execution.id).workspace_id == made.id


def test_our_own_writes_carry_the_chain_of_triggers_that_led_to_them(stage: Stage):
    first = UUID(int=1)
    execution_id, _ = stage.claimed("check", cause_chain=[first])
    records = Records(stage.database, stage.read(execution_id))
    for _ in range(2):
        records.expect_own_write(REPOSITORY, "c" * 40)
    with stage.database.begin() as connection:
        row = connection.execute(select(tables.own_writes)).one()
    assert (row.external_id, row.execution_id, row.chain) == ("c" * 40, execution_id, [first])


def test_the_id_of_a_write_takes_the_place_of_what_was_announced(stage: Stage, records: Records):
    records.expect_own_write(REPOSITORY, "mark")
    for _ in range(2):
        records.settle_own_write(REPOSITORY, "mark", "c" * 40)
    records.expect_own_write(REPOSITORY, "in vain")
    records.settle_own_write(REPOSITORY, "in vain", None)
    with stage.database.begin() as connection:
        [row] = connection.execute(select(tables.own_writes))
    assert (row.external_id, row.execution_id) == ("c" * 40, records.execution.id)


def test_an_overtaken_attempt_records_nothing(stage: Stage):
    execution_id, run = stage.claimed("check")
    records = Records(stage.database, stage.read(execution_id))
    stage.kill(run)
    stage.reconciler.sweep()
    writes: tuple[Callable[[], None], ...] = (
        lambda: records.save_deployment(deployment(records.execution.id, "a" * 40, 0)),
        lambda: records.report_check(check(0, CheckState.SUCCESS)),
        lambda: records.save_workspace(workspace(records.execution.id)),
        lambda: records.expect_own_write(REPOSITORY, "c" * 40),
        lambda: records.settle_own_write(REPOSITORY, "mark", "c" * 40),
    )
    for write in writes:
        with pytest.raises(StaleAttempt):
            write()
    assert records.current_deployment("qa") is None


def test_a_record_waits_for_a_database_that_is_away(stage: Stage, records: Records):
    movable = MovableDatabase.beside(stage.database)
    movable.away = 3
    Records(movable, records.execution).save_deployment(deployment(records.execution.id, "a" * 40, 0))
    assert records.current_deployment("qa") is not None
