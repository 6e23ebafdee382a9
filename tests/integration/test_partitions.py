"""Months of events and decisions: made ahead, dropped as a whole, and nobody waits for either."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text

from dct_pipelines.domain.retention import RetentionPolicy, month_of, months_ahead, next_month
from dct_pipelines.engine.months import Months
from dct_pipelines.engine.pacing import Pace
from dct_pipelines.engine.retention import Retention
from dct_pipelines.store import months as making
from dct_pipelines.store import partitions, tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.partitions import PAYLOADS
from dct_pipelines.store.schema import optimize, verify
from tests.fakes.ports import NOON
from tests.support.history import History

pytestmark = pytest.mark.integration
EVENTS, DECISIONS = PAYLOADS
OLD = NOON - timedelta(days=200)


@pytest.fixture
def history(database: Database) -> History:
    return History.of(database)


@pytest.fixture
def retention(history: History) -> Retention:
    pace = Pace(pause=lambda _: None, tries=2)
    return Retention(history.database, history.world.clock, RetentionPolicy(90, 730), pace)


@pytest.fixture
def months(retention: Retention) -> Months:
    return Months(retention.database, retention.clock, retention.pace)


def names(database: Database, payload: partitions.Payload = EVENTS) -> set[str]:
    with database.connect() as connection:
        return {one.name for one in partitions.listed(connection, payload)}


def make(history: History, month: datetime) -> None:
    for payload in PAYLOADS:
        with history.database.begin() as connection:
            making.make(connection, payload, month)


def rows_in(history: History, name: str) -> int:
    with history.database.connect() as connection:
        return connection.scalar(select(func.count()).select_from(EVENTS.part(name))) or 0


def test_a_new_database_has_this_month_and_those_that_come(database: Database) -> None:
    expected = {partitions.name_of(EVENTS, month) for month in months_ahead(datetime.now(UTC))}
    assert names(database) == expected | {"events_default"}
    assert len(names(database, DECISIONS)) == len(expected) + 1


def test_what_came_before_its_month_was_made_moves_there(history, months):
    event = history.event(NOON)
    assert rows_in(history, "events_default") == 1
    months.make()
    assert rows_in(history, "events_default") == 0
    assert rows_in(history, "events_2026_03") == 1
    assert history.ids(tables.events) == {event}
    assert verify(history.database) == []
    assert months.make() == ()


def test_a_month_of_which_much_came_already_is_left_where_it_is(history, months):
    months = replace(months, pace=replace(months.pace, most_moved=1))
    for _ in range(3):
        history.event(NOON)
    assert "3 rows" in months.make()[0]
    assert rows_in(history, "events_default") == 3


def test_an_old_month_is_dropped_and_what_is_kept_of_it_stays(history, retention):
    make(history, month_of(OLD))
    for _ in range(4):
        history.decision(history.event(OLD), OLD)
    kept = history.event(OLD)
    history.decision(kept, OLD, history.execution(kept, OLD, None))
    swept = retention.payloads()
    assert swept.counts == {"events": 4, "decisions": 4}
    assert history.ids(tables.events) == {kept} == history.ids(tables.decisions, "event_id")
    assert not {name for name in names(history.database) if name == partitions.name_of(EVENTS, OLD)}
    assert rows_in(history, "events_default") == 1
    assert retention.payloads().counts == {}


def test_an_execution_made_while_its_old_month_is_dropped_keeps_its_event(history):
    month = month_of(OLD)
    make(history, month)
    event = history.event(OLD)
    with history.database.connect() as connection:
        since = partitions.clock(connection)
        [partition] = [one for one in partitions.listed(connection, EVENTS) if one.until == next_month(month)]
    history.execution(event, datetime.now(UTC), None)
    with history.database.begin() as connection:
        assert partitions.drop(connection, EVENTS, partition, (), since) == 1
    assert history.ids(tables.events) == {event}


def test_who_reads_for_long_is_not_waited_for_and_stops_nobody(history, retention):
    make(history, month_of(OLD))
    history.event(OLD)
    with history.database.connect() as reader:
        reader.execute(select(func.count()).select_from(tables.events))
        swept = retention.payloads()
        assert swept.notes[0] == "events_2025_08 is in use; it is dropped the next time"
        assert not swept.is_whole
        history.event(NOON)
    assert retention.payloads().notes[0] == "dropped events_2025_08"


def test_a_month_with_much_that_is_kept_loses_its_rows_one_by_one(history, retention):
    retention = replace(retention, pace=replace(retention.pace, most_moved=1))
    make(history, month_of(OLD))
    kept: set[UUID] = set()
    for place in range(6):
        event = history.event(OLD)
        if place % 2:
            history.execution(event, OLD, None)
            kept.add(event)
    assert +retention.payloads().counts == {"events": 3}
    assert history.ids(tables.events) == kept
    assert partitions.name_of(EVENTS, OLD) in names(history.database)


def test_an_event_is_found_by_its_id_through_an_index_of_each_month(history):
    event = history.event(NOON)
    with history.database.connect() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(
            connection.scalars(text("EXPLAIN SELECT * FROM dct.events WHERE id = :id"), {"id": event})
        )
    assert "Seq Scan" not in plan
    assert "pkey" in plan


def test_taking_in_touches_the_month_of_now_only(history):
    """So that the months that are dropped are in nobody's way."""
    statement = text("SELECT relation::regclass::text FROM pg_locks WHERE pid = pg_backend_pid()")
    with history.database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO dct.events (seq, connection_id, item_id, subject, kind, dedup_key, occurred_at,"
                " observed_at, release) VALUES (1, :id, :id, '', '', '', now(), now(), '')"
            ),
            {"id": uuid4()},
        )
        locked = {name for name in connection.scalars(statement) if name and "events_" in name}
    month = partitions.name_of(EVENTS, datetime.now(UTC))
    assert {name.removeprefix("dct.") for name in locked} >= {month}
    assert "dct.events_default" not in locked


def test_an_index_of_a_partitioned_table_is_built_month_by_month(history):
    run = [
        "DROP INDEX dct.ix_events_kind_seq",
        "DROP INDEX dct.ix_events_occurred_at",
        "CREATE INDEX ix_events_occurred_at ON dct.events (kind)",
        "DROP INDEX dct.ix_decisions_execution_id",
        "CREATE INDEX ix_decisions_execution_id ON ONLY dct.decisions (execution_id)",
    ]
    with history.database.begin() as connection:
        for statement in run:
            connection.execute(text(statement))
    assert "index ix_decisions_execution_id of dct.decisions is invalid" in "\n".join(
        verify(history.database)
    )
    assert optimize(history.database)[:-1] == [
        "rebuilt the invalid index ix_decisions_execution_id of dct.decisions",
        "built the missing index ix_events_kind_seq of dct.events",
        "replaced the changed index ix_events_occurred_at of dct.events",
    ]
    assert verify(history.database) == []


def test_those_who_take_in_wait_a_fifth_of_a_second_at_most(history, retention):
    """Behind one that waits for a reader."""
    make(history, month_of(OLD))
    history.event(OLD)
    longest = 0.0
    with history.database.connect() as reader:
        reader.execute(select(func.count()).select_from(tables.events))
        dropping = threading.Thread(target=retention.payloads)
        dropping.start()
        while dropping.is_alive():
            begun = datetime.now(UTC)
            history.event(datetime.now(UTC))
            longest = max(longest, (datetime.now(UTC) - begun).total_seconds())
        dropping.join()
    assert longest < 1
