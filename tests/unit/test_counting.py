"""Numbers and spans as sentences have them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dct_pipelines.domain.counting import counted, length_of, span_of


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 files"), (1, "1 file"), (2, "2 files"), (1200, "1,200 files")]
)
def test_one_is_not_many(count: int, said: str):
    assert counted(count, "file") == said


def test_the_verb_goes_with_it():
    said = [counted(count, "branch is", "branches are") for count in (1, 2)]
    assert said == ["1 branch is", "2 branches are"]


@pytest.mark.parametrize(
    ("seconds", "told"), [(1, "1 second"), (90, "90 seconds"), (60, "1 minute"), (300, "5 minutes")]
)
def test_a_setting_is_said_in_minutes_where_it_is_whole_ones(seconds: int, told: str):
    assert span_of(timedelta(seconds=seconds)) == told


@pytest.mark.parametrize(
    ("seconds", "told"), [(45, "45 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h")]
)
def test_how_long_something_lasts_is_said_roughly(seconds: int, told: str):
    assert length_of(timedelta(seconds=seconds)) == told
