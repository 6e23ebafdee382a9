"""Totals of what ended: each ending once, none passed by, and never less than before."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import delete, text, update

from dct_pipelines.store import tables, totals
from dct_pipelines.store.database import Database
from tests.integration.test_exposition import Ticking, exposition_of, scraped
from tests.support.stage import Stage
from tests.support.telemetry import begin, ended, settle
from tests.support.world import World

pytestmark = pytest.mark.integration
COMPLETED = "dct_executions_ended_total[('outcome', 'completed')]"
PATIENCE_SECONDS = 20
"""An ending is counted a second after it was written."""


@pytest.fixture
def ticking() -> Ticking:
    return Ticking()


@pytest.fixture
def world(database: Database) -> World:
    begin(database, totals.CURSOR)
    return World(database)


def test_counters_do_not_fall_when_rows_go_or_are_taken_up_again(world: World, ticking: Ticking) -> None:
    exposition = exposition_of(world.database, ticking)
    gone, again = ended(world.database, 20), ended(world.database, 10, "failed")
    before = scraped(exposition)
    rows = tables.trigger_executions
    with world.database.begin() as connection:
        connection.execute(delete(rows).where(rows.c.id == gone))
        connection.execute(update(rows).where(rows.c.id == again).values(status="waiting", completed_at=None))
    ticking.now += 3600
    after = scraped(exposition)
    ended(world.database, 5)
    ticking.now += 3600
    later = scraped(exposition_of(world.database))
    counters = [name for name in before if "_total" in name or "_bucket" in name or "_count" in name]
    assert len(counters) > 50
    assert [name for name in counters if not before[name] <= after[name] <= later[name]] == []
    assert later["dct_executions_ended_total[('outcome', 'completed')]"] == 2


def test_every_ending_is_counted_once_whoever_scrapes(world: World) -> None:
    for place in range(40):
        ended(world.database, 100 - place)
    many = [exposition_of(world.database) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda one: one.text(), many))
    found = scraped(exposition_of(world.database))
    assert found["dct_executions_ended_total[('outcome', 'completed')]"] == 40


def test_endings_of_one_moment_are_not_parted_by_a_limit(database: Database) -> None:
    begin(database, totals.CURSOR)
    for _ in range(3):
        ended(database, 60)
    with database.begin() as connection:
        connection.execute(text("UPDATE dct.trigger_executions SET completed_at = now() - interval '60 s'"))
    ended(database, 30)
    with database.begin() as connection:
        assert totals.count_endings(connection, limit=2) is True
        assert totals.read(connection).ended == {"completed": 3}
        assert totals.count_endings(connection, limit=2) is False
        assert totals.read(connection).ended == {"completed": 4}


def test_an_ending_that_is_still_being_written_is_not_passed_by(database: Database) -> None:
    begin(database, totals.CURSOR)
    stage = Stage(database)
    execution_id, _ = stage.claimed("check")
    with database.begin() as writing:
        moved = {"id": execution_id}
        ends = "UPDATE dct.trigger_executions SET status = 'failed', completed_at = clock_timestamp()"
        writing.execute(text(f"{ends} WHERE id = :id"), moved)
        # Somebody else's ending is newer, and was committed before.
        writing.execute(text("SELECT pg_sleep(1.2)"))
        other = ended(database, 0)
        with database.begin() as connection:
            connection.execute(
                text("UPDATE dct.trigger_executions SET completed_at = now() WHERE id = :id"), {"id": other}
            )
            totals.count_endings(connection)
            assert totals.read(connection).ended == {}
    stage.stop()
    settle(database)
    with database.begin() as connection:
        totals.count_endings(connection)
        assert totals.read(connection).ended == {"failed": 1, "completed": 1}


def test_scrapes_in_the_middle_of_load_miss_nothing_and_never_go_back(database: Database) -> None:
    begin(database, totals.CURSOR)
    stage, ticking, seen = Stage(database), Ticking(), [0.0]

    def work(_place: int) -> None:
        _, run = stage.claimed("check")
        stage.perform(run)
        stage.executor.close(run)

    with ThreadPoolExecutor(4) as threads:
        done = [threads.submit(work, place) for place in range(40)]
        while not all(one.done() for one in done):
            ticking.now += 3600
            seen.append(scraped(exposition_of(database, ticking))[COMPLETED])
        for one in done:
            one.result()
    stage.stop()
    until = time.monotonic() + PATIENCE_SECONDS
    while seen[-1] < 40 and time.monotonic() < until:
        ticking.now += 3600
        seen.append(scraped(exposition_of(database, ticking))[COMPLETED])
    assert seen == sorted(seen)
    assert seen[-1] == 40


def test_history_from_before_the_first_scrape_is_no_sudden_burst(database: Database) -> None:
    World(database)
    ended(database, 60)
    found = scraped(exposition_of(database))
    assert found["dct_executions_ended_total[('outcome', 'completed')]"] == 0
