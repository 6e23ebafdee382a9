"""What commands print is for people's eyes."""

from __future__ import annotations

import pytest

from dct_pipelines.cli.output import span


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0, "0 ms"), (0.042, "42 ms"), (0.9996, "1.0 s"), (1.74, "1.7 s"), (90.0, "90.0 s")],
)
def test_a_span_is_told_in_the_unit_that_shows_it(seconds: float, said: str):
    assert span(seconds) == said
