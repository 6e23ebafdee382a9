"""Signs of life, and an attempt that stops by itself; the database is not reached here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, create_engine

from dct_pipelines.domain.errors import ActionInterrupted, DatabaseUnavailable, ProcessFailed
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.engine.heartbeat import Heartbeats
from dct_pipelines.engine.times import Times
from dct_pipelines.engine.watch import Watch
from dct_pipelines.store.database import Database
from dct_pipelines.store.patience import patiently
from tests.fakes.ports import FakeClock
from tests.support.rows import make_execution


class AwayDatabase(Database):
    """A database that never answers."""

    def __init__(self) -> None:
        super().__init__(create_engine("postgresql+psycopg2://nobody@/nothing"), None)
        self.asked = 0

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        self.asked += 1
        if self.asked:
            raise DatabaseUnavailable("away")
        with super().begin() as connection:
            yield connection


def test_an_attempt_that_cannot_renew_stops_before_another_may_take_over(caplog):
    now = [100.0]
    times = Times(heartbeat_seconds=10, self_fence_seconds=20, stale_seconds=30)
    database = AwayDatabase()
    heartbeats = Heartbeats(database, times, lambda: now[0])
    hold = heartbeats.watch(make_execution(ExecutionState.RUNNING, 1), {}, "run", heartbeats.now())
    for passed, may_act in ((0, True), (19.9, True), (20, False), (29, False)):
        now[0] = 100 + passed
        heartbeats.beat()
        assert heartbeats.is_renewed(hold) is may_act
    assert database.asked >= 4
    assert not hold.is_over
    assert caplog.text.count("signs of life wait for the database: away") == 1
    heartbeats.stop()


def test_what_is_released_is_renewed_no_more():
    database = AwayDatabase()
    heartbeats = Heartbeats(database, Times())
    heartbeats.watch(make_execution(ExecutionState.RUNNING, 1), {}, "run", heartbeats.now())
    heartbeats.watch(make_execution(ExecutionState.RUNNING, 2), {}, "other", heartbeats.now())
    heartbeats.release_run("run")
    heartbeats.beat()
    assert database.asked == 1
    heartbeats.stop()
    heartbeats.beat()
    assert database.asked == 1


def test_waiting_for_the_database_has_an_end():
    calls = []

    def work() -> None:
        calls.append(1)
        raise DatabaseUnavailable("away")

    with pytest.raises(DatabaseUnavailable):
        patiently(work, 0.3)
    assert len(calls) == 2


def test_other_errors_are_not_waited_for():
    def work() -> None:
        raise KeyError("nothing")

    with pytest.raises(KeyError):
        patiently(work, 60)


def test_an_action_that_had_to_stop_for_want_of_renewal_may_be_tried_again():
    now = [100.0]
    heartbeats = Heartbeats(AwayDatabase(), Times(), lambda: now[0])
    hold = heartbeats.watch(make_execution(ExecutionState.RUNNING, 1), {}, "run", heartbeats.now())
    watch = Watch(make_execution(ExecutionState.RUNNING, 1), hold, heartbeats, FakeClock(), lambda: False)
    assert not watch.must_stop()
    now[0] += Times().self_fence_seconds
    assert watch.must_stop()
    now[0] -= 1
    assert watch.interruption() is None
    verdict = watch.verdict_on(ProcessFailed("the command was killed"))
    assert isinstance(verdict, ActionInterrupted)
    assert verdict.transient
    assert "could not renew" in str(verdict)
    assert "the command was killed" in str(verdict)
    heartbeats.stop()
