"""When metrics are materialized, and for which partitions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
import pandas as pd
import pytest

from dct_pipelines.assets.build import asset_key
from dct_pipelines.assets.scheduling import AT_ONCE, RANGE, metric_schedules
from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.domain.metrics import Grain, Span
from tests.fakes.metrics import TABLES
from tests.support.metrics import *  # noqa: F403
from tests.support.metrics import MIDNIGHT, Laboratory, Resource

pytestmark = pytest.mark.dagster
DAY = MIDNIGHT.strftime("%Y-%m-%d")


def ticks(
    laboratory: Laboratory, name: str, at: datetime, app: object | None = None, late: timedelta = timedelta()
) -> Sequence[dg.RunRequest] | str:
    """What the schedule asks for at that moment: runs, or why none."""
    schedules = metric_schedules(TABLES, laboratory.since, lambda: at + late)
    (schedule,) = (one for one in schedules if one.name == name)
    resources = {"dct": Resource(app or laboratory.app)}
    repository = laboratory.definitions.get_repository_def()
    with dg.build_schedule_context(
        scheduled_execution_time=at, resources=resources, repository_def=repository
    ) as context:
        data = schedule.evaluate_tick(context)
    return data.run_requests or str(data.skip_message)


def tick(
    laboratory: Laboratory, name: str, at: datetime, app: object | None = None, late: timedelta = timedelta()
) -> dg.RunRequest | str:
    """The same of a tick that asks for one run at most."""
    found = ticks(laboratory, name, at, app, late)
    if isinstance(found, str):
        return found
    (only,) = found
    return only


def hourly(laboratory: Laboratory, hour: float) -> list[dg.RunRequest]:
    """What the schedule of hours asks for so many hours after yesterday's midnight; it is carried out."""
    found = ticks(laboratory, "metrics_hourly", MIDNIGHT + timedelta(hours=hour, minutes=4))
    assert not isinstance(found, str), found
    for one in found:
        laboratory.materialize(*asked(one), assets=one.asset_selection)
    return list(found)


def asked(found: dg.RunRequest | str) -> tuple[str, str]:
    assert isinstance(found, dg.RunRequest), found
    return found.tags[RANGE[0]], found.tags[RANGE[1]]


def hours(span: Span) -> tuple[int, int]:
    """The first and the last hour of a span, since yesterday's midnight."""
    return int((span.since - MIDNIGHT) / Grain.HOUR.length), int(
        (span.until - MIDNIGHT) / Grain.HOUR.length
    ) - 1


def made_up_for(laboratory: Laboratory, at: datetime) -> Sequence[dg.RunRequest]:
    found = ticks(laboratory, "metrics_daily", at)
    assert not isinstance(found, str), found
    return found


def test_each_hour_the_last_one_and_two_before_it_for_late_facts(laboratory: Laboratory):
    found = tick(laboratory, "metrics_hourly", MIDNIGHT + timedelta(hours=12, minutes=4))
    assert asked(found) == (f"{DAY}-09:00", f"{DAY}-11:00")
    assert isinstance(found, dg.RunRequest)
    assert found.run_key == f"hour {DAY}-11:00"


def test_each_day_the_last_one_and_the_one_before(laboratory: Laboratory):
    found = tick(laboratory, "metrics_daily", MIDNIGHT + timedelta(days=1, minutes=14))
    before = (MIDNIGHT - timedelta(days=1)).strftime("%Y-%m-%d")
    assert asked(found) == (before, DAY)


def test_the_first_tick_goes_back_to_the_first_fact(laboratory: Laboratory):
    laboratory.happened("ship", 1.5)
    found = tick(laboratory, "metrics_hourly", MIDNIGHT + timedelta(hours=12, minutes=4))
    assert asked(found) == (f"{DAY}-01:00", f"{DAY}-11:00")


def test_what_was_missed_while_all_stood_still_is_asked_for_by_the_next_tick(laboratory: Laboratory):
    laboratory.happened("ship", 1.5)
    laboratory.hours(1, 4)
    found = tick(laboratory, "metrics_hourly", MIDNIGHT + timedelta(hours=12, minutes=4))
    assert asked(found) == (f"{DAY}-03:00", f"{DAY}-11:00"), "with two of which late facts may be missing"


def test_a_stop_before_the_first_execution_is_made_up_for_as_well(laboratory: Laboratory):
    """Off from one night to the next; only then the first execution ever is made."""
    hourly(laboratory, -40)
    laboratory.happened("ship", 22.5)
    (found,) = hourly(laboratory, 24)
    before = (MIDNIGHT - timedelta(days=2)).strftime("%Y-%m-%d")
    assert asked(found)[0] == f"{before}-06:00", "with two of which late facts may be missing"
    (later,) = hourly(laboratory, 25)
    assert asked(later)[0] == f"{DAY}-22:00"


def test_what_one_table_lacks_is_asked_for_it_alone(laboratory: Laboratory):
    laboratory.happened("ship", 1.5)
    hourly(laboratory, 4)
    laboratory.metrics.broken.add("execution_metrics")
    for hour in range(7, 20, 3):
        hourly(laboratory, hour)
    regular, own = hourly(laboratory, 20)
    assert (asked(regular), regular.asset_selection) == ((f"{DAY}-17:00", f"{DAY}-19:00"), None)
    assert (asked(own), own.asset_selection) == (
        (f"{DAY}-02:00", f"{DAY}-16:00"),
        [asset_key("execution_metrics", Grain.HOUR)],
    )
    assert regular.run_key != own.run_key
    laboratory.metrics.broken.clear()
    laboratory.metrics.refreshes.clear()
    hourly(laboratory, 21)
    assert [(table, hours(span)) for table, span in laboratory.metrics.refreshes] == [
        ("execution_metrics", (18, 20)),
        ("resource_utilization", (18, 20)),
        ("execution_metrics", (2, 17)),
    ]
    (only,) = hourly(laboratory, 22)
    assert asked(only) == (f"{DAY}-19:00", f"{DAY}-21:00")


def test_an_hour_that_cannot_be_computed_is_tried_again_with_two_before_it_and_no_more(
    laboratory: Laboratory,
):
    laboratory.happened("ship", 1.5)
    hourly(laboratory, 9)
    (laboratory.home / "metrics/execution_metrics/hour" / f".{DAY}.hours").write_text("1 2 3 5 6 7 8")
    regular, own = hourly(laboratory, 12)
    assert asked(regular) == (f"{DAY}-09:00", f"{DAY}-11:00")
    assert asked(own) == (f"{DAY}-02:00", f"{DAY}-04:00")


def test_what_is_asked_for_at_once_has_a_bound_and_begins_with_the_newest(laboratory: Laboratory):
    laboratory.kept_days = laboratory.app.settings.metrics_retention_days = 115
    laboratory.happened("ship", -110 * 24.0)
    found = ticks(laboratory, "metrics_hourly", MIDNIGHT + timedelta(hours=12, minutes=4))
    assert not isinstance(found, str)
    assert asked(found[0]) == (f"{DAY}-09:00", f"{DAY}-11:00")
    (newest,) = found[1:]
    first, last = asked(newest)
    assert last == f"{DAY}-08:00"
    assert first == (MIDNIGHT + timedelta(hours=9) - timedelta(hours=AT_ONCE)).strftime("%Y-%m-%d-%H:00")


def test_rows_that_a_restore_took_away_are_computed_again_though_their_files_are_there(
    laboratory: Laboratory,
):
    laboratory.happened("ship", 1.5)
    hourly(laboratory, 12)
    laboratory.metrics.lose(Span(Grain.HOUR, MIDNIGHT + timedelta(hours=5), MIDNIGHT + timedelta(hours=12)))
    laboratory.happened("late", 4.5)
    result = laboratory.hours(12, 13)
    assert not laboratory.checks(result, "execution_metrics")["no_gap"].passed
    (found,) = hourly(laboratory, 14)
    assert asked(found) == (f"{DAY}-03:00", f"{DAY}-13:00"), "and what came late before the backup"
    result = laboratory.hours(13, 13)
    assert laboratory.checks(result, "execution_metrics")["no_gap"].passed
    assert laboratory.checks(result, "resource_utilization")["no_gap"].passed


def test_in_a_new_home_files_of_what_is_older_than_the_facts_are_written_once_from_the_rows(
    laboratory: Laboratory,
):
    begin = MIDNIGHT - timedelta(days=100)
    laboratory.happened("ship", -100 * 24 + 0.5)
    old = Span(Grain.DAY, begin, begin + timedelta(days=3))
    for table in TABLES:
        laboratory.metrics.refresh(table, old)
    laboratory.metrics.facts.clear()
    laboratory.metrics.refreshes.clear()
    at = MIDNIGHT + timedelta(days=1, minutes=14)
    for found in made_up_for(laboratory, at):
        laboratory.materialize(*asked(found), "metrics_daily", found.asset_selection)
    days = [f"{begin + timedelta(days=day):%Y-%m-%d}.parquet" for day in range(3)]
    for table in TABLES:
        assert list(laboratory.files(table, Grain.DAY))[:3] == days
    assert min(span.since for _, span in laboratory.metrics.refreshes) > old.until
    frame = pd.read_parquet(laboratory.home / "metrics/execution_metrics/day")
    assert frame["trigger"].tolist() == ["ship"]
    (again,) = made_up_for(laboratory, at)
    assert asked(again)[1] == DAY
    assert asked(again)[0] == (MIDNIGHT - timedelta(days=1)).strftime("%Y-%m-%d")


def test_a_run_for_some_tables_has_their_checks_and_no_others(laboratory: Laboratory):
    assets = [asset_key("execution_metrics", Grain.HOUR)]
    result = laboratory.materialize(f"{DAY}-01:00", f"{DAY}-03:00", assets=assets)
    assert laboratory.checks(result, "execution_metrics").keys() >= {"no_gap", "sums_match_executions"}
    assert laboratory.checks(result, "resource_utilization") == {}


def test_a_tick_that_comes_too_late_leaves_its_work_to_the_next(laboratory: Laboratory):
    at = MIDNIGHT + timedelta(hours=12, minutes=4)
    late = timedelta(hours=1, minutes=1)
    assert "a later tick" in str(tick(laboratory, "metrics_hourly", at, late=late))


def test_nothing_before_the_retention_is_asked_for(laboratory: Laboratory):
    laboratory.happened("ship", -100 * 24.0)
    first, _ = asked(tick(laboratory, "metrics_daily", MIDNIGHT + timedelta(days=1, minutes=14)))
    assert first == (MIDNIGHT + timedelta(days=1) - timedelta(days=laboratory.kept_days - 1)).strftime(
        "%Y-%m-%d"
    )


def test_before_the_first_day_there_is_nothing_to_do(laboratory: Laboratory):
    begin = datetime(laboratory.since.year, laboratory.since.month, laboratory.since.day, tzinfo=UTC)
    laboratory.app.settings.metrics_retention_days = 1000
    assert "metrics begin on" in str(tick(laboratory, "metrics_hourly", begin + timedelta(minutes=4)))


class Away:
    """Services whose database is away."""

    def __init__(self, laboratory: Laboratory) -> None:
        self.settings = laboratory.app.settings

    @property
    def metrics(self) -> object:
        raise DatabaseUnavailable("no connection; start it")


def test_while_the_database_is_away_a_tick_skips_and_says_so(laboratory: Laboratory):
    at = MIDNIGHT + timedelta(hours=12, minutes=4)
    assert "waiting for the database" in str(tick(laboratory, "metrics_hourly", at, Away(laboratory)))
