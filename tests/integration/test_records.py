"""What actions record, on a real database, and behind the fence of their attempt."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select

from dct_pipelines.domain.errors import NotFound, StaleAttempt
from dct_pipelines.domain.opening import workspace_id_of
from dct_pipelines.domain.operations import Check, Deployment, DeploymentState, Workspace, WorkspaceState
from dct_pipelines.domain.words import CheckState
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.records import Records
from tests.support.stage import MovableDatabase, Stage

pytestmark = pytest.mark.integration
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
REPOSITORY = UUID(int=11)


@pytest.fixture
def stage(database: Database):
    stage = Stage(database)
    with database.begin() as connection:
        connection.execute(
            insert(tables.context_library).values(
                id=REPOSITORY,
                name="sample",
                kind="git_repository",
                location="/srv/sample.git",
                created_by="tests",
            )
        )
        connection.execute(
            insert(tables.environments).values(name="qa", branch="qa", created_by="tests", spec={})
        )
    yield stage
    stage.stop()


@pytest.fixture
def records(stage: Stage) -> Records:
    execution_id, _ = stage.claimed("check")
    return Records(stage.database, stage.read(execution_id))


def deployment(records: Records, commit: str, minutes: int, **changes) -> Deployment:
    values: dict[str, Any] = {
        "id": uuid4(),
        "environment": "qa",
        "commit": commit,
        "branch": "qa",
        "state": DeploymentState.SUCCEEDED,
        "execution_id": records.execution.id,
        "started_at": NOON + timedelta(minutes=minutes),
        "ended_at": NOON + timedelta(minutes=minutes + 1),
    }
    return Deployment(**(values | changes))


def check(minutes: int, state: CheckState) -> Check:
    return Check(
        repository_item_id=REPOSITORY,
        commit="a" * 40,
        name="unit",
        state=state,
        reported_at=NOON + timedelta(minutes=minutes),
    )


def workspace(records: Records, **changes) -> Workspace:
    values: dict[str, Any] = {
        "id": workspace_id_of(records.execution.id, "open"),
        "title": "Pay",
        "draft": "review",
        "repository_item_id": REPOSITORY,
        "branch": "ws/1",
        "start_commit": "b" * 40,
        "directory": "/srv/ws/1",
        "state": WorkspaceState.CREATING,
        "execution_id": records.execution.id,
        "suites": ("unit",),
        "created_at": NOON,
    }
    return Workspace(**(values | changes))


def test_the_current_deployment_is_the_last_that_succeeded(records: Records):
    assert records.current_deployment("qa") is None
    old, new = deployment(records, "a" * 40, 0), deployment(records, "b" * 40, 5, merged_from="feature/pay")
    failed = deployment(records, "c" * 40, 9, state=DeploymentState.FAILED)
    for one in (new, old, failed):
        records.save_deployment(one)
    assert records.current_deployment("qa") == new
    assert records.find_deployment(records.execution.id, "qa") == failed
    assert records.find_deployment(uuid4(), "qa") is None


def test_a_deployment_is_updated_by_its_id_and_its_environment_follows(stage: Stage, records: Records):
    begun = deployment(records, "a" * 40, 0, state=DeploymentState.RUNNING, ended_at=None)
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
        records.save_deployment(deployment(records, "a" * 40, 0, environment="moon"))


def test_an_older_result_of_a_check_never_replaces_a_later_one(records: Records):
    assert records.find_check(REPOSITORY, "a" * 40, "unit") is None
    later = check(5, CheckState.SUCCESS)
    records.report_check(check(1, CheckState.PENDING))
    records.report_check(later)
    records.report_check(check(3, CheckState.FAILURE))
    assert records.find_check(REPOSITORY, "a" * 40, "unit") == later


def test_a_workspace_is_found_by_the_action_that_made_it(stage: Stage, records: Records):
    made = workspace(records)
    records.save_workspace(made)
    opened = made.model_copy(update={"state": WorkspaceState.OPEN, "title": "Pay more"})
    records.save_workspace(opened)
    assert records.find_workspace(records.execution.id, "open") == opened
    assert records.find_workspace(records.execution.id, "other") is None
    assert records.get_workspace(made.id) == opened
    assert stage.row(records.execution.id).workspace_id == made.id
    with pytest.raises(NotFound):
        records.get_workspace(uuid4())


def test_our_own_writes_carry_the_chain_of_triggers_that_led_to_them(stage: Stage):
    first = UUID(int=1)
    execution_id, _ = stage.claimed("check", cause_chain=[first])
    records = Records(stage.database, stage.read(execution_id))
    for _ in range(2):
        records.expect_own_write(REPOSITORY, "c" * 40)
    with stage.database.begin() as connection:
        row = connection.execute(select(tables.own_writes)).one()
    assert (row.external_id, row.execution_id, row.chain) == ("c" * 40, execution_id, [first])


def test_an_overtaken_attempt_records_nothing(stage: Stage):
    execution_id, run = stage.claimed("check")
    records = Records(stage.database, stage.read(execution_id))
    stage.kill(run)
    stage.reconciler.sweep()
    writes: tuple[Callable[[], None], ...] = (
        lambda: records.save_deployment(deployment(records, "a" * 40, 0)),
        lambda: records.report_check(check(0, CheckState.SUCCESS)),
        lambda: records.save_workspace(workspace(records)),
        lambda: records.expect_own_write(REPOSITORY, "c" * 40),
    )
    for write in writes:
        with pytest.raises(StaleAttempt):
            write()
    assert records.current_deployment("qa") is None


def test_a_record_waits_for_a_database_that_is_away(stage: Stage, records: Records):
    movable = MovableDatabase.beside(stage.database)
    movable.away = 3
    Records(movable, records.execution).save_deployment(deployment(records, "a" * 40, 0))
    assert records.current_deployment("qa") is not None
