"""What computes metrics, in memory and in the database: the same promises, whatever the tables show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from dct_pipelines.domain.errors import InvalidInput
from dct_pipelines.domain.metrics import ColumnType, Grain, MetricsPort, Span
from dct_pipelines.engine.metrics import MetricsService
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from tests.fakes.metrics import Fact, FakeMetrics
from tests.support.stage import QUOTAS

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
DAY = Span(Grain.DAY, MIDNIGHT, MIDNIGHT + timedelta(days=1))
HOURS = Span(Grain.HOUR, MIDNIGHT, MIDNIGHT + timedelta(days=1))
TYPES: dict[ColumnType, type] = {
    ColumnType.TEXT: str,
    ColumnType.INTEGER: int,
    ColumnType.NUMBER: float,
    ColumnType.INSTANT: datetime,
}


@dataclass(frozen=True)
class Side:
    """Metrics, and how an execution comes to end so many hours after midnight."""

    metrics: MetricsPort
    end: Callable[[float], None]


def fake_side() -> Side:
    metrics = FakeMetrics()
    return Side(metrics, lambda hour: metrics.facts.append(Fact("ship", MIDNIGHT + timedelta(hours=hour))))


def real_side(database: Database) -> Side:
    def end(hour: float) -> None:
        at = MIDNIGHT + timedelta(hours=hour)
        row = {
            "triggered_by": "manual",
            "created_by": "tests",
            "job_name": "notify_users",
            "actions": [],
            "resource_limits": {},
            "context_snapshot": {},
            "status": "completed",
            "created_at": at - timedelta(seconds=3),
            "started_at": at - timedelta(seconds=1),
            "completed_at": at,
        }
        with database.begin() as connection:
            connection.execute(insert(tables.trigger_executions).values(**row))

    return Side(MetricsService(database, QUOTAS, 300), end)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.integration)])
def side(request: pytest.FixtureRequest) -> Side:
    return fake_side() if request.param == "fake" else real_side(request.getfixturevalue("database"))


def refreshed(side: Side, span: Span) -> dict[str, list[dict[str, Any]]]:
    """Every table of that grain, refreshed in the port's order; rows without the moment of computing."""
    found = {}
    for name, table in side.metrics.tables.items():
        if span.grain in table.grains:
            side.metrics.refresh(name, span)
            found[name] = [
                {key: value for key, value in row.items() if key != "computed_at"}
                for row in side.metrics.rows(name, span)
            ]
    return found


@pytest.mark.parametrize("span", [DAY, HOURS], ids=["day", "hours"])
def test_rows_have_every_column_in_its_type_by_bucket_within_the_span(side: Side, span: Span):
    side.end(5.5)
    for name, rows in refreshed(side, span).items():
        table = side.metrics.tables[name]
        for row in rows:
            assert row.keys() == {"grain", "bucket", *(column.name for column in table.columns)}, name
            assert row["grain"] == span.grain
            assert span.since <= row["bucket"] < span.until
            assert span.grain.begin(row["bucket"].astimezone(UTC)) == row["bucket"]
            for column in table.columns:
                value = row[column.name]
                assert type(value) is TYPES[column.type] or (value is None and column.is_nullable), column
        places = [(row["bucket"], *(row[key] for key in table.keys)) for row in rows]
        assert places == sorted(set(places)), name


def test_a_table_comes_after_those_that_it_is_computed_from(side: Side):
    seen: set[str] = set()
    for name, table in side.metrics.tables.items():
        assert set(table.sources) <= seen
        assert set(table.plotted) | set(filter(None, [table.counts])) <= {one.name for one in table.columns}
        assert {key for key, _ in table.whole} <= set(table.keys)
        seen.add(name)


def test_to_refresh_again_gives_the_same_rows(side: Side):
    side.end(5.5)
    assert refreshed(side, HOURS) == refreshed(side, HOURS)


def test_what_it_says_that_it_wrote_is_there(side: Side):
    side.end(5.5)
    for name, table in side.metrics.tables.items():
        if Grain.DAY in table.grains:
            said = side.metrics.refresh(name, DAY)
            assert (said.table, said.span) == (name, DAY)
            assert said.rows == len(side.metrics.rows(name, DAY))


def test_buckets_outside_the_span_stay_as_they_are(side: Side):
    side.end(5.5)
    before = refreshed(side, HOURS)
    side.end(5.6)
    side.end(7.5)
    late = Span(Grain.HOUR, MIDNIGHT + timedelta(hours=7), MIDNIGHT + timedelta(hours=8))
    side.metrics.refresh("execution_metrics", late)
    early = Span(Grain.HOUR, MIDNIGHT, late.since)
    rows = [row for row in before["execution_metrics"] if row["bucket"] < late.since]
    assert len(side.metrics.rows("execution_metrics", early)) == len(rows)
    assert total(side, early) == {MIDNIGHT + timedelta(hours=5): 1}


def total(side: Side, span: Span) -> dict[datetime, int]:
    """The executions of each bucket by the table that counts them."""
    table = side.metrics.tables["execution_metrics"]
    counts: Counter[datetime] = Counter()
    for row in table.of_whole(side.metrics.rows(table.name, span)):
        counts[row["bucket"]] += row[table.counts]
    return {bucket: count for bucket, count in counts.items() if count}


def test_the_counts_are_those_of_an_independent_count(side: Side):
    for hour in (0.0, 5.5, 5.6, 23.9, 24.0, -0.1):
        side.end(hour)
    refreshed(side, HOURS)
    refreshed(side, DAY)
    assert total(side, HOURS) == side.metrics.counted(HOURS)
    assert side.metrics.counted(HOURS)[MIDNIGHT + timedelta(hours=5)] == 2
    assert total(side, DAY) == side.metrics.counted(DAY) == {MIDNIGHT: 4}


def test_the_first_fact_is_the_oldest(side: Side):
    assert side.metrics.first_fact() is None
    side.end(5.5)
    side.end(2.5)
    first = side.metrics.first_fact()
    assert first is not None
    assert Grain.HOUR.begin(first.astimezone(UTC)) == MIDNIGHT + timedelta(hours=2)


def test_a_table_that_says_so_has_rows_in_every_bucket_whatever_happened(side: Side):
    side.end(5.5)
    refreshed(side, HOURS)
    refreshed(side, DAY)
    steady = [table for table in side.metrics.tables.values() if table.in_every_bucket]
    assert "resource_utilization" in {table.name for table in steady}
    for table in steady:
        for span in (DAY, HOURS):
            if span.grain in table.grains:
                assert side.metrics.without_rows(table.name, span) == [], table.name


def test_buckets_without_rows_are_those_that_were_not_computed(side: Side):
    hour = Grain.HOUR.length
    computed = Span(Grain.HOUR, MIDNIGHT + 3 * hour, MIDNIGHT + 5 * hour)
    assert side.metrics.first_bucket(Grain.HOUR) is None
    side.metrics.refresh("resource_utilization", computed)
    around = Span(Grain.HOUR, MIDNIGHT + 2 * hour, MIDNIGHT + 7 * hour)
    assert side.metrics.without_rows("resource_utilization", around) == [
        MIDNIGHT + number * hour for number in (2, 5, 6)
    ]
    assert side.metrics.first_bucket(Grain.HOUR) == computed.since
    assert side.metrics.first_bucket(Grain.DAY) is None


def test_a_table_that_there_is_not_is_refused_by_name(side: Side):
    with pytest.raises(InvalidInput, match="execution_metric"):
        side.metrics.refresh("execution_metric", DAY)
    with pytest.raises(InvalidInput, match="execution_metric"):
        side.metrics.rows("execution_metric", DAY)
    with pytest.raises(InvalidInput, match="execution_metric"):
        side.metrics.without_rows("execution_metric", DAY)
