"""What is thrown away of incidents and their messages, and what is needed yet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from tests.support.alarm import Alarm, alarm

pytestmark = pytest.mark.integration
OPENED, RESOLVED = "incidents_opened", "incidents_resolved"


@pytest.fixture(name="alarm")
def alarm_(database: Database) -> Iterator[Alarm]:
    with alarm(database) as made:
        yield made


def break_it(alarm: Alarm) -> None:
    alarm.connection(consecutive_failures=3, health="down", health_detail="no route")


def mend_it(alarm: Alarm) -> None:
    alarm.connection(consecutive_failures=0, health="ok", health_detail=None)


def write_long_ago(alarm: Alarm) -> None:
    with alarm.world.database.begin() as connection:
        long_ago = alarm.clock.now().replace(year=2020)
        connection.execute(update(tables.alert_messages).values(created_at=long_ago))


def test_what_was_resolved_long_ago_is_thrown_away(alarm: Alarm):
    break_it(alarm)
    alarm.look()
    mend_it(alarm)
    alarm.look(4)
    long_ago = alarm.clock.now().replace(year=2020)
    with alarm.world.database.begin() as connection:
        connection.execute(update(tables.incidents).values(resolved_at=long_ago))
        connection.execute(update(tables.alert_messages).values(created_at=long_ago))
    alarm.look()
    assert (alarm.incidents(with_resolved=True), alarm.messages()) == ([], [])


def test_who_was_told_long_ago_that_an_incident_began_is_told_its_end(alarm: Alarm):
    break_it(alarm)
    alarm.look()
    write_long_ago(alarm)
    alarm.look(1)
    assert len(alarm.messages()) == 1
    mend_it(alarm)
    alarm.look(4)
    assert alarm.kinds() == [OPENED, RESOLVED]


def test_a_message_that_is_on_its_way_yet_is_not_thrown_away_however_old_it_is(alarm: Alarm):
    alarm.destinations = ("webhook", "ops")
    break_it(alarm)
    alarm.look()
    mend_it(alarm)
    alarm.look(4)
    with alarm.world.database.begin() as connection:
        changed = {
            "sent_at": None,
            "dropped_at": None,
            "next_attempt_at": alarm.clock.now() + timedelta(days=1),
        }
        ops = tables.alert_messages.c.destination == "ops"
        connection.execute(update(tables.alert_messages).where(ops).values(**changed))
    write_long_ago(alarm)
    alarm.look()
    assert {row["destination"] for row in alarm.messages()} == {"ops"}
