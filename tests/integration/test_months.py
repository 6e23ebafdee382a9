"""Making months beside a large default partition: nobody waits while it is read, and none is missing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from dct_pipelines.domain.retention import RetentionPolicy, month_of, next_month
from dct_pipelines.engine.idle import IdleWorkspaces
from dct_pipelines.engine.maintenance import Maintenance
from dct_pipelines.engine.months import Months
from dct_pipelines.engine.pacing import Pace
from dct_pipelines.engine.retention import Retention
from dct_pipelines.store import months as store
from dct_pipelines.store import partitions, tables, turn
from dct_pipelines.store.database import Database
from dct_pipelines.store.partitions import PAYLOADS
from dct_pipelines.store.schema import verify
from tests.fakes.ports import NOON
from tests.fakes.workspaces import FakeWorkspaceFiles
from tests.support.history import History
from tests.support.postgres import terminate_all

pytestmark = pytest.mark.integration
EVENTS, _ = PAYLOADS
MARCH = month_of(NOON)
APRIL = next_month(MARCH)
OLD = NOON - timedelta(days=200)
NO_READING = Pace(pause=lambda _: None, tries=2, most_read_pages=0)


@pytest.fixture
def history(database: Database) -> History:
    return History.of(database)


@pytest.fixture
def months(history: History) -> Months:
    """For which whatever lies in a default partition is much."""
    return Months(history.database, history.world.clock, NO_READING)


@pytest.fixture
def maintenance(history: History, months: Months) -> Maintenance:
    database, clock = history.database, history.world.clock
    retention = Retention(database, clock, RetentionPolicy(90, 730))
    workspaces = IdleWorkspaces(database, clock, FakeWorkspaceFiles(), 14, 3)
    return Maintenance(database, clock, replace(months, pace=Pace()), retention, workspaces)


def names(history: History) -> set[str]:
    with history.database.connect() as connection:
        return {one.name for one in partitions.listed(connection, EVENTS)}


def promised(history: History) -> list[str]:
    with history.database.connect() as connection:
        return list(store.promises(connection, EVENTS))


@contextmanager
def reading_default(history: History) -> Iterator[tuple[Connection, Callable[[], int]]]:
    """A transaction, and how often it has read the whole default partition of events so far."""
    scans = text("SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'events_default'")
    with history.database.begin() as connection:
        before = connection.scalar(scans) or 0
        yield connection, lambda: (connection.scalar(scans) or 0) - before


def test_a_month_is_attached_without_reading_the_default_partition(history: History) -> None:
    history.event(OLD)
    with reading_default(history) as (connection, reads):
        promise = store.promise(connection, EVENTS, APRIL)
        assert reads() == 0
    with reading_default(history) as (connection, reads):
        store.prove(connection, EVENTS, promise)
        assert reads() == 1
    with reading_default(history) as (connection, reads):
        store.make_proven(connection, EVENTS, APRIL, promise)
        assert reads() == 0
    with reading_default(history) as (connection, reads):
        store.make(connection, EVENTS, next_month(APRIL))
        assert reads() > 0


def test_while_the_default_partition_is_read_others_read_it_and_take_in(history: History) -> None:
    history.event(OLD)
    with history.database.begin() as connection:
        promise = store.promise(connection, EVENTS, APRIL)
    with history.database.begin() as connection:
        store.prove(connection, EVENTS, promise)
        event = history.event(NOON)
        assert event in history.ids(tables.events)


def test_the_months_to_come_are_made_beside_a_large_default_partition(
    history: History, months: Months
) -> None:
    kept = history.event(OLD)
    said = months.make()
    assert "made events_2026_04" in said
    assert any(one.startswith("events_2026_03 is not made: events_default is large") for one in said)
    assert {"events_2026_04", "events_2026_05", "events_2026_06"} <= names(history)
    now, later = history.event(NOON), history.event(APRIL)
    assert history.ids(tables.events) == {kept, now, later}
    assert promised(history) == []
    assert verify(history.database) == []


def test_a_month_of_which_a_large_default_partition_has_rows_stays_there(
    history: History, months: Months
) -> None:
    history.event(APRIL + timedelta(days=3))
    assert any("1 row of it is in events_default" in one for one in months.make())
    assert "events_2026_04" not in names(history)
    assert promised(history) == []


def test_what_was_promised_by_one_who_was_cut_off_refuses_nothing_when_its_month_comes(
    history: History, months: Months
) -> None:
    with history.database.begin() as connection:
        store.promise(connection, EVENTS, APRIL)
    with pytest.raises(IntegrityError):
        history.event(APRIL)
    replace(months, pace=replace(NO_READING, most_read_pages=5_000)).make()
    assert promised(history) == []
    history.event(APRIL)


def test_a_month_that_somebody_reads_meanwhile_is_left_and_nothing_stays_promised(
    history: History, months: Months
) -> None:
    history.event(OLD)
    with history.database.connect() as reader:
        reader.execute(text("SELECT count(*) FROM dct.events_default"))
        assert "events_2026_04 is to be made the next time" in months.make()
    assert promised(history) == []
    assert "made events_2026_04" in months.make()


def test_a_start_after_months_makes_this_one_before_anything_is_read(
    history: History, maintenance: Maintenance
) -> None:
    assert "events_2026_03" not in names(history)
    assert "made events_2026_03" in maintenance.begin()
    history.event(NOON)
    with history.database.connect() as connection:
        assert store.strays(connection, EVENTS, MARCH) == 0
    assert not [one for one in maintenance.begin() if "2026_03" in one]


def test_a_start_waits_for_nobody(history: History, maintenance: Maintenance) -> None:
    with history.database.connect() as reader:
        reader.execute(text("SELECT count(*) FROM dct.events"))
        assert "events_2026_03 is to be made the next time" in timed(maintenance)
    with turn.taken(history.database, turn.MAINTENANCE):
        assert timed(maintenance) == ()
    assert "made events_2026_03" in timed(maintenance)


def test_a_start_leaves_a_large_default_partition_to_the_daily_turn(
    history: History, maintenance: Maintenance, months: Months
) -> None:
    history.event(OLD)
    said = timed(replace(maintenance, months=months))
    assert said[0] == "made decisions_2026_03"
    assert not [one for one in said if "events" in one]


def test_a_start_is_not_failed_by_what_goes_wrong_with_months(
    history: History, maintenance: Maintenance
) -> None:
    with history.database.begin() as connection:
        connection.execute(text("CREATE TABLE dct.events_2026_03 ()"))
    [said] = timed(maintenance)
    assert "the daily maintenance will" in said
    terminate_all(str(history.database.engine.url.render_as_string(hide_password=False)))
    timed(maintenance)


def timed(maintenance: Maintenance) -> tuple[str, ...]:
    """What a start says, in less than a second; twice that, on a machine that does much else."""
    begun = time.monotonic()
    said = maintenance.begin()
    assert time.monotonic() - begun < 2
    return said
