"""What a soak says about series: a leak is seen, noise and saw teeth are not taken for one."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.soak.judge import growth, judged, second_half, slope
from benchmarks.soak.samples import Samples

MINUTES = [15.0 * place for place in range(240)]
"""An hour, a sample every 15 s."""


def is_met(values: list[float], what: str = "memory of daemon") -> bool:
    figure = growth(what, MINUTES, values, is_promise=True)
    return not figure.is_breach


@given(st.floats(-5, 5), st.floats(0, 100))
def test_the_slope_of_a_line_is_its_own(by: float, begin: float):
    found = slope(MINUTES[:20], [begin + by * at for at in MINUTES[:20]])
    assert found == pytest.approx(by, abs=1e-6)


def test_single_peaks_and_saw_teeth_are_no_growth():
    peak = [100.0] * 240
    peak[200:205] = [900.0] * 5
    assert is_met(peak)
    assert is_met([100.0 + place % 24 for place in range(240)])


def test_noise_is_no_growth():
    chance = random.Random(3)
    assert is_met([150 + chance.gauss(0, 6) for _ in range(240)])


def test_what_grows_while_it_warms_up_and_then_stays_is_well():
    assert is_met([min(100.0, 40 + place) for place in range(240)])


@pytest.mark.parametrize(
    ("what", "by_the_hour"),
    [
        ("memory of daemon", 20.0),
        ("files of daemon", 16.0),
        ("sessions", 10.0),
        ("processes", 6.0),
        ("log", 12.0),
    ],
)
def test_a_steady_leak_is_found_below_noise(what: str, by_the_hour: float):
    chance = random.Random(5)
    leak = [60 + by_the_hour * at / 3600 + chance.gauss(0, by_the_hour / 20) for at in MINUTES]
    assert not is_met([value - 40 for value in leak] if what != "memory of daemon" else leak, what)


def test_a_short_run_promises_nothing():
    leak = [100.0 + place for place in range(240)]
    [figure] = judged(MINUTES, {"memory": leak, "disk": leak}, minutes=5)
    assert (figure.what, figure.is_breach, figure.verdict[-6:]) == ("growth of memory", False, "MISSED")


def test_with_few_samples_nothing_is_said():
    figure = growth("memory", MINUTES[:6], [1.0] * 6, is_promise=True)
    assert (figure.value, figure.is_breach) == (None, False)


def test_the_second_half_is_that_of_time_not_of_samples():
    assert second_half([0, 1, 2, 100], [1, 2, 3, 4]) == ([100], [4])


def test_a_role_that_comes_late_was_not_there_before():
    samples = Samples()
    samples.add(0, {"memory": 1.0})
    samples.add(15, {"memory": 2.0, "memory of run": 5.0})
    samples.add(30, {"memory": 2.0})
    assert samples.series == {"memory": [1.0, 2.0, 2.0], "memory of run": [0.0, 5.0, 0.0]}
