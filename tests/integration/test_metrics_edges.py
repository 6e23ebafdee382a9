"""What the independent calculation found: where a table once said something else than its columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dct_pipelines.domain.metrics import Grain, Span
from dct_pipelines.domain.quotas import Quotas
from dct_pipelines.domain.words import ReadOutcome
from dct_pipelines.engine.metrics import MetricsService
from dct_pipelines.store.database import Database
from tests.support.measured import Act, Ground, Past
from tests.support.reckoning import reads, trend
from tests.support.reckoning.reads import Watched
from tests.support.reckoning.trend import Used

pytestmark = pytest.mark.integration
DAY = datetime(2026, 3, 2, tzinfo=UTC)
WHOLE = Span(Grain.DAY, DAY, DAY + timedelta(days=1))


def at(hours: float) -> datetime:
    return DAY + timedelta(hours=hours)


def failed(message: str, *, of_action: bool = False) -> Past:
    act = Act("run_tests", "failed", 1, at(1), at(2), error=message if of_action else None)
    return Past("failed", at(1), completed_at=at(2), error=None if of_action else message, acts=[act])


def rows(database: Database, table: str, span: Span = WHOLE) -> list[dict[str, Any]]:
    service = MetricsService(database, Quotas(5, 4, 30, 3), 300)
    service.refresh(table, span)
    return service.rows(table, span)


def patterns(database: Database, *history: Past) -> dict[str, int]:
    Ground(database).keep(history)
    return {row["pattern"]: row["failures"] for row in rows(database, "failure_analysis")}


def test_who_left_when_a_bucket_began_was_not_there_in_it(database: Database):
    Ground(database).keep([Past("running", at(-1), dispatched_at=at(0)) for _ in range(2)])
    (whole,) = [row for row in rows(database, "queue_metrics") if row["reason"] == "all"]
    assert (whole["waits"], whole["depth_most"]) == (2, 0)


def test_failures_of_one_kind_are_one_cluster_whoever_is_written_to_and_wherever_a_file_lies(
    database: Database,
):
    found = patterns(
        database,
        failed("mail to ada@example.org was refused: 3 times"),
        failed("mail to bob.b@mail.example.org was refused: 1,000 times"),
        failed("cannot merge feature/a, see docs/a/b.md."),
        failed("cannot merge fix/b, see /srv/b.md."),
        failed("cannot clone git@example.org:a/b.git"),
        failed("cannot clone https://example.org/a/b.git"),
    )
    assert found == {
        "mail to … was refused: … times": 2,
        "cannot merge …, see ….": 2,
        "cannot clone …": 2,
    }


def test_a_message_is_its_first_line_that_says_something_or_else_that_of_the_action(database: Database):
    found = patterns(
        database,
        failed("\n\nTraceback\nboom"),
        failed("Traceback  \r\nbang"),
        failed(" \n", of_action=True),
        failed("no answer\nat all", of_action=True),
    )
    assert found == {"Traceback": 2, "(none)": 1, "no answer": 1}


def test_an_arrow_in_the_title_of_a_link_moves_no_ticket(database: Database):
    def updated(*changed: str) -> Past:
        act = Act("update_ticket", "done", 1, at(1), at(2), {"changed": changed, "status": "Done"})
        return Past("completed", at(1), completed_at=at(2), acts=[act])

    told = (("link To do → Done",), ("assignee Ada → Bob", "a comment"), ("link a → b", "To do → Done"))
    Ground(database).keep([updated(*changed) for changed in told])
    assert {row["tickets_moved"] for row in rows(database, "business_metrics")} == {1}


def test_where_no_action_took_time_none_is_the_slowest(database: Database):
    acts = [Act("run_tests", "done", 1, at(1), at(1)), Act("merge_branches", "started", 1, at(1), None)]
    Ground(database).keep([Past("failed", at(1), started_at=at(1), completed_at=at(2), acts=acts)])
    rows(database, "execution_metrics")
    (row,) = rows(database, "slow_triggers")
    assert (row["slowest_action"], row["slowest_action_percent"]) == (None, None)


def test_a_connection_that_was_read_has_existed_whatever_clocks_say(database: Database):
    watched = Watched("site", "jira", at(24.01), [(at(23.9), ReadOutcome.OK)], [at(23.95)])
    with database.begin() as connection:
        reads.keep(connection, [watched])
    (row,) = rows(database, "integration_health")
    assert (row["reads"], row["ok"], row["events"]) == (1, 1, 1)


def test_a_line_that_reaches_the_quota_on_a_whole_day_reaches_it_on_that_day(database: Database):
    days = (6, 6, 6, 7, 7, 7, 8, 8, 8)
    with database.begin() as connection:
        series = [
            Used("executions", DAY - timedelta(days=n), most, 13) for n, most in enumerate(reversed(days))
        ]
        trend.keep(connection, series)
    (row,) = rows(database, "capacity_plan")
    assert row["quota_reached_at"] == DAY + timedelta(days=16)


def test_a_bucket_that_has_not_begun_has_no_rows_whatever_clocks_say(database: Database):
    ahead = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=2)
    ground = Ground(database)
    ground.keep([Past("completed", ahead, started_at=ahead, completed_at=ahead + timedelta(minutes=1))])
    span = Span(Grain.HOUR, ahead, ahead + timedelta(hours=1))
    assert rows(database, "execution_metrics", span) == []
