"""Messages about incidents of which nobody knows whether they arrived: not sent again, and said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from dct_pipelines.bootstrap import App, build
from dct_pipelines.settings import load_settings
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from tests.fakes.channels import FakeChannel
from tests.support.alarm import Alarm, alarm
from tests.support.command_line import *  # noqa: F403
from tests.support.command_line import Dct
from tests.support.mail import MailServer, mail_server

pytestmark = pytest.mark.integration
DOUBT = "kept; it may have arrived, so it is not sent again: ask there"
DOWN = {"consecutive_failures": 3, "health": "down", "health_detail": "no route"}
MAIL = """
kind: channel
name: mail
type: smtp
host: 127.0.0.1
port: {port}
security: none
sender: dct@example.org
receivers: [kim@example.org]
"""


@pytest.fixture(name="alarm")
def alarm_(database: Database) -> Iterator[Alarm]:
    with alarm(database) as made:
        made.destinations = ("ops:#ops",)
        yield made


@pytest.fixture
def mail() -> Iterator[MailServer]:
    """A server that is gone as soon as it has a mail."""
    with mail_server() as server:
        server.hangs_up = True
        yield server


@pytest.fixture
def app(dct: Dct, mail: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """Tells by mail, in which a connection is down."""
    monkeypatch.setenv("DCT_ALERT_CHANNELS", "mail")
    manifest = tmp_path / "mail.yaml"
    manifest.write_text(MAIL.format(port=mail.port))
    assert dct("apply", "-f", str(manifest)).code == 0
    built = build(load_settings())
    with built.database.begin() as connection:
        row = {"name": "tickets", "kind": "jira", "created_by": "local"}
        connection.execute(insert(tables.connections).values(**row, **DOWN))
    yield built
    built.database.dispose()


def only_message(app: App) -> Any:
    with app.database.connect() as connection:
        return connection.execute(tables.alert_messages.select()).one()


def test_what_may_have_arrived_is_not_sent_again_and_the_end_of_its_incident_is_told(alarm: Alarm):
    ops = FakeChannel(uncertain=frozenset({"#ops"}))
    alarm.channels = {"ops": ops}
    alarm.connection(**DOWN)
    assert "1 message sent and not confirmed" in str(alarm.look())
    alarm.look(3)
    (row,) = alarm.messages()
    assert (row["attempts"], row["last_error"], row["dropped_at"]) == (1, DOUBT, None)
    ops.uncertain = frozenset()
    alarm.connection(consecutive_failures=0, health="ok", health_detail=None)
    alarm.look(4)
    subjects = [one.subject for one in ops.received.values()]
    assert subjects == ["Incident: connection of here", "Resolved: connection of here"]


def test_what_may_have_arrived_is_said_for_a_week(alarm: Alarm):
    alarm.channels = {"ops": FakeChannel(uncertain=frozenset({"#ops"}))}
    alarm.connection(**DOWN)
    alarm.look()
    (incident,) = alarm.incidents()
    assert alarm.service.show(str(incident.id))["messages"][0]["last_error"] == DOUBT
    (said,) = alarm.service.unheard()
    assert said.says == f"1 message may not have reached ops within 7 days: {DOUBT}"
    alarm.clock.advance(days=8)
    assert alarm.service.unheard() == []


def test_a_mail_that_the_server_took_without_a_word_is_sent_once_and_told_as_not_certain(
    dct: Dct, app: App, mail: MailServer
):
    app.alerts.turn()
    row = only_message(app)
    assert "took the mail and did not confirm it" in row.last_error
    mail.hangs_up = False
    died_before_it_was_noted = {"sent_at": None, "last_error": None, "next_attempt_at": row.created_at}
    with app.database.begin() as connection:
        connection.execute(update(tables.alert_messages).values(**died_before_it_was_noted))
    app.alerts.turn()
    assert "an earlier attempt may have reached it" in only_message(app).last_error
    assert len(mail.mails) == 1
    for command in (("alert", "list"), ("doctor", "--quiet")):
        assert "1 message may not have reached mail within 7 days" in dct(*command).out


def test_a_test_message_that_nobody_confirmed_does_not_count_as_arrived(dct: Dct, app: App):
    said = dct("alert", "test")
    assert said.code == 1
    assert "mail:kim@example.org: 127.0.0.1 took the mail and did not confirm it; it may have" in said.out
