"""Alerts: one message when a connection goes down, one when it is read again, and never a disturbed tick."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from dct_pipelines.clients.alerts import WebhookAlerts
from dct_pipelines.clients.webhook import SignedPost
from dct_pipelines.domain.alerts import Alert
from dct_pipelines.domain.errors import ActionFailed, ConnectionDown, CredentialRefused, Throttled
from dct_pipelines.domain.git_refs import RefSnapshot
from dct_pipelines.engine.alerting import Alerting
from dct_pipelines.engine.listening import Listening
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from tests.fakes.ports import NOON, FakeClock, FakeSecrets
from tests.support.receiver import receiver
from tests.support.world import World

pytestmark = pytest.mark.integration


@dataclass
class Pager:
    """Who is told; may be out of order itself."""

    told: list[Alert] = field(default_factory=list)
    error: Exception | None = None

    def send(self, alert: Alert) -> None:
        self.told.append(alert)
        if self.error is not None:
            raise self.error


@dataclass
class Reader:
    """A provider that fails as it is told."""

    error: Exception | None = None

    def refs(self) -> RefSnapshot:
        if self.error is not None:
            raise self.error
        return RefSnapshot(b"")

    def fetch(self, _wanted: Any) -> frozenset[str]:
        return frozenset()


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def pager() -> Pager:
    return Pager()


@pytest.fixture
def listening(world: World, reader: Reader, pager: Pager) -> Listening:
    made = Listening(
        world.database, world.clock, world.intake, world.decider, lambda _source, _item: reader, 5.0
    )
    return replace(made, alerting=Alerting(pager))


def ticks(listening: Listening, world: World, count: int) -> None:
    for _ in range(count):
        listening.tick("git")
        world.clock.advance(hours=1)


def test_three_failures_in_a_row_are_one_alert_and_recovery_is_another(listening, world, reader, pager):
    reader.error = ConnectionDown("no route to host")
    ticks(listening, world, 2)
    assert pager.told == []
    ticks(listening, world, 5)
    assert [(one.kind, one.connection, one.detail) for one in pager.told] == [
        ("connection_down", "here", "no route to host")
    ]
    reader.error = None
    ticks(listening, world, 2)
    assert [one.kind for one in pager.told] == ["connection_down", "connection_recovered"]
    assert pager.told[1].text == "Connection here (git) is read again: after 7 failures in a row."


def test_a_refused_credential_is_an_alert_at_once(listening, world, reader, pager):
    reader.error = CredentialRefused("the credential was refused; renew it")
    ticks(listening, world, 3)
    assert [one.detail for one in pager.told] == ["the credential was refused; renew it"]
    reader.error = None
    ticks(listening, world, 1)
    assert [one.kind for one in pager.told] == ["connection_down", "connection_recovered"]


def test_being_throttled_is_no_incident_and_ends_none(listening, world, reader, pager):
    reader.error = Throttled("wait", not_before=NOON + timedelta(minutes=1))
    ticks(listening, world, 5)
    assert pager.told == []
    assert world.rows(tables.connections)[0]["consecutive_failures"] == 0
    reader.error = CredentialRefused("no")
    ticks(listening, world, 1)
    reader.error = Throttled("wait", not_before=world.clock.now())
    ticks(listening, world, 1)
    reader.error = CredentialRefused("no")
    ticks(listening, world, 1)
    assert len(pager.told) == 1
    reader.error = None
    ticks(listening, world, 1)
    assert [one.kind for one in pager.told] == ["connection_down", "connection_recovered"]


def test_an_alert_that_cannot_be_sent_is_logged_and_disturbs_nothing(listening, world, reader, pager, caplog):
    pager.error = ActionFailed("the webhook answered 404; check its address")
    reader.error = CredentialRefused("no")
    with caplog.at_level(logging.WARNING):
        ticks(listening, world, 1)
    assert "Connection here (git) is down: no" in caplog.text
    assert "the alert about here could not be sent: the webhook answered 404" in caplog.text
    assert world.rows(tables.connections)[0]["health"] == "down"


def test_an_alert_is_posted_as_json_that_chats_show():
    alert = Alert("connection_down", "tickets", "jira", "the credential was refused", NOON)
    with receiver() as server:
        WebhookAlerts(SignedPost(FakeSecrets(), FakeClock()), lambda: server.url).send(alert)
        (request,) = server.requests
    body = json.loads(request.body)
    assert body["text"] == "Connection tickets (jira) is down: the credential was refused"
    assert (body["type"], body["connection"], body["connection_type"]) == (
        "connection_down",
        "tickets",
        "jira",
    )


def test_without_an_address_nobody_is_asked():
    WebhookAlerts(SignedPost(FakeSecrets(), FakeClock()), lambda: None).send(
        Alert("connection_down", "tickets", "jira", "no", NOON)
    )
