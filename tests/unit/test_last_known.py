"""What is read beside: nobody waits longer than he wants to, and what is told says how old it is."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from dct_pipelines.engine.last_known import KEPT_TIMES, LastKnown

LONG = 20.0


@dataclass
class Slow:
    """A reading that ends when it may, and takes seconds of a clock moved by hand."""

    takes_seconds: float = 1.0
    now: float = 100.0
    may_end: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None
    readings: int = 0

    def read(self) -> int:
        assert self.may_end.wait(LONG)
        self.now += self.takes_seconds
        self.readings += 1
        if self.error is not None:
            raise self.error
        return self.readings

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def known(slow: Slow) -> LastKnown[int]:
    return LastKnown(slow.read, slow.monotonic)


def test_who_does_not_wait_gets_what_was_read_before_and_its_age(slow: Slow, known: LastKnown[int]) -> None:
    known.begin()
    assert known.get(0) is None
    slow.may_end.set()
    assert known.get(LONG) == (1, 0)
    slow.may_end.clear()
    slow.now += 60
    known.begin()
    assert known.get(0) == (1, 60)
    slow.may_end.set()
    assert known.get(LONG) == (2, 0)


def test_one_reading_goes_on_at_a_time_and_what_took_long_is_kept_long(
    slow: Slow, known: LastKnown[int]
) -> None:
    known.begin()
    known.begin()
    slow.may_end.set()
    assert known.get(LONG) == (1, 0)
    slow.now += KEPT_TIMES - 1
    known.begin()
    assert known.get(LONG) == (1, KEPT_TIMES - 1)
    slow.now += 1
    known.begin()
    assert known.get(LONG) == (2, 0)


def test_what_goes_wrong_is_told_once_and_nothing_is_guessed(slow: Slow, known: LastKnown[int]) -> None:
    slow.may_end.set()
    known.begin()
    assert known.get(LONG) == (1, 0)
    slow.error = ValueError("the database is away")
    slow.now += 3600
    known.begin()
    with pytest.raises(ValueError, match="away"):
        known.get(LONG)
    assert known.get(0) is None


def test_what_is_over_is_forgotten(slow: Slow, known: LastKnown[int]) -> None:
    slow.may_end.set()
    known.begin()
    assert known.get(LONG) == (1, 0)
    known.forget()
    assert known.get(0) is None


def test_a_fault_of_a_reading_that_nobody_waited_for_is_not_told_of_the_next_one(
    slow: Slow, known: LastKnown[int]
) -> None:
    slow.error = OSError("away")
    known.begin()
    assert known.get(0) is None
    slow.may_end.set()
    while known._thread is not None and known._thread.is_alive():
        known._thread.join(LONG)
    slow.error = None
    known.begin()
    assert known.get(LONG) == (2, 0)
