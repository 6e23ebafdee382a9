"""Connections as alerts see them: down, flapping, overdue, switched off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from dct_pipelines.domain.errors import ConnectionDown, CredentialRefused, ItemUnreadable, Throttled
from dct_pipelines.domain.git_refs import RefSnapshot
from dct_pipelines.domain.listener import ItemReading
from dct_pipelines.engine.listening import Listening
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.watching.sources import Source, SourceItem
from tests.support.alarm import Alarm, alarm

pytestmark = pytest.mark.integration
OPENED, RESOLVED = "incidents_opened", "incidents_resolved"


@pytest.fixture(name="alarm")
def alarm_(database: Database) -> Iterator[Alarm]:
    with alarm(database) as made:
        yield made


@dataclass
class Reader:
    """A provider that fails as it is told; `gone` are items that are not there."""

    error: Exception | None = None
    gone: set[str] = field(default_factory=set)

    def port_for(self, _source: Source, item: SourceItem | None) -> ItemReader:
        assert item is not None
        return ItemReader(self, item.name)


@dataclass
class ItemReader:
    """What is read of one item of it."""

    reader: Reader
    item: str

    def refs(self) -> RefSnapshot:
        if self.reader.error is not None:
            raise self.reader.error
        if self.item in self.reader.gone:
            raise ItemUnreadable(f"there is no git repository at {self.item}; check its path")
        return RefSnapshot(b"")

    def fetch(self, _wanted: Any) -> frozenset[str]:
        return frozenset()


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def listening(alarm: Alarm, reader: Reader) -> Listening:
    world = alarm.world
    alarm.connection(next_due_at=world.clock.now())
    return Listening(world.database, world.clock, world.intake, world.decider, reader.port_for, 5.0)


def read(listening: Listening, alarm: Alarm, minutes: int) -> None:
    """Minutes pass, in which the connection is read whenever it is due, and alerts are evaluated."""
    for _ in range(minutes):
        for _tick in range(12):
            listening.tick("git")
            alarm.clock.advance(seconds=5)
        alarm.look()


def test_a_connection_that_is_down_is_told_once_and_its_recovery_once(alarm, listening, reader):
    reader.error = ConnectionDown("no route to host")
    read(listening, alarm, 4)
    assert alarm.told() == [(OPENED, "Connection here (git) is down: no route to host")]
    reader.error = None
    read(listening, alarm, 9)
    assert alarm.kinds() == [OPENED, RESOLVED]


def test_a_connection_that_fails_once_or_twice_is_no_incident(alarm, listening, reader):
    for _ in range(3):
        reader.error = ConnectionDown("no route to host")
        listening.tick("git")
        alarm.clock.advance(seconds=30)
        listening.tick("git")
        alarm.look()
        reader.error = None
        alarm.clock.advance(minutes=1)
        listening.tick("git")
        alarm.look()
    assert alarm.told() == []


def test_a_refused_credential_is_told_at_the_next_look(alarm, listening, reader):
    reader.error = CredentialRefused("the credential was refused; renew it")
    listening.tick("git")
    alarm.look()
    assert alarm.told() == [(OPENED, "Connection here (git) is down: the credential was refused; renew it")]


def test_being_throttled_is_no_incident_and_ends_none(alarm, listening, reader):
    reader.error = Throttled("wait", not_before=alarm.clock.now() + timedelta(seconds=20))
    read(listening, alarm, 2)
    assert alarm.told() == []
    reader.error = CredentialRefused("no")
    read(listening, alarm, 1)
    reader.error = Throttled("wait", not_before=alarm.clock.now() + timedelta(minutes=30))
    read(listening, alarm, 20)
    assert alarm.kinds() == [OPENED]


def test_a_connection_that_is_told_to_wait_for_hours_is_told_and_its_recovery_too(alarm, listening, reader):
    read(listening, alarm, 1)
    last = alarm.world.rows(tables.connections)[0]["last_ok_at"]
    for _ in range(4):
        reader.error = Throttled("it asks to wait", not_before=alarm.clock.now() + timedelta(minutes=30))
        read(listening, alarm, 31)
    ((kind, said),) = alarm.told()
    assert kind == OPENED
    assert said.startswith("Connection here (git) is told to wait until ")
    assert f"nothing was read since {last:%Y-%m-%d %H:%M} UTC: it asks to wait" in said
    assert set(alarm.monitor.beats) == {()}, "a provider's trouble stops no sign of life"
    reader.error = None
    read(listening, alarm, 35)
    assert alarm.kinds() == [OPENED, RESOLVED]


def test_a_connection_that_is_read_every_three_hours_may_be_told_to_wait_for_nine(alarm: Alarm):
    now = alarm.clock.now()
    until = now + timedelta(days=1)
    told = {"health": "throttled", "not_before": until, "last_ok_at": now - timedelta(hours=8)}
    alarm.connection(config={"poll_interval_seconds": 3 * 3600}, **told)
    alarm.look(3)
    assert alarm.told() == []
    alarm.connection(last_ok_at=now - timedelta(hours=10))
    alarm.look()
    assert alarm.kinds() == [OPENED]


def test_a_connection_that_was_never_read_and_is_told_to_wait_for_ever_is_told(alarm, listening, reader):
    for _ in range(3):
        reader.error = Throttled("it asks to wait", not_before=alarm.clock.now() + timedelta(minutes=30))
        read(listening, alarm, 31)
    ((_, said),) = alarm.told()
    assert "nothing was read yet: it asks to wait" in said


def test_a_pause_from_before_the_machine_was_off_is_no_incident(alarm: Alarm):
    now = alarm.clock.now()
    told = {"health": "throttled", "not_before": now - timedelta(hours=8)}
    alarm.connection(last_ok_at=now - timedelta(hours=9), **told)
    alarm.look()
    assert alarm.told() == []


def test_one_pause_after_the_machine_was_off_is_no_incident(alarm: Alarm):
    now = alarm.clock.now()
    told = {"health": "throttled", "health_since": now, "not_before": now + timedelta(minutes=2)}
    alarm.connection(last_ok_at=now - timedelta(hours=9), **told)
    alarm.look()
    assert alarm.told() == []


def test_webhooks_that_have_a_connection_due_again_and_again_do_not_hide_that_nobody_reads_it(alarm: Alarm):
    alarm.connection(last_ok_at=alarm.clock.now() - timedelta(hours=2))
    for _ in range(3):
        alarm.connection(next_due_at=alarm.clock.now())
        alarm.look()
        alarm.clock.advance(minutes=1)
    ((kind, said),) = alarm.told()
    assert kind == OPENED
    assert "is due again and again, and was read last at" in said
    assert alarm.monitor.beats[-1] == ("nobody reads here",)


def test_a_connection_that_flaps_is_one_incident(alarm, listening, reader):
    for _ in range(4):
        reader.error = CredentialRefused("no")
        alarm.connection(not_before=None)
        read(listening, alarm, 1)
        reader.error = None
        alarm.connection(not_before=None)
        read(listening, alarm, 1)
    assert alarm.kinds() == [OPENED]


def test_a_connection_that_nobody_reads_is_told(alarm: Alarm):
    alarm.connection(next_due_at=alarm.clock.now() - timedelta(minutes=4))
    alarm.look()
    assert alarm.monitor.beats == [()]
    alarm.look(3)
    ((kind, said),) = alarm.told()
    assert kind == OPENED
    assert said.endswith("nobody reads it; is its sensor git_listener running?")
    assert alarm.monitor.beats[-1] == ("nobody reads here",)
    alarm.connection(next_due_at=alarm.clock.now() + timedelta(hours=1))
    alarm.look(3)
    assert alarm.kinds() == [OPENED, RESOLVED]


def test_the_only_repository_of_a_connection_that_vanishes_is_told_and_that_it_is_back(
    alarm, listening, reader
):
    reader.gone.add("sample")
    read(listening, alarm, 3)
    why = "there is no git repository at sample; check its path"
    assert alarm.told() == [(OPENED, f"Item sample of connection here (git) cannot be read: {why}")]
    assert [one.subject for one in alarm.incidents()] == ["here/sample"]
    reader.gone.clear()
    read(listening, alarm, 4)
    assert alarm.kinds() == [OPENED, RESOLVED]
    assert set(alarm.monitor.beats) == {()}, "a provider's trouble stops no sign of life"


def test_an_item_that_cannot_be_read_twice_is_no_incident(alarm, listening, reader):
    for _ in range(3):
        reader.gone.add("sample")
        for _tick in range(2):
            alarm.clock.advance(seconds=5)
            listening.tick("git")
        alarm.look()
        reader.gone.clear()
        read(listening, alarm, 1)
    assert alarm.told() == []


def test_the_next_item_that_vanishes_is_told_although_one_is_known(alarm, listening, reader):
    alarm.world.item("other")
    reader.gone.add("sample")
    read(listening, alarm, 1)
    alarm.service.acknowledge([str(one.id) for one in alarm.incidents()], "local")
    reader.gone.add("other")
    read(listening, alarm, 1)
    assert alarm.kinds() == [OPENED, OPENED]
    assert {one.subject for one in alarm.incidents()} == {"here/sample", "here/other"}


def test_an_item_of_which_its_provider_says_that_it_is_gone_is_told_at_once(alarm: Alarm):
    world = alarm.world
    gone = ItemReading(world.item_id, {}, "deleted, or no longer visible to our account")
    world.intake.ingest(world.connection_id, replace(world.page(), item_id=None, readings=(gone,)))
    alarm.look()
    ((_, said),) = alarm.told()
    assert said == "Item sample of connection here (git) cannot be read: " + (gone.unreadable or "")


def test_an_item_that_nobody_wants_to_read_any_more_is_no_incident(alarm, listening, reader):
    reader.gone.add("sample")
    read(listening, alarm, 1)
    alarm.connection(is_enabled=False)
    alarm.look(3)
    assert alarm.kinds() == [OPENED, RESOLVED]


def test_a_machine_that_was_off_for_hours_opens_nothing_when_it_is_read_at_once(alarm: Alarm):
    alarm.connection(next_due_at=alarm.clock.now() - timedelta(hours=9))
    alarm.look()
    alarm.connection(next_due_at=alarm.clock.now() + timedelta(minutes=2))
    alarm.look(1)
    assert (alarm.told(), alarm.world.rows(tables.incidents)) == ([], [])


def test_a_connection_that_is_switched_off_is_nobodys_incident(alarm: Alarm):
    late = alarm.clock.now() - timedelta(hours=1)
    alarm.connection(is_enabled=False, next_due_at=late, consecutive_failures=9)
    alarm.look(3)
    assert alarm.told() == []
