"""When metrics are materialized, and for which partitions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from dct_pipelines.assets.scheduling import RANGE, metric_schedules
from dct_pipelines.domain.errors import DatabaseUnavailable
from tests.fakes.metrics import TABLES
from tests.support.metrics import *  # noqa: F403
from tests.support.metrics import MIDNIGHT, Laboratory, Resource

pytestmark = pytest.mark.dagster
DAY = MIDNIGHT.strftime("%Y-%m-%d")


def tick(
    laboratory: Laboratory, name: str, at: datetime, app: object | None = None, late: timedelta = timedelta()
) -> dg.RunRequest | str:
    """What the schedule asks for at that moment: a run, or why none."""
    schedules = metric_schedules(TABLES, laboratory.since, lambda: at + late)
    (schedule,) = (one for one in schedules if one.name == name)
    resources = {"dct": Resource(app or laboratory.app)}
    with dg.build_schedule_context(scheduled_execution_time=at, resources=resources) as context:
        data = schedule.evaluate_tick(context)
    return data.run_requests[0] if data.run_requests else str(data.skip_message)


def asked(found: dg.RunRequest | str) -> tuple[str, str]:
    assert isinstance(found, dg.RunRequest), found
    return found.tags[RANGE[0]], found.tags[RANGE[1]]


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
    assert asked(found) == (f"{DAY}-05:00", f"{DAY}-11:00")


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
