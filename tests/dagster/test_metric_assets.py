"""The metric assets: what a materialization leaves behind, and what its checks find."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import pytest

from dct_pipelines.assets.build import asset_key
from dct_pipelines.domain.metrics import Grain, Span
from tests.fakes.metrics import TABLES
from tests.support.metrics import *  # noqa: F403
from tests.support.metrics import MIDNIGHT, Laboratory

pytestmark = pytest.mark.dagster
TABLE = "execution_metrics"


def materializations(result: dg.ExecuteInProcessResult, table: str = TABLE) -> dict[str, dict[str, Any]]:
    """The metadata of each partition that was materialized."""
    found = {}
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        if materialization.asset_key.path[-1] == table:
            metadata = {name: value.value for name, value in materialization.metadata.items()}
            found[str(materialization.partition)] = metadata
    return found


def text_of(evaluation: dg.AssetCheckEvaluation, name: str) -> str:
    return str(evaluation.metadata[name].value)


def test_each_table_is_an_asset_for_each_of_its_grains(laboratory: Laboratory):
    nodes = laboratory.definitions.resolve_asset_graph().materializable_asset_keys
    assert nodes == {asset_key(table.name, grain) for table in TABLES.values() for grain in table.grains}


def test_a_backfill_of_many_partitions_is_one_refresh(laboratory: Laboratory):
    laboratory.happened("ship", 5.5)
    result = laboratory.hours(0, 23)
    day = Span(Grain.HOUR, MIDNIGHT, MIDNIGHT + timedelta(days=1))
    assert laboratory.metrics.refreshes == [(TABLE, day), ("resource_utilization", day)]
    assert len(materializations(result)) == 24
    assert set(laboratory.files()) == {f"{MIDNIGHT:%Y-%m-%d}.parquet"}


def test_a_table_is_computed_after_those_that_it_comes_from(laboratory: Laboratory):
    laboratory.happened("ship", 5.5, seconds=90.0)
    day = MIDNIGHT.strftime("%Y-%m-%d")
    laboratory.materialize(day, day, "metrics_daily")
    (row,) = laboratory.metrics.rows("slow_triggers", Span(Grain.DAY, MIDNIGHT, MIDNIGHT + timedelta(days=1)))
    assert (row["trigger"], row["longest_seconds"]) == ("ship", 90.0)


def test_the_same_again_gives_the_same_rows_and_the_same_files(laboratory: Laboratory):
    laboratory.happened("ship", 5.5)
    laboratory.happened("test", 5.7, seconds=None, completed=False)
    laboratory.hours(4, 7)
    once = laboratory.files()
    laboratory.hours(4, 7)
    assert laboratory.files() == once
    assert len(once) == 1


def test_an_hour_joins_those_of_its_day_that_are_there(laboratory: Laboratory):
    for hour in (3, 5, 9):
        laboratory.happened("ship", hour + 0.5)
        laboratory.hours(hour, hour)
    frame = pd.read_parquet(laboratory.home / "metrics" / TABLE / "hour")
    assert [bucket.hour for bucket in frame["bucket"]] == [3, 5, 9]


def test_what_ended_late_is_there_after_the_next_materialization(laboratory: Laboratory):
    laboratory.happened("ship", 5.5)
    laboratory.hours(5, 5)
    laboratory.happened("ship", 5.6)
    laboratory.hours(5, 6)
    (row,) = laboratory.metrics.rows(
        TABLE, Span(Grain.HOUR, MIDNIGHT + timedelta(hours=5), MIDNIGHT + timedelta(hours=6))
    )
    assert row["executions"] == 2


def test_the_files_are_one_typed_data_set_for_pandas_and_duckdb(laboratory: Laboratory):
    for hour, trigger in enumerate(("ship", "test", "ship", "a third")):
        laboratory.happened(trigger, hour + 0.5, seconds=float(hour) or None)
    laboratory.hours(0, 5)
    directory = laboratory.home / "metrics" / TABLE / "hour"
    frame = pd.read_parquet(directory)
    assert str(frame["bucket"].dtype).startswith("datetime64[")
    assert str(frame["bucket"].dt.tz) == "UTC"
    assert frame["executions"].dtype == "int64"
    assert list(frame.sort_values("bucket")["trigger"]) == ["ship", "test", "ship", "a third"]
    query = "SELECT trigger, sum(executions), max(longest_seconds) FROM read_parquet(?) GROUP BY 1 ORDER BY 1"
    rows = duckdb.execute(query, [str(directory / "*.parquet")]).fetchall()
    assert rows == [("a third", 1, 3.0), ("ship", 2, 2.0), ("test", 1, 1.0)]


def test_a_partition_shows_its_rows_figures_columns_and_lines_over_time(laboratory: Laboratory):
    laboratory.happened("ship", 4.5, seconds=10.0)
    laboratory.happened("ship", 5.5, seconds=20.0)
    laboratory.happened("test", 5.6, seconds=30.0, completed=False)
    made = materializations(laboratory.hours(4, 5))
    earlier, newest = (made[key] for key in sorted(made))
    assert earlier["dagster/partition_row_count"] == 1
    assert newest["dagster/partition_row_count"] == 2
    assert newest["executions"] == 2
    assert newest["mean of success_percent"] == 50.0
    assert newest["highest longest_seconds"] == 30.0
    assert "| bucket | trigger |" in newest["preview"]
    assert newest["over time"].startswith("![execution_metrics by hour](data:image/png;base64,")
    assert len(newest["over time"]) < 40_000
    assert "over time" not in earlier
    asset = laboratory.definitions.get_assets_def(asset_key(TABLE, Grain.HOUR))
    spec = next(iter(asset.specs))
    columns = {column.name: column for column in spec.metadata["dagster/column_schema"].columns}
    assert columns["longest_seconds"].description == "The longest [s]"
    assert columns["longest_seconds"].constraints.nullable
    assert spec.kinds == {"postgres", "parquet"}


def test_text_from_outside_is_no_markup(laboratory: Laboratory):
    laboratory.happened("![x](https://example.org/x.png)\n| <b>a</b> | `b`", 5.5)
    (metadata,) = materializations(laboratory.hours(5, 5)).values()
    *_, row = metadata["preview"].splitlines()
    assert "\\!\\[x\\]\\(https" in row
    assert "<b>" not in row


def test_the_checks_of_sound_numbers_pass(laboratory: Laboratory):
    laboratory.happened("ship", 5.5)
    found = laboratory.checks(laboratory.hours(4, 6), TABLE)
    assert set(found) == {"sums_match_executions", "no_gap", "no_negative_durations"}
    assert all(one.passed for one in found.values())


def test_a_count_that_is_not_that_of_the_executions_is_an_error(laboratory: Laboratory):
    laboratory.happened("ship", 5.5)
    result = laboratory.hours(5, 5)
    assert laboratory.checks(result, TABLE)["sums_match_executions"].passed
    laboratory.metrics.double_counts = True
    found = laboratory.checks(laboratory.hours(5, 5), TABLE)["sums_match_executions"]
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert "05:00: 2 in the table, 1 executions ended" in text_of(found, "what").replace("\\", "")


def test_partitions_that_were_left_out_are_a_gap(laboratory: Laboratory):
    laboratory.hours(2, 2)
    found = laboratory.checks(laboratory.hours(5, 5), TABLE)["no_gap"]
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert found.metadata["faults"].value == 2
    assert laboratory.checks(laboratory.hours(3, 4), TABLE)["no_gap"].passed


def test_a_duration_below_nothing_is_an_error_that_names_its_row(laboratory: Laboratory):
    laboratory.happened("ship", 5.5, seconds=-3.0)
    found = laboratory.checks(laboratory.hours(5, 5), TABLE)["no_negative_durations"]
    assert not found.passed
    assert "longest_seconds is -3 s (trigger ship)" in text_of(found, "what").replace("\\", "")


def test_more_in_use_than_the_quota_is_a_warning(laboratory: Laboratory):
    laboratory.happened("ship", 5.5)
    laboratory.metrics.used_percent = 104.0
    found = laboratory.checks(laboratory.hours(5, 5), "resource_utilization")["quota_not_exceeded"]
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN


def test_where_files_cannot_be_written_no_rows_say_that_all_is_well(laboratory: Laboratory):
    laboratory.happened("ship", 5.5)
    taken = laboratory.home / "metrics" / TABLE / "hour"
    taken.parent.mkdir(parents=True)
    taken.touch()
    with pytest.raises(FileExistsError):
        laboratory.hours(5, 5)
    assert TABLE not in {table for table, _ in laboratory.metrics.refreshes}
    taken.unlink()
    laboratory.hours(5, 5)
    assert [path.name for path in taken.glob(".room*")] == []


def test_what_is_older_than_the_facts_stays_as_it_was_computed(laboratory: Laboratory):
    ancient = MIDNIGHT - timedelta(days=100)
    laboratory.happened("ship", -100 * 24 + 0.5)
    laboratory.metrics.refresh(TABLE, Span(Grain.DAY, ancient, ancient + timedelta(days=1)))
    laboratory.metrics.facts.clear()
    laboratory.metrics.refreshes.clear()
    day = ancient.strftime("%Y-%m-%d")
    result = laboratory.materialize(day, day, "metrics_daily")
    assert result.success
    assert laboratory.metrics.refreshes == []
    assert materializations(result)[day]["dagster/partition_row_count"] == 1
    assert set(laboratory.files(grain=Grain.DAY)) == {f"{day}.parquet"}


def test_what_a_shorter_retention_has_deleted_is_not_counted_again_after_it_was_raised(
    laboratory: Laboratory,
):
    long_ago = MIDNIGHT - timedelta(days=20)
    laboratory.happened("ship", -20 * 24 + 0.5)
    laboratory.metrics.refresh(TABLE, Span(Grain.DAY, long_ago, long_ago + timedelta(days=1)))
    laboratory.metrics.facts.clear()
    laboratory.metrics.refreshes.clear()
    laboratory.metrics.deleted = MIDNIGHT - timedelta(days=10)
    day = long_ago.strftime("%Y-%m-%d")
    assert materializations(laboratory.materialize(day, day, "metrics_daily"))[day]["executions"] == 1
    assert laboratory.metrics.refreshes == []


def test_of_a_long_backfill_only_the_newest_partitions_carry_figures(laboratory: Laboratory):
    laboratory.happened("ship", 5.5)
    first = (MIDNIGHT - timedelta(days=4)).strftime("%Y-%m-%d-00:00")
    made = materializations(laboratory.materialize(first, MIDNIGHT.strftime("%Y-%m-%d-23:00")))
    assert len(made) == 5 * 24
    assert sum("dagster/partition_row_count" in metadata for metadata in made.values()) == 72
    assert made[MIDNIGHT.strftime("%Y-%m-%d-05:00")]["executions"] == 1
