"""Alerts about what watches and keeps the deployment: a rule that breaks, maintenance that is not done."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import insert, text

from dct_pipelines.engine.maintenance import STEPS
from dct_pipelines.store import tables, upkeep
from dct_pipelines.store.database import Database
from tests.support.alarm import Alarm, alarm

pytestmark = pytest.mark.integration
OPENED, RESOLVED = "incidents_opened", "incidents_resolved"


@pytest.fixture(name="alarm")
def alarm_(database: Database) -> Iterator[Alarm]:
    with alarm(database) as made:
        yield made


def unreadable_alerts(alarm: Alarm, name: str) -> None:
    """What a release wrote that knows a key which this one does not."""
    with alarm.world.database.begin() as connection:
        spec = """
            UPDATE dct.trigger_versions SET spec = jsonb_set(spec, '{alerts}', '{"louder": true}')
            WHERE trigger_id = (SELECT id FROM dct.dynamic_context_triggers WHERE name = :name)
        """
        connection.execute(text(spec), {"name": name})


def test_a_trigger_whose_alerts_another_release_wrote_is_told_by_the_settings(alarm: Alarm, caplog):
    trigger_id = alarm.trigger("to-qa", alerts={"failure_minimum": 50})
    unreadable_alerts(alarm, "to-qa")
    alarm.executions(trigger_id, 12, 12)
    alarm.look()
    ((kind, said),) = alarm.told()
    assert (kind, said.split(";")[0]) == (
        OPENED,
        "12 of 12 executions of to-qa failed within 5 minutes (100 %)",
    )
    assert "the alerts of trigger to-qa cannot be read by this release" in caplog.text
    assert alarm.monitor.beats == [()]


def test_a_rule_that_breaks_is_told_itself_and_keeps_no_other_from_being_told(alarm: Alarm, caplog):
    alarm.connection(consecutive_failures=3, health="down", health_detail="no route")
    with alarm.world.database.begin() as connection:
        connection.execute(text("ALTER TABLE dct.slots RENAME TO slots_of_another_release"))
    alarm.look(2)
    assert {said.split("(")[0] for _, said in alarm.told()} == {
        "Connection here ",
        "The rule utilization cannot be looked at ",
    }
    assert "the rules utilization cannot be looked at" in caplog.text
    assert alarm.monitor.beats[-1] == ("the rule utilization cannot be looked at (ProgrammingError)",)
    with alarm.world.database.begin() as connection:
        connection.execute(text("ALTER TABLE dct.slots_of_another_release RENAME TO slots"))
    alarm.look(4)
    assert alarm.kinds() == [OPENED, OPENED, RESOLVED]
    assert [one.subject for one in alarm.incidents()] == ["here"]


def test_what_a_rule_had_told_is_not_over_because_the_rule_is_blind(alarm: Alarm):
    alarm.executions(alarm.trigger("to-qa"), 12, 12)
    alarm.look()
    with alarm.world.database.begin() as connection:
        connection.execute(text("ALTER TABLE dct.trigger_versions RENAME COLUMN spec TO told"))
    alarm.look(3)
    with alarm.world.database.begin() as connection:
        connection.execute(text("ALTER TABLE dct.trigger_versions RENAME COLUMN told TO spec"))
    assert RESOLVED not in alarm.kinds()
    alarm.look(8)
    assert alarm.incidents() == []


def done(alarm: Alarm, *steps: str, days_ago: float) -> None:
    """These steps of maintenance succeeded then."""
    at = alarm.clock.now() - timedelta(days=days_ago)
    entry = {"at": at, "actor": upkeep.KIND, "verb": "maintain", "object_kind": upkeep.KIND, "detail": {}}
    with alarm.world.database.begin() as connection:
        rows = [entry | {"object_name": step} for step in steps]
        connection.execute(insert(tables.audit_log), rows)


def look_for_two_hours(alarm: Alarm) -> None:
    for _ in range(31):
        alarm.look()
        alarm.clock.advance(minutes=4)


def made_days_ago(alarm: Alarm, days: int) -> None:
    """And nobody wants metrics of it."""
    alarm.watches_metrics = False
    alarm.connection(created_at=alarm.clock.now() - timedelta(days=days))


def test_maintenance_that_fails_each_night_is_told_and_that_it_is_done_again(alarm: Alarm):
    made_days_ago(alarm, 30)
    done(alarm, *STEPS, days_ago=2.01)
    look_for_two_hours(alarm)
    ((kind, said),) = alarm.told()
    assert kind == OPENED
    assert said.startswith("Maintenance was done last at ")
    assert [(one.rule, one.subject) for one in alarm.incidents()] == [("metrics", "maintenance")]
    done(alarm, *STEPS, days_ago=0)
    alarm.look()
    assert alarm.kinds() == [OPENED, RESOLVED]


def test_one_step_of_maintenance_that_does_not_succeed_is_named(alarm: Alarm):
    made_days_ago(alarm, 30)
    done(alarm, *(set(STEPS) - {"events"}), days_ago=1)
    look_for_two_hours(alarm)
    assert alarm.told()[0][1].startswith("1 step of maintenance did not succeed for 2 days: events; ")


def test_a_deployment_that_was_made_yesterday_needs_no_maintenance_yet(alarm: Alarm):
    made_days_ago(alarm, 1)
    look_for_two_hours(alarm)
    assert alarm.told() == []
