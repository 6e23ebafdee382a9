"""A turn hands over in batches while work is short, and keeps no slot empty while work is long."""

from __future__ import annotations

from dct_pipelines.instance.handover import REFILL_SECONDS, Pace, Turn

SLOTS = 50
MORE = Turn(10, is_more=True)


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


def test_while_more_waits_a_turn_waits_until_half_of_the_slots_are_free():
    pace, _ = paced(MORE)
    assert not pace.is_due(free=24, slots=SLOTS)
    assert pace.is_due(free=25, slots=SLOTS)


def test_one_free_slot_waits_no_longer_than_a_moment_for_others():
    pace, watch = paced(MORE)
    watch.now += REFILL_SECONDS
    assert pace.is_due(free=1, slots=SLOTS)


def test_without_a_free_slot_no_turn_is_due_however_long_it_takes():
    pace, watch = paced(MORE)
    watch.now += 3600
    assert not pace.is_due(free=0, slots=SLOTS)


def test_the_only_slot_is_filled_as_soon_as_it_is_free():
    pace, _ = paced(MORE)
    assert pace.is_due(free=1, slots=1)
