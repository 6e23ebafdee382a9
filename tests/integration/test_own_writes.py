"""What we wrote through one item of a connection is known again by every item of it, and by no other's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from dct_pipelines.domain.event import EventDraft
from dct_pipelines.domain.payloads import StatusChanged
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.records import Records
from dct_pipelines.store.watching import events
from tests.support.stage import Stage

pytestmark = pytest.mark.integration
JIRA, OTHER = UUID(int=11), UUID(int=12)
TICKET, QUERY, ELSEWHERE = UUID(int=21), UUID(int=22), UUID(int=23)
MARK = "change:dct:0123456789abcdef"


@pytest.fixture
def watched(database: Database) -> Iterator[Stage]:
    """Two items of one Jira, one of another."""
    stage = Stage(database)
    with stage.database.begin() as connection:
        for connection_id, name in ((JIRA, "jira"), (OTHER, "other")):
            connection.execute(
                insert(tables.connections).values(
                    id=connection_id, name=name, kind="jira", created_by="tests"
                )
            )
        for item, kind, of in (
            (TICKET, "jira_ticket", JIRA),
            (QUERY, "jira_query", JIRA),
            (ELSEWHERE, "jira_ticket", OTHER),
        ):
            connection.execute(
                insert(tables.context_library).values(
                    id=item, name=str(item), kind=kind, connection_id=of, location="PAY-1", created_by="tests"
                )
            )
    yield stage
    stage.stop()


def draft(item_id: UUID) -> EventDraft:
    return EventDraft(
        item_id=item_id,
        subject="10000",
        dedup_key=str(uuid4()),
        occurred_at=datetime(2026, 3, 2, tzinfo=UTC),
        payload=StatusChanged(from_status="Open", to_status="Done"),
        external_ids=(MARK,),
    )


def test_every_item_of_the_connection_knows_what_was_written_there(watched: Stage):
    execution_id, _ = watched.claimed("check")
    Records(watched.database, watched.read(execution_id)).expect_own_write_at("jira", MARK)
    with watched.database.begin() as connection:
        drafts = [draft(TICKET), draft(QUERY)]
        causes = events.causes(connection, JIRA, drafts)
        assert {cause.execution_id for cause in causes.values()} == {execution_id}
        assert causes.keys() == {(TICKET, MARK), (QUERY, MARK)}
        assert events.causes(connection, OTHER, [draft(ELSEWHERE)]) == {}


def test_who_says_so_last_is_who_writes(watched: Stage):
    for _ in range(2):
        execution_id, _ = watched.claimed("check")
        records = Records(watched.database, watched.read(execution_id))
        records.expect_own_write_at("jira", MARK)
        records.expect_own_write_at("no-such-connection", MARK)
    with watched.database.begin() as connection:
        causes = events.causes(connection, JIRA, [draft(QUERY)])
        assert causes[QUERY, MARK].execution_id == execution_id
