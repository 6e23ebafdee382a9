"""A turn hands over in batches while work is short, and keeps no slot empty while work is long."""

from __future__ import annotations

import pytest

from dct_pipelines.instance.handover import REFILL_SECONDS, Pace, Turn

SLOTS = 50
SHORT = Turn(10, is_more=True, is_short=True)
BUSY = Turn(10, is_more=True)


class Watch:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def paced(turn: Turn) -> tuple[Pace, Watch]:
    watch = Watch()
    pace = Pace(watch)
    pace.note(turn)
    return pace, watch


def test_the_first_turn_is_due():
    assert Pace(Watch()).is_due(free=0, slots=SLOTS)


def test_while_nothing_waits_for_an_end_every_turn_is_due():
    pace, _ = paced(Turn(0, is_more=False))
    assert pace.is_due(free=1, slots=SLOTS)


def test_while_more_waits_for_slots_a_turn_waits_until_half_of_them_are_free():
    pace, _ = paced(SHORT)
    assert not pace.is_due(free=24, slots=SLOTS)
    assert pace.is_due(free=25, slots=SLOTS)


def test_one_free_slot_waits_no_longer_than_a_moment_for_others():
    pace, watch = paced(SHORT)
    watch.now += REFILL_SECONDS
    assert pace.is_due(free=1, slots=SLOTS)


def test_without_a_free_slot_no_turn_is_due_however_long_it_takes():
    pace, watch = paced(SHORT)
    watch.now += 3600
    assert not pace.is_due(free=0, slots=SLOTS)


def test_the_only_slot_is_filled_as_soon_as_it_is_free():
    pace, _ = paced(SHORT)
    assert pace.is_due(free=1, slots=1)


@pytest.mark.parametrize("turn", [SHORT, BUSY])
def test_what_somebody_tells_of_is_handed_over_at_once_where_a_slot_is_free(turn: Turn):
    pace, watch = paced(turn)
    watch.now += 0.01
    pace.note(Turn(0, turn.is_more, turn.is_short))
    pace.tell()
    assert pace.is_due(free=1, slots=SLOTS)


def test_what_somebody_tells_of_while_no_slot_is_free_gets_its_reason_a_moment_later_once():
    pace, watch = paced(SHORT)
    pace.tell()
    assert not pace.is_due(free=0, slots=SLOTS)
    watch.now += REFILL_SECONDS
    assert pace.is_due(free=0, slots=SLOTS)
    pace.note(SHORT)
    watch.now += REFILL_SECONDS
    assert not pace.is_due(free=0, slots=SLOTS)


def test_a_turn_that_was_cut_off_by_its_size_is_gone_on_with_at_once():
    pace, _ = paced(BUSY)
    assert pace.is_due(free=30, slots=256)


def test_what_waits_for_its_like_is_looked_at_less_often_the_longer_that_lasts():
    pace, watch = paced(BUSY)
    turns = 0
    until = watch.now + 600
    while watch.now < until:
        watch.now += 0.1
        if pace.is_due(free=10, slots=SLOTS):
            pace.note(Turn(0, is_more=True))
            turns += 1
    assert 600 / REFILL_SECONDS * 0.9 < turns < 600 / REFILL_SECONDS * 1.1


def test_what_waits_for_short_work_of_its_like_is_looked_at_often():
    pace, watch = paced(BUSY)
    watch.now += 0.1
    assert pace.is_due(free=10, slots=SLOTS)
