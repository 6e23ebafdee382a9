"""Each rule of alerts: what really happens is told once, its end too, and noise is not told at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import insert, text, update

from dct_pipelines.domain.incidents import Pace, Thresholds
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from tests.support.alarm import Alarm, alarm

pytestmark = pytest.mark.integration
OPENED, RESOLVED = "incidents_opened", "incidents_resolved"


@pytest.fixture(name="alarm")
def alarm_(database: Database) -> Iterator[Alarm]:
    with alarm(database) as made:
        yield made


def test_a_trigger_that_fails_is_told_once_and_its_recovery_once(alarm: Alarm):
    alarm.executions(alarm.trigger("to-qa"), 12, 3)
    alarm.look(3)
    ((kind, said),) = alarm.told()
    assert kind == OPENED
    assert said == (
        "3 of 12 executions of to-qa failed within 5 minutes (25 %); "
        "the last: check: the branch is gone; push it again"
    )
    alarm.look(10)
    assert alarm.kinds() == [OPENED, RESOLVED]
    assert alarm.told()[1][1].startswith("Resolved after ")
    assert alarm.incidents() == []


def test_one_failure_of_two_is_no_incident(alarm: Alarm):
    alarm.executions(alarm.trigger("to-qa"), 2, 1)
    alarm.look(10)
    assert alarm.told() == []
    assert alarm.world.rows(tables.incidents) == []


def test_exactly_ten_percent_is_no_incident(alarm: Alarm):
    alarm.executions(alarm.trigger("to-qa"), 10, 1)
    alarm.look()
    assert alarm.told() == []


def test_triggers_with_few_executions_each_are_looked_at_together(alarm: Alarm):
    for number in range(5):
        alarm.executions(alarm.trigger(f"rare-{number}"), 2, 1)
    alarm.look()
    ((_, said),) = alarm.told()
    assert said.startswith("5 of 10 executions of other triggers failed")


def test_a_rate_that_swings_around_the_threshold_is_one_incident(alarm: Alarm):
    trigger_id = alarm.trigger("to-qa")
    alarm.executions(trigger_id, 10, 2)
    alarm.look(1)
    alarm.executions(trigger_id, 15, 0)
    alarm.look(1)
    alarm.executions(trigger_id, 1, 1)
    alarm.look(1)
    assert alarm.kinds() == [OPENED]
    assert [one.state for one in alarm.incidents()] == ["open"]


def test_a_trigger_says_itself_when_its_failures_are_told(alarm: Alarm):
    strict = alarm.trigger("strict", alerts={"failure_percent": 1, "failure_minimum": 2})
    lenient = alarm.trigger("lenient", alerts={"failure_percent": 80})
    silent = alarm.trigger("silent", alerts={"enabled": False})
    alarm.executions(strict, 2, 1)
    alarm.executions(lenient, 10, 7)
    alarm.executions(silent, 12, 12)
    alarm.look()
    assert [one.subject for one in alarm.incidents()] == ["strict"]


def test_triggers_that_fail_for_one_connection_are_one_message(alarm: Alarm):
    for name in ("to-qa", "to-staging"):
        alarm.executions(alarm.trigger(name), 10, 10)
    alarm.look()
    ((kind, said),) = alarm.told()
    assert kind == OPENED
    assert said.startswith("2 incidents of connection here opened:\n- 10 of 10 executions of to-qa")
    assert len(alarm.incidents()) == 2
    alarm.look(8)
    assert alarm.kinds() == [OPENED, RESOLVED]


def test_a_storm_is_one_message(alarm: Alarm):
    for number in range(5):
        via = alarm.world.connection(f"site-{number}")
        with alarm.world.database.begin() as connection:
            rows = tables.connections
            down = {"consecutive_failures": 3, "health_detail": "no route"}
            later = alarm.clock.now() + timedelta(days=9)
            connection.execute(update(rows).where(rows.c.id == via).values(**down, next_due_at=later))
    alarm.look()
    ((_, said),) = alarm.told()
    assert said.startswith("5 incidents opened:\n- Connection site-0 (git) is down: no route")


def test_an_execution_that_runs_too_long_is_told(alarm: Alarm):
    trigger_id = alarm.trigger("slow")
    alarm.time_out(trigger_id)
    alarm.look(2)
    ((kind, said),) = alarm.told()
    assert (kind, said.split(";")[0]) == (
        OPENED,
        "1 execution of slow ran longer than it may within 5 minutes",
    )
    alarm.look(8)
    assert alarm.kinds() == [OPENED, RESOLVED]


def test_a_quota_that_is_nearly_used_up_for_minutes_is_told(alarm: Alarm):
    alarm.quotas = replace(alarm.quotas, workspaces=10)
    with alarm.world.database.begin() as connection:
        rows = [{"kind": "workspace", "holder": uuid4()} for _ in range(10)]
        connection.execute(insert(tables.slots), rows)
    alarm.look(4)
    assert alarm.told() == []
    alarm.look(2)
    ((kind, said),) = alarm.told()
    assert kind == OPENED
    assert said.startswith("10 of 10 workspaces in use (100 %)")
    with alarm.world.database.begin() as connection:
        connection.execute(
            text("DELETE FROM dct.slots WHERE holder IN (SELECT holder FROM dct.slots LIMIT 3)")
        )
    alarm.look(7)
    assert alarm.kinds() == [OPENED, RESOLVED]


def test_a_quota_of_one_that_is_in_use_is_told_in_the_singular(alarm: Alarm):
    alarm.quotas = replace(alarm.quotas, workspaces=1)
    alarm.pace = Pace(utilization_lasts=timedelta(0))
    with alarm.world.database.begin() as connection:
        connection.execute(insert(tables.slots), [{"kind": "workspace", "holder": uuid4()}])
    alarm.look()
    assert alarm.told()[0][1].startswith("1 of 1 workspace in use (100 %)")


def test_the_window_and_the_calm_at_the_end_are_settings(alarm: Alarm):
    alarm.pace = Pace(window=timedelta(seconds=150), settles_after=timedelta(0))
    alarm.executions(alarm.trigger("to-qa"), 12, 12)
    alarm.look(2)
    assert "failed within 150 seconds (100 %)" in alarm.told()[0][1]
    alarm.look(1)
    assert alarm.kinds() == [OPENED, RESOLVED]


def test_a_burst_that_uses_everything_for_a_moment_is_no_incident(alarm: Alarm):
    alarm.quotas = replace(alarm.quotas, executions=1)
    execution_id, run = alarm.stage.claimed("check")
    alarm.look(2)
    alarm.stage.perform(run)
    alarm.stage.executor.close(run)
    alarm.look(10)
    assert (alarm.told(), alarm.world.rows(tables.incidents)) == ([], [])
    assert alarm.stage.state(execution_id) == "completed"


def test_a_trigger_may_have_a_rule_that_is_off_for_the_others(alarm: Alarm):
    alarm.thresholds = Thresholds(
        failure_percent=0, wait_seconds=0, utilization_percent=0, timeouts=0, listener_seconds=0
    )
    alarm.time_out(alarm.trigger("to-qa", alerts={"timeouts": 1}))
    alarm.time_out(alarm.trigger("to-production"))
    alarm.look(2)
    [(kind, said)] = alarm.told()
    assert kind == "incidents_opened"
    assert "to-qa" in said
    assert "to-production" not in said


def test_a_rule_whose_threshold_is_0_is_off(alarm: Alarm):
    alarm.thresholds = Thresholds(
        failure_percent=0, wait_seconds=0, utilization_percent=0, timeouts=0, listener_seconds=0
    )
    trigger_id = alarm.trigger("to-qa")
    alarm.executions(trigger_id, 11, 11)
    alarm.time_out(trigger_id)
    since = alarm.clock.now() - timedelta(minutes=90)
    alarm.stage.execution("check", dispatched=False, trigger_id=trigger_id, waits_since=since)
    alarm.connection(next_due_at=alarm.clock.now() - timedelta(hours=1))
    alarm.look(2)
    assert alarm.told() == []
