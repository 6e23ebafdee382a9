"""Numbers and spans as sentences have them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dct_pipelines.domain.counting import count_of, is_or_are, length_of, span_of


def test_nouns_and_verbs_go_with_their_numbers():
    told = [f"{count_of(number, 'incident')} {is_or_are(number)} open" for number in (0, 1, 2)]
    assert told == ["0 incidents are open", "1 incident is open", "2 incidents are open"]


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
