"""Readers: reads of connections side by side, and what becomes of those that take long."""

from __future__ import annotations

import logging
from datetime import timedelta
from threading import Event
from uuid import uuid4

import pytest

from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.engine.readers import Readers
from dct_pipelines.engine.reading import TickReport
from dct_pipelines.store.watching.sources import Source
from tests.fakes.ports import NOON
from tests.support.waiting import eventually


def source(name: str, failures: int = 0) -> Source:
    return Source(uuid4(), name, "git", {}, None, failures)


def test_a_read_that_fails_behind_its_tick_is_told_in_the_log(caplog: pytest.LogCaptureFixture):
    go_on = Event()

    def late(_source: Source) -> TickReport:
        assert go_on.wait(10)
        raise DatabaseUnavailable

    with caplog.at_level(logging.ERROR):
        report = Readers().read([source("shop")], late, 0)
        go_on.set()
        assert eventually(lambda: "the read of shop, which went on behind its tick, failed" in caplog.text)
    assert report.problems == ["shop takes long; its read goes on"]


def test_an_error_within_the_patience_is_raised():
    def fails(_source: Source) -> TickReport:
        raise DatabaseUnavailable

    with pytest.raises(DatabaseUnavailable):
        Readers().read([source("shop")], fails, 10)


def test_those_that_answered_last_time_are_read_first():
    order: list[str] = []
    first_is_done = Event()

    def read(one: Source) -> TickReport:
        if one.name != "well":
            assert first_is_done.wait(10)
        order.append(one.name)
        first_is_done.set()
        return TickReport(connections=1)

    report = Readers().read([source("failing", failures=2), source("well")], read, 10)
    assert order == ["well", "failing"]
    assert report.connections == 2


def test_a_tick_names_the_earliest_of_those_that_want_to_be_read_again():
    wanted = {"slow": NOON + timedelta(seconds=3), "soon": NOON + timedelta(seconds=2), "never": None}

    def read(one: Source) -> TickReport:
        return TickReport(again_at=wanted[one.name])

    report = Readers().read([source(name) for name in wanted], read, 10)
    assert report.again_at == wanted["soon"]
    assert Readers().read([source("never")], read, 10).again_at is None
