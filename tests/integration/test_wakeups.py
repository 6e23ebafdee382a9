"""Whoever listens hears of waiting executions, and not before they can be seen."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator

import pytest

from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.store import wakeups
from dct_pipelines.store.database import Database
from dct_pipelines.store.executions.transitions import transition
from tests.support.stage import Stage
from tests.support.world import World

pytestmark = pytest.mark.integration
Heard = Callable[[], int]
LONGEST_WAIT_SECONDS = 10


@pytest.fixture
def heard(database: Database) -> Iterator[Heard]:
    """How many wake-ups have come since it was last asked, each transaction's before the next one's."""
    listener = database.engine.raw_connection()
    driver = listener.driver_connection
    assert driver is not None
    driver.autocommit = True
    listener.cursor().execute(f"LISTEN {wakeups.EXECUTIONS}")

    def ask() -> int:
        # What was committed before this mark comes before it, so nothing is left to chance.
        listener.cursor().execute("LISTEN mark")
        listener.cursor().execute("SELECT pg_notify('mark', '')")
        came: list[str] = []
        while "mark" not in came:
            if not driver.notifies:
                assert select.select([driver], [], [], LONGEST_WAIT_SECONDS)[0]
            driver.poll()
            came += [one.channel for one in driver.notifies]
            driver.notifies.clear()
        return came.count(wakeups.EXECUTIONS)

    yield ask
    listener.invalidate()


def test_a_listener_hears_of_executions_only_once_they_are_committed(database: Database, heard: Heard):
    with database.begin() as connection:
        wakeups.notify(connection)
        wakeups.notify(connection)
        assert heard() == 0
    assert heard() == 1


def test_a_wake_up_that_is_rolled_back_is_none(database: Database, heard: Heard):
    with database.connect() as connection:
        wakeups.notify(connection)
        connection.rollback()
    assert heard() == 0


def test_a_page_whose_events_fire_wakes_once(database: Database, heard: Heard):
    world = World(database)
    world.trigger("ship")
    world.trigger("tell")
    page = world.page(world.assessed("feature/a"), world.assessed("feature/b"))
    world.intake.ingest(world.connection_id, page)
    assert heard() == 1


def test_a_page_that_fires_nothing_wakes_nobody(database: Database, heard: Heard):
    world = World(database)
    world.trigger("ship")
    world.intake.ingest(world.connection_id, world.page(world.created("feature/a")))
    assert heard() == 0


def test_an_execution_that_waits_again_wakes(database: Database, heard: Heard):
    stage = Stage(database)
    execution_id = stage.execution("check")
    assert heard() == 0
    with database.begin() as connection:
        transition(connection, execution_id, ExecutionState.FAILED, message="no")
    assert heard() == 0
    stage.executor.retry(execution_id, "somebody")
    assert heard() == 1
