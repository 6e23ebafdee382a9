"""Messages about incidents: each arrives, once for who deduplicates, whatever dies in between."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dct_pipelines.clients.guard import AddressGuard
from dct_pipelines.clients.http import HttpClient
from dct_pipelines.clients.life_signs import LifeFile, LifeUrl
from dct_pipelines.domain.alerts import AlertMessage
from dct_pipelines.domain.channels import ChannelSpec, SlackChannel, SmtpChannel
from dct_pipelines.domain.errors import ActionFailed, InvalidInput, NotFound, NotPermitted
from dct_pipelines.domain.signing import sign
from dct_pipelines.engine.alerts.sending import WEBHOOK, destinations
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from tests.fakes.channels import FakeChannel
from tests.fakes.ports import NOON
from tests.support.alarm import VALUE, Alarm, alarm
from tests.support.receiver import receiver
from tests.support.stage import Killed

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


class Dying:
    """A way to send that dies at some moment, as a process does."""

    def __init__(self, way: Any, *, after: bool) -> None:
        self._way = way
        self._after = after

    def send(self, message: AlertMessage) -> None:
        if self._after:
            self._way.send(message)
        raise Killed


def test_a_message_is_signed_says_what_chats_show_and_names_its_incidents(alarm: Alarm):
    break_it(alarm)
    alarm.look()
    (request,) = alarm.receiver.requests
    body = json.loads(request.body)
    assert body["text"] == "Connection here (git) is down: no route"
    (told,) = body["incidents"]
    assert (told["rule"], told["subject"], told["state"]) == ("connection", "here", "open")
    moment = int(request.headers["webhook-timestamp"])
    assert request.headers["webhook-signature"] == sign(VALUE, body["id"], moment, request.body)
    assert request.headers["idempotency-key"] == body["id"]


def test_words_from_outside_are_no_markup_in_what_chats_show(alarm: Alarm):
    said = "<!channel> R&D: see <https://evil.example|here>"
    alarm.connection(consecutive_failures=3, health="down", health_detail=said)
    alarm.look()
    body = json.loads(alarm.receiver.requests[0].body)
    shown = "&lt;!channel&gt; R&amp;D: see &lt;https://evil.example|here&gt;"
    assert body["text"] == f"Connection here (git) is down: {shown}"
    assert body["incidents"][0]["text"] == f"Connection here (git) is down: {said}"


def test_a_crash_between_the_commit_and_the_delivery_loses_nothing(alarm: Alarm):
    break_it(alarm)
    alarm.port = Dying(None, after=False)
    with pytest.raises(Killed):
        alarm.look()
    assert alarm.kinds() == []
    alarm.port = None
    alarm.look(8)
    assert alarm.kinds() == [OPENED]
    assert len(alarm.receiver.requests) == 1


def test_a_crash_after_the_receiver_had_it_repeats_nothing_for_who_deduplicates(alarm: Alarm):
    break_it(alarm)
    alarm.port = Dying(alarm.service.port, after=True)
    with pytest.raises(Killed):
        alarm.look()
    alarm.port = None
    alarm.look(8)
    assert len(alarm.receiver.requests) == 2
    assert alarm.kinds() == [OPENED]


def test_what_does_not_arrive_is_tried_again_with_growing_pauses(alarm: Alarm):
    alarm.receiver.answers = [(500, b"")]
    break_it(alarm)
    alarm.look(16)
    assert len(alarm.receiver.requests) == 5
    (row,) = alarm.messages()
    assert row["last_error"] == "the webhook answered 500; it is tried again"
    alarm.receiver.answers = [(200, b"")]
    alarm.look(20)
    assert len(alarm.receiver.requests) == 6
    assert alarm.messages()[0]["sent_at"] is not None


def test_the_end_is_never_told_before_the_beginning(alarm: Alarm):
    alarm.receiver.answers = [(500, b"")]
    break_it(alarm)
    alarm.look()
    mend_it(alarm)
    alarm.look(3)
    assert {json.loads(one.body)["type"] for one in alarm.receiver.requests} == {OPENED}
    alarm.receiver.requests.clear()
    alarm.receiver.answers = [(200, b"")]
    alarm.look(5)
    assert alarm.kinds() == [OPENED, RESOLVED]


def test_what_could_not_be_told_for_days_is_given_up_and_its_end_too(alarm: Alarm, caplog):
    alarm.receiver.answers = [(404, b"")]
    break_it(alarm)
    alarm.look()
    mend_it(alarm)
    alarm.look(3)
    alarm.clock.advance(days=3)
    with caplog.at_level(logging.ERROR):
        alarm.look()
    assert "gave up to tell ALERT_WEBHOOK_URL: Incident: connection of here" in caplog.text
    assert all(row["dropped_at"] for row in alarm.messages())
    asked = len(alarm.receiver.requests)
    alarm.look(3)
    assert len(alarm.receiver.requests) == asked


def test_one_destination_that_does_not_answer_keeps_nobody_else_from_hearing(alarm: Alarm):
    ops = FakeChannel()
    alarm.channels = {"ops": ops}
    alarm.destinations = (WEBHOOK, "ops:#ops")
    alarm.receiver.answers = [(503, b"")]
    break_it(alarm)
    alarm.look(3)
    (told,) = ops.received.values()
    assert (told.receiver, told.subject) == ("#ops", "Incident: connection of here")
    assert told.text == "Connection here (git) is down: no route"


def test_a_triggers_own_channel_hears_of_its_incidents_and_of_no_others(alarm: Alarm):
    team, everybody = FakeChannel(), FakeChannel()
    alarm.channels = {"team": team, "ops": everybody}
    alarm.destinations = ("ops:#ops",)
    own = {"failure_minimum": 2, "channels": [{"channel": "team", "to": ["#shop"]}, {"channel": "ops"}]}
    mine = alarm.trigger("mine", alerts=own)
    alarm.executions(mine, 2, 2)
    alarm.executions(alarm.trigger("others"), 10, 10)
    alarm.look(10)
    assert [(one.receiver, one.subject) for one in team.received.values()] == [
        ("#shop", "Incident: failure_rate of mine"),
        ("#shop", "Resolved: failure_rate of mine"),
    ]
    heard = [(one.receiver, one.subject) for one in everybody.received.values()]
    assert ("#ops", "2 incidents: mine, others") in heard
    assert ("ops", "Incident: failure_rate of mine") in heard


def test_without_anybody_to_tell_incidents_are_kept_all_the_same(alarm: Alarm):
    alarm.destinations = ()
    break_it(alarm)
    alarm.look()
    assert [one.subject for one in alarm.incidents()] == ["here"]
    alarm.destinations = (WEBHOOK,)
    mend_it(alarm)
    alarm.look(4)
    assert alarm.messages() == []


def test_a_channel_that_is_not_defined_is_told_once_it_is(alarm: Alarm):
    alarm.destinations = ("ops",)
    break_it(alarm)
    alarm.look()
    assert "there is no channel 'ops'" in alarm.messages()[0]["last_error"]
    alarm.channels = {"ops": FakeChannel()}
    alarm.look(2)
    assert alarm.messages()[0]["sent_at"] is not None


def test_a_channel_without_a_receiver_tells_all_that_it_names():
    mail = SmtpChannel(name="mail", host="h", sender="a@b", receivers=("x@example.org", "@example.org"))
    chat = SlackChannel(name="chat", connection="slack", receivers=("#ops", "*"))
    known: dict[str, ChannelSpec] = {"mail": mail, "chat": chat}
    found = destinations(True, ["mail", "chat", "chat:#other", "gone"], known.get)
    assert found == [WEBHOOK, "mail:x@example.org", "chat:#ops", "chat:#other", "gone"]


def test_an_acknowledged_incident_is_told_no_more_until_it_ends(alarm: Alarm):
    break_it(alarm)
    alarm.look()
    (incident,) = alarm.incidents()
    (taken,) = alarm.service.acknowledge([str(incident.id)[:8]], "local")
    assert (taken.state, taken.acknowledged_by) == ("acknowledged", "local")
    assert alarm.service.acknowledge([str(incident.id)], "local") == []
    alarm.look(5)
    assert alarm.kinds() == [OPENED]
    mend_it(alarm)
    alarm.look(4)
    assert alarm.kinds() == [OPENED, RESOLVED]
    audit = [(row["verb"], row["object_kind"]) for row in alarm.world.rows(tables.audit_log)]
    assert audit == [("acknowledge", "incident")]


def test_what_is_resolved_by_hand_opens_again_only_if_it_lasts(alarm: Alarm):
    break_it(alarm)
    alarm.look()
    (incident,) = alarm.incidents()
    (ended,) = alarm.service.resolve([str(incident.id)], "local")
    assert (ended.state, ended.resolved_by) == ("resolved", "local")
    alarm.look(9)
    assert alarm.kinds() == [OPENED, RESOLVED]
    alarm.look(3)
    assert alarm.kinds() == [OPENED, RESOLVED, OPENED]


def test_an_incident_shows_what_became_of_its_messages(alarm: Alarm):
    break_it(alarm)
    alarm.look()
    (incident,) = alarm.incidents()
    shown = alarm.service.show(str(incident.id)[:6])
    (told,) = shown["messages"]
    assert (told["destination"], told["attempts"]) == (WEBHOOK, 1)
    with pytest.raises(NotFound):
        alarm.service.show("00000000")
    with pytest.raises(InvalidInput, match="not the id"):
        alarm.service.show("here")


def test_only_operators_and_admins_change_incidents(alarm: Alarm):
    with alarm.world.database.begin() as connection:
        connection.execute(tables.users.insert().values(name="tess", role="tester"))
    break_it(alarm)
    alarm.look()
    (incident,) = alarm.incidents()
    with pytest.raises(NotPermitted, match="ask an operator"):
        alarm.service.acknowledge([str(incident.id)], "tess")


def test_two_that_evaluate_at_the_same_time_open_one_incident(alarm: Alarm):
    break_it(alarm)
    with alarm.world.database.begin() as connection:
        from dct_pipelines.store.incidents import lock

        assert lock(connection)
        assert str(alarm.look()) == "another process evaluates"
    alarm.look()
    assert len(alarm.incidents()) == 1


def test_a_test_message_says_which_destination_it_reached(alarm: Alarm):
    alarm.destinations = (WEBHOOK, "ops")
    told = alarm.service.test("local")
    assert [(one.destination, one.error is None) for one in told] == [(WEBHOOK, True), ("ops", False)]
    assert alarm.kinds() == ["test"]
    alarm.destinations = ()
    with pytest.raises(InvalidInput, match="ALERT_WEBHOOK_URL"):
        alarm.service.test("local")


def test_the_address_of_a_monitor_is_asked_while_all_works_only():
    with receiver() as server:
        url = LifeUrl(HttpClient(AddressGuard(allow_private_network=True)), server.url)
        url.beat(NOON, [])
        url.beat(NOON, ["nobody reads here"])
        assert [one.method for one in server.requests] == ["GET"]
        server.answers = [(404, b"")]
        with pytest.raises(ActionFailed, match="check DCT_HEARTBEAT_URL"):
            url.beat(NOON, [])


def test_the_file_says_when_and_whether_all_works(tmp_path: Path):
    LifeFile(tmp_path).beat(NOON, ["nobody reads here"])
    said = json.loads((tmp_path / "heartbeat.json").read_text())
    assert said == {"at": NOON.isoformat(), "is_working": False, "problems": ["nobody reads here"]}


def test_a_sign_of_life_that_fails_is_told_and_stops_no_alert(alarm: Alarm):
    alarm.monitor.error = OSError("no room")
    break_it(alarm)
    assert "the sign of life failed: no room" in str(alarm.look())
    assert alarm.kinds() == [OPENED]
