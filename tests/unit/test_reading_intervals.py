"""When a connection that answered is read again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dct_pipelines.engine.reading import HAIR, due_after

BEGAN = datetime(2026, 11, 28, 12, tzinfo=UTC)
LEAST = 5.0


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


@pytest.mark.parametrize("took", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("interval", [5.0, 30.0])
def test_an_interval_lasts_from_one_reads_begin_to_the_next_ones_but_for_a_hair(took: float, interval: float):
    assert due_after(BEGAN, BEGAN + seconds(took), interval, LEAST) == BEGAN + seconds(interval) - HAIR


def test_a_read_that_took_longer_than_its_interval_is_followed_by_a_rest():
    now = BEGAN + seconds(20)
    assert due_after(BEGAN, now, 15.0, LEAST) == now + seconds(LEAST) - HAIR


def test_no_interval_is_shorter_than_the_least():
    assert due_after(BEGAN, BEGAN, 1.0, LEAST) == BEGAN + seconds(LEAST) - HAIR


def test_a_clock_that_was_set_back_meanwhile_puts_nothing_off():
    now = BEGAN - seconds(3600)
    assert due_after(BEGAN, now, 30.0, LEAST) == now + seconds(30) - HAIR
