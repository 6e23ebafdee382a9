"""A restored deployment stands still on purpose: that is one incident, and real trouble is told as ever."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import delete, insert

from dct_pipelines.domain.metrics import Grain
from dct_pipelines.domain.restored import Restored
from dct_pipelines.engine.restored import RestoredService
from dct_pipelines.store import restoring, tables
from dct_pipelines.store.database import Database
from tests.support.alarm import Alarm, alarm

pytestmark = pytest.mark.integration
OPENED, RESOLVED = "incidents_opened", "incidents_resolved"
PAUSED = "The deployment was restored from a backup and starts nothing: see `dct restore list`"


@pytest.fixture(name="alarm")
def alarm_(database: Database) -> Iterator[Alarm]:
    with alarm(database) as made:
        yield made


def restore(alarm: Alarm) -> None:
    """What a restore does at its end; the connection is read then, and is not due again for long."""
    now = alarm.clock.now()
    with alarm.world.database.begin() as connection:
        restoring.begin(connection, Restored(backup_id=uuid4(), as_of=now, at=now))
    alarm.connection(next_due_at=now + timedelta(days=9))


def test_what_stands_still_in_a_restored_deployment_is_one_incident_and_ends_with_the_pause(alarm: Alarm):
    alarm.quotas = replace(alarm.quotas, workspaces=10)
    trigger_id = alarm.trigger("to-qa")
    alarm.executions(trigger_id, 12, 12)
    alarm.time_out(trigger_id)
    long_ago = alarm.clock.now() - timedelta(hours=20)
    alarm.stage.execution("check", dispatched=False, trigger_id=trigger_id, waits_since=long_ago)
    with alarm.world.database.begin() as connection:
        slots = [{"kind": "workspace", "holder": uuid4()} for _ in range(10)]
        connection.execute(insert(tables.slots), slots)
    alarm.measured(Grain.HOUR.begin(long_ago))
    restore(alarm)
    alarm.look(5)
    assert alarm.told() == []
    alarm.look(85)
    ((kind, said),) = alarm.told()
    assert (kind, said.startswith(PAUSED)) == (OPENED, True)
    assert [(one.rule, one.subject) for one in alarm.incidents()] == [("wait", "restored")]
    assert set(alarm.monitor.beats) == {()}
    with alarm.world.database.begin() as connection:
        connection.execute(delete(tables.slots))
    operator = RestoredService(alarm.world.database)
    operator.skip(None, "local")
    operator.finish("local", unread_too=True)
    alarm.look(3)
    assert alarm.kinds() == [OPENED, RESOLVED]


def test_a_connection_that_fails_is_told_while_a_restored_deployment_is_paused(alarm: Alarm):
    restore(alarm)
    alarm.connection(consecutive_failures=3, health="down", health_detail="the credential was refused")
    alarm.look()
    assert alarm.told() == [(OPENED, "Connection here (git) is down: the credential was refused")]


def test_a_connection_is_behind_from_the_restore_on_and_not_from_the_backup(alarm: Alarm):
    restore(alarm)
    alarm.connection(next_due_at=alarm.clock.now() - timedelta(hours=9))
    alarm.look(5)
    assert alarm.told() == []
    assert set(alarm.monitor.beats) == {()}
    alarm.look(2)
    assert sorted((one.rule, one.subject) for one in alarm.incidents()) == [
        ("listener", "here"),
        ("wait", "restored"),
    ]
    assert alarm.monitor.beats[-1] == ("nobody reads here",)


def test_who_wants_to_hear_of_no_waits_hears_of_no_pause(alarm: Alarm):
    alarm.thresholds = replace(alarm.thresholds, wait_seconds=0)
    restore(alarm)
    alarm.look(9)
    assert alarm.told() == []
