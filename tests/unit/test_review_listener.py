"""The listener without Dagster: its loop outlives what goes wrong in one turn."""

from __future__ import annotations

import pytest

from dct_pipelines.cli.up import look
from dct_pipelines.domain.errors import DatabaseUnavailable, DctError, DiskFull
from dct_pipelines.engine.reading import TickReport


@pytest.mark.parametrize("error", [DiskFull("no room for the cache"), DatabaseUnavailable("it is away")])
def test_a_turn_that_fails_says_why_and_ends_nothing(error: DctError, capsys: pytest.CaptureFixture[str]):
    def tick(_kind: str) -> TickReport:
        raise error

    look(tick, "git", json_output=False)
    assert str(error) in capsys.readouterr().err


def test_a_turn_that_saw_nothing_says_nothing(capsys: pytest.CaptureFixture[str]):
    look(lambda _kind: TickReport(items=1), "git", json_output=False)
    look(lambda _kind: TickReport(items=1, events=2), "git", json_output=False)
    assert capsys.readouterr().out == "git: 1 items of 0 connections read, 2 new events, 0 fired\n"
