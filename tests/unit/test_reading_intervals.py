"""When a connection that answered is read again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dct_pipelines.engine.reading import HAIR, Rhythm

BEGAN = datetime(2026, 11, 28, 12, tzinfo=UTC)
LEAST = 5.0


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def due_after(began_at: datetime, now: datetime, interval: float) -> datetime:
    due_at, again_at = Rhythm(interval, LEAST).due_after(began_at, now, is_busy=True)
    assert again_at is None, "who was not given a busy interval is not read again within the turn"
    return due_at


@pytest.mark.parametrize("took", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("interval", [5.0, 30.0])
def test_an_interval_lasts_from_one_reads_begin_to_the_next_ones_but_for_a_hair(took: float, interval: float):
    assert due_after(BEGAN, BEGAN + seconds(took), interval) == BEGAN + seconds(interval) - HAIR


def test_a_read_that_took_longer_than_its_interval_is_followed_by_a_rest():
    now = BEGAN + seconds(20)
    assert due_after(BEGAN, now, 15.0) == now + seconds(LEAST) - HAIR


def test_no_interval_is_shorter_than_the_least():
    assert due_after(BEGAN, BEGAN, 1.0) == BEGAN + seconds(LEAST) - HAIR


def test_a_clock_that_was_set_back_meanwhile_puts_nothing_off():
    now = BEGAN - seconds(3600)
    assert due_after(BEGAN, now, 30.0) == now + seconds(30) - HAIR


@pytest.mark.parametrize("took", [0.0, 0.5, 1.9])
def test_who_is_busy_is_read_again_after_its_busy_interval(took: float):
    rhythm = Rhythm.of({"busy_interval_seconds": 2}, 30.0, LEAST)
    again_at = BEGAN + seconds(2)
    assert rhythm.due_after(BEGAN, BEGAN + seconds(took), is_busy=True) == (again_at - HAIR, again_at)


def test_who_brings_nothing_is_read_as_often_as_otherwise():
    rhythm = Rhythm.of({"busy_interval_seconds": 2, "poll_interval_seconds": 15}, 30.0, LEAST)
    assert rhythm.due_after(BEGAN, BEGAN, is_busy=False) == (BEGAN + seconds(15) - HAIR, None)


def test_a_busy_read_that_took_longer_than_its_interval_is_followed_by_the_next():
    now = BEGAN + seconds(3)
    assert Rhythm(30.0, LEAST, 2.0).due_after(BEGAN, now, is_busy=True) == (now - HAIR, now)
