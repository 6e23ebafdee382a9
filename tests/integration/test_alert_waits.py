"""Executions that wait, as alerts and the sign of life see them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from dct_pipelines.domain.incidents import Thresholds
from dct_pipelines.domain.metrics import Grain
from dct_pipelines.domain.restored import HELD_UNTIL
from dct_pipelines.engine.dispatch import Dispatcher
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from tests.support.alarm import Alarm, alarm

pytestmark = pytest.mark.integration
OPENED, RESOLVED = "incidents_opened", "incidents_resolved"


@pytest.fixture(name="alarm")
def alarm_(database: Database) -> Iterator[Alarm]:
    with alarm(database) as made:
        yield made


def waiting(alarm: Alarm, trigger_id: UUID, minutes: float, **columns: Any) -> UUID:
    since = alarm.clock.now() - timedelta(minutes=minutes)
    about: dict[str, Any] = {"trigger_id": trigger_id, "waits_since": since, "created_at": since}
    return alarm.stage.execution("check", dispatched=False, **(about | columns))


def resume(alarm: Alarm, trigger_id: UUID) -> None:
    rows = tables.dynamic_context_triggers
    with alarm.world.database.begin() as connection:
        connection.execute(update(rows).where(rows.c.id == trigger_id).values(status="active"))


def test_what_waits_for_a_slot_for_more_than_five_minutes_is_told(alarm: Alarm):
    alarm.quotas = replace(alarm.quotas, executions=0)
    execution_id = waiting(alarm, alarm.trigger("to-qa"), 4)
    alarm.look()
    assert alarm.told() == []
    alarm.look(3)
    ((kind, said),) = alarm.told()
    assert kind == OPENED
    assert said.startswith("Executions of to-qa wait for run_slots, the first for 7 min")
    alarm.stage.executor.cancel(execution_id, "kim")
    alarm.look(4)
    assert alarm.kinds() == [OPENED, RESOLVED]


def test_what_nobody_starts_though_nothing_is_in_its_way_is_the_dispatchers_fault(alarm: Alarm):
    waiting(alarm, alarm.trigger("to-qa"), 6)
    alarm.look(1)
    ((_, said),) = alarm.told()
    assert said.startswith("Executions of to-qa wait for the dispatcher")
    assert alarm.monitor.beats == [(), ("nobody starts what waits for 7 min",)]


def test_what_was_resumed_a_moment_before_the_look_opens_nothing_and_stops_no_sign_of_life(alarm: Alarm):
    alarm.measured(Grain.HOUR.begin(alarm.clock.now()))
    for name in ("first", "second"):
        trigger_id = alarm.trigger(name, status="paused")
        execution_id = waiting(alarm, trigger_id, 180)
        alarm.look(1)
        resume(alarm, trigger_id)
        alarm.look()
        alarm.stage.executor.cancel(execution_id, "kim")
        alarm.clock.advance(minutes=1)
    alarm.look(1)
    assert alarm.told() == []
    assert set(alarm.monitor.beats) == {()}
    assert alarm.world.rows(tables.incidents) == []


def test_the_sign_of_life_goes_on_while_each_look_sees_something_else_that_has_just_become_free(alarm: Alarm):
    for number in range(4):
        execution_id = waiting(alarm, alarm.trigger(f"to-qa-{number}"), 3)
        alarm.look()
        alarm.stage.executor.cancel(execution_id, "kim")
        alarm.clock.advance(minutes=1)
    assert alarm.monitor.beats == [()] * 4


def test_the_sign_of_life_stops_though_waits_are_not_told(alarm: Alarm):
    alarm.thresholds = Thresholds(wait_seconds=0)
    waiting(alarm, alarm.trigger("to-qa"), 6)
    alarm.look(9)
    assert alarm.told() == []
    assert alarm.incidents(with_resolved=True) == []
    assert alarm.monitor.beats[-1] == ("nobody starts what waits for 15 min",)


def test_what_a_restored_deployment_holds_back_is_nobodys_incident(alarm: Alarm):
    waiting(alarm, alarm.trigger("to-qa"), 60)
    now = alarm.clock.now()
    with alarm.world.database.begin() as connection:
        columns = {"restored_at": now, "restored_to": now, "restored_from": uuid4()}
        connection.execute(update(tables.intake_order).values(**columns))
    alarm.look(3)
    assert alarm.told() == []
    assert set(alarm.monitor.beats) == {()}


def test_who_waits_because_somebody_wants_it_so_is_nobodys_incident(alarm: Alarm):
    paused = alarm.trigger("paused", status="paused")
    waiting(alarm, paused, 60)
    later = alarm.clock.now() + timedelta(hours=1)
    waiting(alarm, alarm.trigger("quiet"), 60, not_before=later, wait_reason="debounce")
    waiting(alarm, alarm.trigger("again"), 60, not_before=later, wait_reason="retry_backoff")
    limits = {"max_executions_per_hour": 1}
    rated = alarm.trigger("rated")
    alarm.stage.execution("check", trigger_id=rated, first_dispatched_at=alarm.clock.now())
    waiting(alarm, rated, 30, limits=limits)
    alarm.look(2)
    assert alarm.told() == []


def test_a_trigger_says_itself_how_long_is_long(alarm: Alarm):
    alarm.quotas = replace(alarm.quotas, executions=0)
    waiting(alarm, alarm.trigger("patient", alerts={"wait_seconds": 3600}), 30)
    alarm.look(1)
    assert alarm.told() == []
    waiting(alarm, alarm.trigger("hasty", alerts={"wait_seconds": 10}), 0.5)
    alarm.look(1)
    assert "hasty" in alarm.told()[0][1]


@pytest.mark.parametrize("why", ["debounce", "retry_backoff"])
def test_a_pause_that_is_over_and_that_nobody_ends_is_the_dispatchers_fault(alarm: Alarm, why: str):
    over = alarm.clock.now() - timedelta(minutes=6)
    waiting(alarm, alarm.trigger("quiet"), 60, not_before=over, wait_reason=why)
    alarm.look(1)
    ((_, said),) = alarm.told()
    assert said.startswith(
        "Executions of quiet wait for the dispatcher, the first for 7 min: its pause is over"
    )
    assert alarm.monitor.beats == [(), ("nobody starts what waits for 7 min",)]


def test_a_dispatcher_that_comes_by_late_ends_the_incident_of_pauses_that_are_over(alarm: Alarm):
    over = alarm.clock.now() - timedelta(minutes=6)
    waiting(alarm, alarm.trigger("quiet"), 60, not_before=over, wait_reason="retry_backoff")
    alarm.look(1)
    Dispatcher(alarm.world.database, alarm.clock, alarm.quotas, 300).dispatch(alarm.jobs, 10)
    alarm.look(4)
    assert alarm.kinds() == [OPENED, RESOLVED]
    assert alarm.monitor.beats[-1] == ()


def test_a_trigger_that_wants_to_be_told_of_nothing_hides_no_pause_of_others_that_is_over(alarm: Alarm):
    now = alarm.clock.now()
    silent = alarm.trigger("silent", alerts={"enabled": False})
    waiting(alarm, silent, 60, not_before=now - timedelta(minutes=9), wait_reason="debounce")
    waiting(alarm, alarm.trigger("quiet"), 60, not_before=now - timedelta(minutes=6), wait_reason="debounce")
    alarm.look(1)
    ((_, said),) = alarm.told()
    assert said.startswith("Executions of quiet wait for the dispatcher")


def test_what_is_held_for_ever_or_pauses_on_is_nobodys_incident(alarm: Alarm):
    held = alarm.trigger("held")
    waiting(alarm, held, 60, not_before=HELD_UNTIL, wait_reason="restored")
    later = alarm.clock.now() + timedelta(minutes=30)
    waiting(alarm, alarm.trigger("quiet"), 60, not_before=later, wait_reason="debounce")
    alarm.look(20)
    assert alarm.told() == []
    assert set(alarm.monitor.beats) == {()}
