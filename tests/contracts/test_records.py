"""What actions record, in memory and in the database: the same questions get the same answers."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from dct_pipelines.domain.errors import NotFound
from dct_pipelines.domain.ports import RecordsPort
from dct_pipelines.domain.words import CheckState, DeploymentState, WorkspaceState
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.records import Records
from tests.fakes.records import FakeRecords
from tests.support.recorded import NOON, REPOSITORY, check, deployment, workspace
from tests.support.stage import Stage


def real_records(database: Database) -> Iterator[tuple[RecordsPort, UUID]]:
    stage = Stage(database)
    stage.repository()
    with database.begin() as connection:
        connection.execute(
            insert(tables.environments).values(name="qa", branch="qa", created_by="tests", spec={})
        )
    execution_id, _ = stage.claimed("check")
    yield Records(database, stage.read(execution_id)), execution_id
    stage.stop()


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.integration)])
def both(request: pytest.FixtureRequest) -> Iterator[tuple[RecordsPort, UUID]]:
    """The records, and the execution whose they are."""
    if request.param == "fake":
        yield FakeRecords(), uuid4()
    else:
        yield from real_records(request.getfixturevalue("database"))


@pytest.fixture
def records(both: tuple[RecordsPort, UUID]) -> RecordsPort:
    return both[0]


@pytest.fixture
def execution_id(both: tuple[RecordsPort, UUID]) -> UUID:
    return both[1]


def test_the_current_deployment_is_the_last_that_succeeded(records: RecordsPort, execution_id: UUID):
    assert records.current_deployment("qa") is None
    old, new = (
        deployment(execution_id, "a" * 40, 0),
        deployment(execution_id, "b" * 40, 5, merged_from="feature/pay"),
    )
    failed = deployment(execution_id, "c" * 40, 9, state=DeploymentState.FAILED)
    for one in (new, old, failed):
        records.save_deployment(one)
    assert records.current_deployment("qa") == new
    assert records.find_deployment(execution_id, "qa") == failed
    assert records.find_deployment(uuid4(), "qa") is None


def test_a_deployment_is_updated_by_its_id(records: RecordsPort, execution_id: UUID):
    begun = deployment(execution_id, "a" * 40, 0, state=DeploymentState.RUNNING, ended_at=None)
    records.save_deployment(begun)
    assert records.current_deployment("qa") is None
    done = begun.model_copy(update={"state": DeploymentState.SUCCEEDED, "ended_at": NOON})
    records.save_deployment(done)
    assert records.current_deployment("qa") == done


def test_an_older_result_of_a_check_never_replaces_a_later_one(records: RecordsPort):
    assert records.find_check(REPOSITORY, "a" * 40, "unit") is None
    later = check(5, CheckState.SUCCESS)
    records.report_check(check(1, CheckState.PENDING))
    records.report_check(later)
    records.report_check(check(3, CheckState.FAILURE))
    assert records.find_check(REPOSITORY, "a" * 40, "unit") == later


def test_a_workspace_is_found_by_the_action_that_made_it(records: RecordsPort, execution_id: UUID):
    made = workspace(execution_id)
    records.save_workspace(made)
    opened = made.model_copy(update={"state": WorkspaceState.OPEN, "title": "Pay more"})
    records.save_workspace(opened)
    assert records.find_workspace(execution_id, "open") == opened
    assert records.find_workspace(execution_id, "other") is None
    assert records.get_workspace(made.id) == opened
    with pytest.raises(NotFound):
        records.get_workspace(uuid4())
