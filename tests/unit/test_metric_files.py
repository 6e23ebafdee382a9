"""Parquet files of metrics: one a day, and which of its hours were computed."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dct_pipelines.clients.parquet import MetricFiles, buckets
from dct_pipelines.domain.metrics import Grain, Span
from tests.fakes.metrics import TABLES

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOURS = 72
TABLE = TABLES["execution_metrics"]


def hours(first: int, last: int) -> Span:
    """Hours since Monday began, both included."""
    return Span(Grain.HOUR, MONDAY + first * HOUR, MONDAY + (last + 1) * HOUR)


def row(bucket: datetime, trigger: str = "ship") -> dict[str, Any]:
    known = {"trigger": trigger, "executions": 1, "success_percent": 100.0}
    return {"bucket": bucket, "longest_seconds": None, "last_ended_at": bucket} | known


def begun(files: MetricFiles) -> list[datetime]:
    """The buckets of all rows of the data set."""
    return sorted(pd.read_parquet(files.directory)["bucket"].tolist())


def gaps(files: MetricFiles) -> list[datetime]:
    """What is missing between the oldest and the newest bucket that were computed."""
    extent = files.extent()
    return files.missing(extent) if extent is not None else []


@pytest.fixture
def files(tmp_path: Path) -> MetricFiles:
    return MetricFiles(tmp_path, TABLE, Grain.HOUR)


def test_files_hold_whole_days(files: MetricFiles):
    assert files.whole(hours(22, 25)) == hours(0, 47)
    assert files.whole(hours(0, 23)) == hours(0, 23)


def test_an_hour_without_rows_was_computed_all_the_same(files: MetricFiles):
    files.write(hours(4, 6), [row(MONDAY + 5 * HOUR)])
    assert files.missing(hours(3, 7)) == [MONDAY + 3 * HOUR, MONDAY + 7 * HOUR]
    assert begun(files) == [MONDAY + 5 * HOUR]


def test_a_day_without_rows_has_a_file_of_its_own(tmp_path: Path):
    days = MetricFiles(tmp_path, TABLE, Grain.DAY)
    span = Span(Grain.DAY, MONDAY, MONDAY + timedelta(days=2))
    days.write(span, [row(MONDAY)])
    assert [path.name for path in sorted(days.directory.iterdir())] == [
        "2026-03-02.parquet",
        "2026-03-03.parquet",
    ]
    assert days.missing(Span(Grain.DAY, MONDAY, MONDAY + timedelta(days=3))) == [MONDAY + timedelta(days=2)]


@pytest.mark.parametrize("lost", ["2026-03-02.parquet", ".2026-03-02.hours"])
def test_hours_whose_file_or_note_is_lost_are_missing(files: MetricFiles, lost: str):
    files.write(hours(0, 47), [])
    (files.directory / lost).unlink()
    assert files.missing(hours(0, 47)) == list(buckets(hours(0, 23)))


@pytest.mark.parametrize("name", ["2026-03-02.parquet", ".2026-03-02.hours"])
def test_what_a_power_cut_has_damaged_is_missing_and_made_again(files: MetricFiles, name: str):
    files.write(hours(0, 23), [])
    (files.directory / name).write_bytes(b"" if name.endswith("parquet") else b"\0\0\0")
    assert files.missing(hours(0, 23)) == list(buckets(hours(0, 23)))
    files.write(hours(0, 23), [])
    assert gaps(files) == []


def test_files_of_single_hours_go_when_their_day_is_written(files: MetricFiles):
    files.write(hours(0, 23), [])
    earlier = [files.directory / f"2026-03-0{day}T05Z.parquet" for day in (2, 3)]
    for path in earlier:
        path.touch()
    files.write(hours(5, 5), [row(MONDAY + 5 * HOUR)])
    assert [path.exists() for path in earlier] == [False, True]


def test_a_file_of_somebody_else_is_none_of_these(files: MetricFiles):
    files.write(hours(0, 1), [])
    (files.directory / "mine.parquet").touch()
    assert gaps(files) == []


def test_where_nothing_was_computed_nothing_lies_in_between(files: MetricFiles):
    assert files.extent() is None
    assert gaps(files) == []


def test_what_was_computed_reaches_from_the_oldest_to_the_newest(files: MetricFiles):
    files.write(hours(30, 31), [])
    files.write(hours(4, 6), [])
    assert files.extent() == hours(4, 31)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, HOURS - 1), st.integers(0, 9)), min_size=1, max_size=6))
def test_whatever_is_written_in_whatever_order_is_there_once(spans: list[tuple[int, int]]):
    with tempfile.TemporaryDirectory() as home:
        files, known = MetricFiles(Path(home), TABLE, Grain.HOUR), set[datetime]()
        for first, more in spans:
            span = hours(first, first + more)
            known |= set(buckets(span))
            whole = files.whole(span)
            files.write(
                span, [row(bucket) for bucket in sorted(known) if whole.since <= bucket < whole.until]
            )
        assert begun(files) == sorted(known)
        between = Span(Grain.HOUR, min(known), max(known) + HOUR)
        assert gaps(files) == [bucket for bucket in buckets(between) if bucket not in known]
