"""Channels of alerts: each is told by itself, and one that does not answer silences no other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import update

from dct_pipelines.domain.alerts import AlertMessage, MessageKind
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted
from dct_pipelines.engine.alerts.deliver import CLAIMED_FOR, Delivery
from dct_pipelines.store import alert_outbox as outbox
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from tests.fakes.ports import FakeClock

pytestmark = pytest.mark.integration
LONG = 20.0
"""Seconds after which a test that would wait for ever fails."""


@dataclass
class Ways:
    """By channel what happens to a message; who has it, in the order of arrival."""

    does: dict[str, Callable[[AlertMessage], None]] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)

    def send(self, message: AlertMessage) -> None:
        self.tried.append(message.destination)
        if does := self.does.get(message.destination.partition(":")[0]):
            does(message)
        self.heard.append(message.destination)


@dataclass
class Post:
    """The outbox of a test, and what delivers from it."""

    database: Database
    clock: FakeClock = field(default_factory=FakeClock)
    ways: Ways = field(default_factory=Ways)

    def write(self, *destinations: str) -> None:
        """A message for each, one after the other."""
        for destination in destinations:
            self.clock.advance(seconds=1)
            message = AlertMessage(
                id=uuid4(),
                kind=MessageKind.OPENED,
                destination=destination,
                subject="Incident",
                text="down",
                at=self.clock.now(),
            )
            with self.database.begin() as connection:
                outbox.put(connection, [(message, [uuid4()])])

    def delivery(self, budget: float = LONG, patience: float = LONG) -> Delivery:
        return Delivery(self.database, self.clock, self.ways, budget, patience)

    def rows(self) -> list[tuple[str, int, bool]]:
        """Destination, attempts, and whether it arrived."""
        with self.database.connect() as connection:
            found = connection.execute(tables.alert_messages.select().order_by("created_at")).all()
        return [(row.destination, row.attempts, row.sent_at is not None) for row in found]


@pytest.fixture
def post(database: Database) -> Post:
    return Post(database)


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """What hangs until then; whatever the test does, it hangs no longer than the test."""
    event = threading.Event()
    yield event
    event.set()


def unreachable(_message: AlertMessage) -> None:
    raise ActionInterrupted("mail cannot be reached; it is tried again")


def test_a_mail_server_that_hangs_until_the_webhook_was_told_does_not_keep_it_from_being_told(post: Post):
    told = threading.Event()
    waited = []
    post.ways.does = {"webhook": lambda _: told.set(), "mail": lambda _: waited.append(told.wait(LONG))}
    post.write(*(f"mail:{number}@example.org" for number in range(12)), "webhook")
    done = post.delivery().deliver()
    assert waited == [True] * 12
    assert (done.sent, post.ways.heard[0]) == (13, "webhook")


def test_a_turn_does_not_wait_for_a_channel_that_hangs_and_does_not_begin_it_again(
    post: Post, released: threading.Event
):
    hangs = threading.Event()

    def hang(_message: AlertMessage) -> None:
        hangs.set()
        released.wait(LONG)

    post.ways.does = {"mail": hang}
    post.write("mail:a@example.org", "mail:b@example.org")
    delivery = post.delivery(budget=3, patience=0)
    first = delivery.deliver()
    assert hangs.wait(LONG)
    post.clock.advance(seconds=CLAIMED_FOR.total_seconds() + 1)
    post.write("webhook")
    second = delivery.deliver()
    assert (first.slow, second.slow, second.sent) == (["mail"], ["mail"], 1)
    assert str(second) == "1 message sent, mail takes long to be told"
    assert post.ways.tried == ["mail:a@example.org", "webhook"]


def test_a_send_that_takes_minutes_is_nobody_elses_meanwhile(post: Post):
    """Another process looks for something to send while the first is at it."""
    post.write("mail:a@example.org")

    def slow(_message: AlertMessage) -> None:
        post.clock.advance(minutes=5)
        post.delivery().deliver()

    post.ways.does = {"mail": slow}
    post.delivery().deliver()
    post.clock.advance(minutes=10)
    post.delivery().deliver()
    assert post.ways.tried == ["mail:a@example.org"]


def test_after_one_failure_the_rest_of_the_channel_is_left_for_the_next_turn(post: Post):
    post.ways.does = {"mail": unreachable}
    post.write("mail:a@example.org", "mail:b@example.org", "mail:c@example.org")
    done = post.delivery().deliver()
    assert (done.failed, [attempts for _, attempts, _ in post.rows()]) == (1, [1, 0, 0])
    post.ways.does = {}
    post.delivery().deliver()
    assert post.ways.heard == ["mail:b@example.org", "mail:c@example.org"]


def test_one_receiver_that_is_refused_keeps_no_other_of_its_channel_from_hearing(post: Post):
    def refuses(message: AlertMessage) -> None:
        if message.destination == "mail:gone@example.org":
            raise ActionFailed("the mail server refused the receiver: 550 no such user")

    post.ways.does = {"mail": refuses}
    post.write("mail:gone@example.org", "mail:b@example.org")
    done = post.delivery().deliver()
    assert (done.failed, post.ways.heard) == (1, ["mail:b@example.org"])


def test_what_was_tried_least_goes_first(post: Post):
    post.ways.does = {"mail": unreachable}
    post.write("mail:old@example.org")
    delivery = post.delivery()
    delivery.deliver()
    post.clock.advance(minutes=5)
    post.write("mail:new@example.org")
    delivery.deliver()
    assert post.ways.tried == ["mail:old@example.org", "mail:new@example.org"]


def test_what_was_left_because_its_channel_is_away_is_given_up_as_well(post: Post, caplog):
    post.ways.does = {"mail": unreachable}
    post.write("mail:a@example.org", "mail:b@example.org")
    delivery = post.delivery()
    delivery.deliver()
    delivery.deliver()
    post.clock.advance(days=3)
    with caplog.at_level(logging.ERROR):
        assert delivery.deliver().dropped == 2
    assert "gave up to tell mail 1 message" in caplog.text


def test_a_message_that_cannot_be_read_stops_none_after_it(post: Post, caplog):
    post.write("webhook", "webhook")
    rows = tables.alert_messages
    with post.database.begin() as connection:
        first = rows.c.created_at == post.clock.now() - timedelta(seconds=1)
        connection.execute(update(rows).where(first).values(message={"words": "of another release"}))
    with caplog.at_level(logging.ERROR):
        done = post.delivery().deliver()
    assert (done.sent, [arrived for *_, arrived in post.rows()]) == (1, [False, True])
    assert "cannot be read" in caplog.text
