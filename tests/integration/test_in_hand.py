"""A connection that stays in hand is as good as one from the pool, and takes none from anybody."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg2.extensions
import pytest
from sqlalchemy import text

from dct_pipelines.store.database import Database
from dct_pipelines.store.engine import RESTED_SECONDS
from dct_pipelines.store.in_hand import InHand
from tests.support.postgres import administrator

pytestmark = pytest.mark.integration
PID = text("SELECT pg_backend_pid()")


def session(database: Database) -> int:
    with database.at_once() as connection:
        return int(connection.scalar(PID) or 0)


def checked_out(database: Database) -> int:
    return int(database.engine.pool.checkedout())  # type: ignore[attr-defined]  # of a QueuePool


def test_the_same_session_serves_one_statement_after_the_other(database: Database):
    assert len({session(database) for _ in range(5)}) == 1


def test_who_needs_another_meanwhile_gets_another_and_one_stays_in_hand(database: Database):
    with database.at_once() as outer:
        assert session(database) != outer.scalar(PID)
    assert checked_out(database) == 1


def test_each_statement_is_committed_by_itself(database: Database):
    with database.begin() as connection:
        connection.execute(text("CREATE TABLE dct.kept (value integer)"))
    with database.at_once() as connection:
        connection.execute(text("INSERT INTO dct.kept VALUES (1)"))
        with database.connect() as other:
            assert other.scalar(text("SELECT count(*) FROM dct.kept")) == 1


def test_the_pool_gets_it_back_with_transactions_as_they_are(database: Database):
    kept = session(database)
    database.in_hand.release()
    with database.connect() as connection:
        assert connection.scalar(PID) == kept
        assert connection.connection.driver_connection.autocommit is False  # type: ignore[union-attr]
        connection.execute(text("CREATE TABLE dct.undone (value integer)"))
    with database.connect() as connection:
        assert connection.scalar(text("SELECT to_regclass('dct.undone')")) is None


def test_an_error_in_the_block_gives_it_back_and_the_next_one_works(database: Database):
    with pytest.raises(ValueError, match="on purpose"), database.at_once():
        raise ValueError("on purpose")
    assert checked_out(database) == 0
    assert session(database)


def test_a_session_that_the_server_ended_meanwhile_is_replaced_unseen(
    database: Database, database_url: str
) -> None:
    kept = session(database)
    with administrator(database_url) as other:
        assert other.scalar(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": kept}) is True
    assert session(database) != kept


def test_after_a_rest_the_server_is_asked_first_whether_it_is_still_there(database: Database):
    said: list[str] = []

    class Noting(psycopg2.extensions.cursor):  # type: ignore[misc]  # the driver has no types
        def execute(self, query: Any, vars: Any = None) -> None:
            said.append(query)
            super().execute(query, vars)

    now = time.monotonic() - 10 * RESTED_SECONDS
    in_hand = InHand(database.engine.connect, lambda: now)
    with in_hand.connection() as connection:
        driver: Any = connection.connection.driver_connection
        driver.cursor_factory = Noting
    now = time.monotonic()
    with in_hand.connection() as connection:
        connection.scalar(PID)
    in_hand.release()
    assert said == ["SELECT 1", str(PID)]


def test_it_goes_back_after_a_while_although_it_is_used_all_the_time(database: Database):
    taken: list[object] = []

    def take():
        taken.append(object())
        return database.engine.connect()

    now = 0.0
    in_hand = InHand(take, lambda: now)
    for _ in range(100):
        now += 1
        with in_hand.connection():
            pass
    in_hand.release()
    assert len(taken) == 2


def test_what_is_in_hand_is_given_to_who_finds_the_pool_empty(database_url: str, database: Database):
    size = database.engine.pool.size()  # type: ignore[attr-defined]
    session(database)
    with_all = [database.engine.connect() for _ in range(3 * size - 1)]
    try:
        with database.connect() as last:
            assert last.scalar(text("SELECT 1")) == 1
    finally:
        for connection in with_all:
            connection.close()


def test_however_many_threads_end_together_one_stays_in_hand(database: Database):
    together = threading.Barrier(4)

    def use() -> None:
        for _ in range(20):
            with database.at_once() as connection:
                connection.scalar(PID)
                together.wait()

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert checked_out(database) == 1
