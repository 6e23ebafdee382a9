"""How many there are of something is said in good English."""

from __future__ import annotations

import pytest

from dct_pipelines.domain.counting import counted


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 files"), (1, "1 file"), (2, "2 files"), (1200, "1,200 files")]
)
def test_one_is_not_many(count: int, said: str):
    assert counted(count, "file") == said


def test_the_verb_goes_with_it():
    said = [counted(count, "branch is", "branches are") for count in (1, 2)]
    assert said == ["1 branch is", "2 branches are"]
