"""The rule of metrics: it hears of every table that should have rows, of hours, of days, and of none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from dct_pipelines.domain.metrics import Grain
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.metrics.standing import ends
from tests.fakes.ports import NOON
from tests.support.alarm import Alarm, alarm

pytestmark = pytest.mark.integration
OPENED, RESOLVED = "incidents_opened", "incidents_resolved"
HOUR = timedelta(hours=1)
NEVER_QUIET = ("execution_metrics", "response_times", "queue_metrics", "business_metrics")


@pytest.fixture(name="alarm")
def alarm_(database: Database) -> Iterator[Alarm]:
    with alarm(database) as made:
        made.clock.time = NOON
        yield made


def watch(alarm: Alarm, hours: float) -> None:
    """Time passes, with a look every five minutes, and nobody computes anything."""
    for _ in range(round(hours * 12)):
        alarm.clock.advance(minutes=5)
        alarm.look()


def work(alarm: Alarm, hours: float, *but: str) -> None:
    """Time passes with looks, and each hour its metrics are computed, but those of some tables."""
    for _ in range(round(hours * 2)):
        watch(alarm, 0.5)
        alarm.measured(Grain.HOUR.begin(alarm.clock.now()), *but)


def nothing_is_suspected(alarm: Alarm) -> bool:
    return (alarm.told(), alarm.world.rows(tables.incidents)) == ([], [])


def test_metrics_that_are_not_computed_any_more_are_told(alarm: Alarm):
    alarm.look()
    alarm.measured(NOON - 2 * HOUR)
    alarm.clock.advance(minutes=50)
    alarm.look()
    assert alarm.told() == []
    alarm.clock.advance(minutes=15)
    for _ in range(19):
        alarm.look()
        alarm.clock.advance(minutes=4)
    assert alarm.told() == []
    alarm.look()
    assert alarm.told()[0][1] == (
        "Metrics end at 2026-03-02 10:00 UTC; look at the runs of their schedule in Dagster (metrics_hourly)"
    )
    alarm.measured(Grain.HOUR.begin(alarm.clock.now()))
    alarm.look()
    assert alarm.kinds() == [OPENED, RESOLVED]


def test_metrics_that_are_computed_within_the_hour_after_a_long_stop_are_no_incident(alarm: Alarm):
    alarm.measured(Grain.HOUR.begin(alarm.clock.now()) - 20 * HOUR)
    watch(alarm, 1)
    alarm.measured(Grain.HOUR.begin(alarm.clock.now()))
    alarm.look(1)
    assert nothing_is_suspected(alarm)


def test_metrics_that_never_worked_are_told(alarm: Alarm):
    alarm.connection(created_at=alarm.clock.now())
    watch(alarm, 3)
    assert nothing_is_suspected(alarm), "it is young"
    watch(alarm, 1.5)
    ((_, said),) = alarm.told()
    assert said == (
        "Metrics were never computed, though there is something to measure since 2026-03-02 12:00 UTC; "
        "look at the runs of their schedule in Dagster (metrics_hourly)"
    )


def test_metrics_that_are_off_are_not_missed(alarm: Alarm):
    alarm.watches_metrics = False
    alarm.connection(created_at=NOON - timedelta(days=1))
    watch(alarm, 2)
    assert nothing_is_suspected(alarm)


@pytest.mark.parametrize("broken", [NEVER_QUIET[:1], NEVER_QUIET[1:]])
def test_tables_that_fail_are_told_by_name_though_others_are_computed(alarm: Alarm, broken: tuple[str, ...]):
    alarm.measured(NOON)
    work(alarm, 3, *broken)
    assert nothing_is_suspected(alarm)
    work(alarm, 1.5, *broken)
    ((_, said),) = alarm.told()
    assert said.startswith(f"Metrics of {', '.join(broken)} end at 2026-03-02 12:00 UTC; ")


def test_tables_that_have_no_rows_of_a_quiet_time_say_nothing(alarm: Alarm):
    alarm.measured(NOON)
    work(alarm, 4, "integration_health", "failure_analysis")
    assert nothing_is_suspected(alarm)


def test_days_that_are_not_computed_are_told_once_their_schedule_has_had_its_turn(alarm: Alarm):
    midnight = Grain.DAY.begin(NOON)
    alarm.measured(midnight, grain=Grain.DAY)
    alarm.clock.time = midnight + 26 * HOUR
    alarm.measured(midnight + 26 * HOUR, buckets=48)
    alarm.look()
    assert nothing_is_suspected(alarm)
    work(alarm, 1.5)
    ((_, said),) = alarm.told()
    assert said.startswith("Metrics end at 2026-03-02 00:00 UTC; ")
    assert said.endswith("(metrics_daily)")
    with alarm.world.database.begin() as connection:  # somebody has all hours computed again
        now = {"now": alarm.clock.now()}
        connection.execute(text("UPDATE metrics.resource_utilization SET computed_at = :now"), now)
    alarm.look()
    assert alarm.kinds() == [OPENED]
    alarm.measured(midnight + 24 * HOUR, grain=Grain.DAY)
    alarm.look()
    assert alarm.kinds() == [OPENED, RESOLVED]


def test_days_are_not_told_right_after_metrics_were_switched_on_again(alarm: Alarm):
    """Hours are made up for within the hour, days at midnight."""
    alarm.measured(Grain.DAY.begin(NOON) - timedelta(days=60), grain=Grain.DAY)
    alarm.measured(NOON, buckets=48)
    with alarm.world.database.begin() as connection:
        connection.execute(text("UPDATE metrics.resource_utilization SET computed_at = :now"), {"now": NOON})
    work(alarm, 2)
    alarm.clock.advance(hours=20)
    alarm.measured(Grain.HOUR.begin(alarm.clock.now()), buckets=20)
    alarm.look()
    assert nothing_is_suspected(alarm)


def test_what_is_behind_by_the_hour_is_not_told_by_the_day_as_well(alarm: Alarm):
    midnight = Grain.DAY.begin(NOON)
    alarm.measured(midnight, grain=Grain.DAY)
    alarm.clock.time = midnight + 24 * HOUR
    alarm.measured(midnight + HOUR, buckets=36)
    watch(alarm, 6)
    assert [one.subject for one in alarm.incidents()] == ["hourly"]
    assert alarm.kinds() == [OPENED]


def test_the_newest_buckets_are_found_by_the_index(alarm: Alarm):
    alarm.measured(Grain.HOUR.begin(alarm.clock.now()), buckets=60 * 24)
    with alarm.world.database.begin() as connection:
        connection.execute(text("ANALYZE"))
        plan = connection.scalar(
            text(
                "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)"
                " SELECT max(bucket) FROM metrics.response_times WHERE grain = 'hour'"
            )
        )
        assert plan[0]["Plan"]["Shared Hit Blocks"] < 10
        assert len(ends(connection)) == 11
