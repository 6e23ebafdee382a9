"""Socket Mode against a WebSocket server: stored before acknowledged, renewed, caught up, ended cleanly."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from dct_pipelines.clients.slack.socket import CLOSE_SECONDS, CONNECTIONS, SlackSocket
from dct_pipelines.domain.errors import ActionFailed, DatabaseUnavailable
from dct_pipelines.domain.listener import Delivery
from dct_pipelines.listeners.slack import LISTENER
from tests.fakes.ports import FakeClock
from tests.fakes.slack_http import SlackHttp, slack_http
from tests.fakes.slack_server import TOKEN, SlackWorkspace
from tests.properties.driver import Driver
from tests.support import slack
from tests.support.slack_socket import SocketServer, socket_server


@dataclass
class Office:
    """A workspace, its sockets, and a process of ours that stores what they bring."""

    http: SlackHttp
    server: SocketServer
    driver: Driver
    clock: FakeClock
    lines: list[str] = field(default_factory=list)
    due: int = 0
    fails: int = 0
    """So many events cannot be stored."""
    dies_after: bool = False
    """The process dies after an event was stored and before it is acknowledged."""
    goes_on: threading.Event = field(default_factory=threading.Event)
    """What is being stored waits for it, where `hangs`."""
    hangs: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def space(self) -> SlackWorkspace:
        return self.http.workspace

    def socket(self, token: str = TOKEN, close_seconds: float = CLOSE_SECONDS) -> SlackSocket:
        endpoint = slack.endpoint(self.http.url, token)
        return SlackSocket(
            endpoint, self.clock, self.take_in, self.connected, self.lines.append, close_seconds
        )

    def take_in(self, body: bytes) -> str:
        assert LISTENER.webhook is not None
        if self.hangs:
            assert self.goes_on.wait(30)
        with self.lock:
            if self.fails:
                self.fails -= 1
                raise DatabaseUnavailable
            received = LISTENER.webhook.read(
                Delivery({}, body, self.clock.now()), self.driver._whole(), self.driver._context(None)
            )
            if received.page is not None:
                self.driver.intake.ingest(received.page)
            if self.dies_after:
                raise DatabaseUnavailable("killed")
        return received.because

    def connected(self) -> None:
        with self.lock:
            self.due += 1

    def told(self) -> list[str]:
        return [event.dedup_key.partition("@")[0] for event in self.driver.intake.events]

    def all_up(self) -> bool:
        return len(self.server.connections) == CONNECTIONS


@pytest.fixture
def office() -> Iterator[Office]:
    clock = FakeClock()
    workspace = SlackWorkspace(clock)
    with slack_http(workspace) as http, socket_server() as server:
        workspace.socket_url = server.url
        workspace.post("before")
        client = slack.client(http.url, clock)
        item = slack.channel_item()
        driver = Driver(LISTENER, slack.CONNECTION, {}, [item], lambda _item: client, clock)
        driver.settle()
        yield Office(http, server, driver, clock)


@pytest.fixture
def socket(office: Office) -> Iterator[SlackSocket]:
    socket = office.socket()
    socket.start()
    try:
        office.server.wait(office.all_up)
        yield socket
    finally:
        socket.close()


def test_an_event_is_stored_and_then_acknowledged(office: Office, socket: SlackSocket):
    ts = office.space.post("hello")
    envelope = office.server.send(office.space.done[-1].event)
    office.server.wait(lambda: envelope in office.server.acknowledged)
    assert office.told() == [f"slack:C0TEST0001:{ts}"]


def test_two_connections_stand_and_each_makes_the_history_due(office: Office, socket: SlackSocket):
    office.server.wait(lambda: office.due == CONNECTIONS)
    assert socket.standing == CONNECTIONS
    assert office.lines[-1].startswith("chat: connected")


def test_what_cannot_be_stored_is_not_acknowledged_and_comes_again(office: Office, socket: SlackSocket):
    office.fails = 1
    office.space.post("hello")
    event = office.space.done[-1].event
    office.server.send(event, "first")
    second = office.server.send(event, "again")
    office.server.wait(lambda: second in office.server.acknowledged)
    assert "first" not in office.server.acknowledged
    assert len(office.told()) == 1


def test_a_death_between_storing_and_acknowledging_makes_no_second_event(office: Office, socket: SlackSocket):
    office.dies_after = True
    office.space.post("hello")
    event = office.space.done[-1].event
    office.server.send(event, "lost")
    office.server.send({**event, "type": "other"}, "mark")
    office.server.wait(lambda: len(office.lines) >= CONNECTIONS + 2)
    office.dies_after = False
    again = office.server.send(event)
    office.server.wait(lambda: again in office.server.acknowledged)
    assert len(office.told()) == 1


def test_duplicates_and_a_wrong_order_change_nothing(office: Office, socket: SlackSocket):
    ts = office.space.post("a")
    at = office.space.edit(ts, "b")
    office.space.delete(ts)
    events = [done.event for done in office.space.done[-3:]]
    for event in [*reversed(events), *events]:
        last = office.server.send(event)
    office.server.wait(lambda: last in office.server.acknowledged)
    key = f"slack:C0TEST0001:{ts}"
    assert sorted(office.told()) == [key, f"{key}:deleted", f"{key}:edited:{at}"]


def test_a_connection_that_slack_renews_is_replaced(office: Office, socket: SlackSocket):
    opened = office.server.opened
    office.server.disconnect(0)
    office.server.wait(lambda: office.server.opened == opened + 1)
    office.space.post("hello")
    envelope = office.server.send(office.space.done[-1].event)
    office.server.wait(lambda: envelope in office.server.acknowledged)
    assert len(office.told()) == 1


def test_a_connection_that_breaks_is_opened_again_and_the_gap_is_read(office: Office, socket: SlackSocket):
    office.server.wait(lambda: office.due == CONNECTIONS)
    office.server.connections[0].close()
    ts = office.space.post("nobody was there to hear it")
    office.server.wait(lambda: office.due == CONNECTIONS + 1)
    office.driver.settle()
    assert office.told() == [f"slack:C0TEST0001:{ts}"]


def test_a_refused_token_is_said_and_not_tried_again_and_again(office: Office):
    socket = office.socket(token="xapp-wrong")
    socket.start()
    try:
        office.server.wait(lambda: bool(office.lines))
    finally:
        socket.close()
    assert "renew it; tried again in 900 s" in office.lines[0]
    assert len([call for call in office.space.calls if call[0] == "apps.connections.open"]) <= CONNECTIONS
    assert "xapp-wrong" not in "".join(office.lines)


def test_an_address_that_leads_into_the_machine_is_refused(office: Office):
    office.space.socket_url = "wss://169.254.169.254/link"
    with pytest.raises(ActionFailed, match="always refused"):
        office.socket()._new_address()


def test_what_hangs_is_left_behind_and_the_log_says_what(office: Office, caplog: pytest.LogCaptureFixture):
    office.hangs = True
    socket = office.socket(close_seconds=0.4)
    socket.start()
    try:
        office.server.wait(office.all_up)
        office.space.post("this hangs")
        office.server.send(office.space.done[-1].event)
        with caplog.at_level(logging.WARNING):
            socket.close()
    finally:
        office.goes_on.set()
    (said, *_) = [record.getMessage() for record in caplog.records if "was not closed" in record.getMessage()]
    assert said.startswith("chat: socket ")
    assert "hangs and is left behind until this process ends" in said


def test_sockets_that_close_leave_nothing_behind(
    office: Office, socket: SlackSocket, caplog: pytest.LogCaptureFixture
):
    socket.close()
    assert socket.standing == 0
    assert "left behind" not in caplog.text
