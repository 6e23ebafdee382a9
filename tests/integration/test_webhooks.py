"""Webhooks on a real database: taken in once, whoever else brings the same, and none is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event as Signal
from typing import Any

import pytest

from dct_pipelines.domain.errors import ConnectionDown, DeliveryRefused, NotFound, Throttled
from dct_pipelines.domain.git_refs import RefSnapshot
from dct_pipelines.domain.listener import (
    Delivery,
    Page,
    ReadContext,
    Received,
    WatchedConnection,
    WebhookType,
)
from dct_pipelines.domain.signing import sign
from dct_pipelines.engine.webhooks import LARGEST_BODY_BYTES, Taken
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.watching import sources
from tests.support.hooks import CONNECTION, ITEM, Hooked
from tests.support.world import World

SECRET = "whsec_c2VjcmV0IG9mIGEgaG9vaw=="
OID = "a" * 40
LOOK = {"type": "look", "item": "sample"}
CHECK = {"type": "check", "repository": "sample", "commit": OID, "name": "build", "state": "success"}
Answer = Callable[[], RefSnapshot]


def branches(*names: str) -> RefSnapshot:
    return RefSnapshot("".join(f"{OID}\trefs/heads/{name}\n" for name in names).encode())


class Reader:
    """A repository that answers as it is told."""

    def __init__(self) -> None:
        self.answer: Answer = lambda: branches("main")
        self.calls = 0

    def refs(self) -> RefSnapshot:
        self.calls += 1
        return self.answer()

    def fetch(self, _wanted: Any) -> frozenset[str]:
        return frozenset()


class Post(Hooked):
    """A git connection that takes webhooks, and who posts to it."""

    def __init__(self, database: Database, webhook: WebhookType | None = None) -> None:
        self.reader = Reader()
        super().__init__(database, self.reader, secret=SECRET, webhook=webhook)
        self.poll()
        self.reader.calls = 0
        self.clock.advance(seconds=1)

    def delivery(self, told: Any, *, secret: str = SECRET, age_seconds: int = 0, key: str = "m1") -> Delivery:
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        now = self.clock.now()
        timestamp = int(now.timestamp()) - age_seconds
        headers = {
            "webhook-id": key,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(secret, key, timestamp, body),
        }
        return Delivery(headers, body, now)

    def receive(self, told: Any, **how: Any) -> Taken:
        return self.webhooks.receive("here", self.delivery(told, **how))


@pytest.fixture
def post(database: Database) -> Post:
    return Post(database)


def told_by(post_world: Callable[[], World]) -> WebhookType:
    """A provider whose deliveries name branches that were created; `look` in the body asks for a read."""

    def read(delivery: Delivery, connection: WatchedConnection, _context: ReadContext) -> Received:
        world = post_world()
        told = json.loads(delivery.body)
        drafts = [world.created(name) for name in told["created"]]
        states = tuple(world.state(name) for name in told["created"])
        page = Page(None, {"never": "stored"}, events=tuple(drafts), snapshots=states)
        looks = tuple(item.id for item in connection.items if told.get("look"))
        return Received("branches were created", page, looks, reply="challenge")

    def verify(_delivery: Delivery, secret: str) -> None:
        assert secret == SECRET

    return WebhookType(verify, read)


@pytest.fixture
def provider(database: Database) -> Post:
    found: list[Post] = []
    found.append(Post(database, told_by(lambda: found[0].world)))
    return found[0]


def test_a_hook_that_says_look_has_the_item_read_at_once(post: Post) -> None:
    post.reader.answer = lambda: branches("main", "x")
    taken = post.receive(LOOK)
    assert (taken.because, taken.events, post.reader.calls) == ("sample is read now", 1, 1)
    post.clock.advance(seconds=60)
    post.listening.tick("git")
    assert len(post.events()) == 1


def test_a_check_that_a_ci_reports_is_an_event_of_the_head_at_once(post: Post) -> None:
    taken = post.receive(CHECK)
    [event] = post.events()
    assert (event["kind"], event["payload"]["name"], event["payload"]["state"]) == (
        "check_reported",
        "build",
        "success",
    )
    assert taken.because == "build on aaaaaaaa is success; sample is read now"


def test_the_last_report_of_a_check_counts_and_a_repeated_one_is_no_news(post: Post) -> None:
    for state in ("pending", "pending", "failure", "failure"):
        post.receive(CHECK | {"state": state})
        post.clock.advance(seconds=1)
    states = [event["payload"]["state"] for event in post.events()]
    assert states == ["pending", "failure"]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"secret": "another"}, "does not fit the webhook secret"),
        ({"age_seconds": 301}, "301 s away from our time"),
        ({"age_seconds": -301}, "301 s away from our time"),
    ],
)
def test_a_delivery_that_is_not_signed_as_agreed_is_refused_and_leaves_nothing(
    post: Post, how: dict[str, Any], words: str
) -> None:
    with pytest.raises(DeliveryRefused, match=words):
        post.receive(CHECK, **how)
    assert (post.letters(), post.world.rows(tables.checks), post.reader.calls) == ([], [], 0)


def test_without_a_secret_every_delivery_is_refused_and_told_why(post: Post) -> None:
    post.configure(config={"config": {}})
    with pytest.raises(DeliveryRefused, match="here has no webhook_secret"):
        post.receive(LOOK)


def test_a_delivery_to_nobody_names_the_nearest_connection(post: Post) -> None:
    with pytest.raises(NotFound, match="did you mean 'here'"):
        post.webhooks.receive("hre", post.delivery(LOOK))


def test_a_connection_that_is_switched_off_takes_nothing_in(provider: Post) -> None:
    provider.configure(is_enabled=False)
    assert "switched off" in provider.receive({"created": ["x"]}).because
    assert provider.events() == []


def test_bodies_of_nonsense_are_kept_as_dead_letters_each_once(post: Post) -> None:
    bodies = [b"\xff\xfe\x00", b'{"type": "look", "item": "nobody\\u0000"}', b"[" * 100_000]
    for body in bodies * 2:
        assert post.receive(body).because.startswith("kept as a dead letter: ")
    assert [letter["count"] for letter in post.letters()] == [2, 2, 2]
    assert (post.world.rows(tables.checks), post.reader.calls) == ([], 0)


def test_a_fault_of_the_listener_keeps_the_delivery_as_a_dead_letter(database: Database) -> None:
    def read(*_given: Any) -> Received:
        raise ZeroDivisionError("oh")

    post = Post(database, WebhookType(lambda _delivery, _secret: None, read))
    assert "a fault of the listener" in post.receive({"any": "thing"}).because
    [letter] = post.letters()
    assert letter["raw"] == '{"any": "thing"}'


def test_a_delivery_that_is_too_large_has_the_connection_read_instead(post: Post) -> None:
    taken = post.receive(b" " * (LARGEST_BODY_BYTES + 1))
    assert "more than 1048576; the connection is read instead" in taken.because
    assert post.due_at == post.clock.now()
    [letter] = post.letters()
    assert len(letter["raw"]) < LARGEST_BODY_BYTES


def test_a_webhook_and_a_poll_of_the_same_change_are_one_event(provider: Post) -> None:
    first = provider.receive({"created": ["x", "y"]})
    polled = provider.world.page(provider.world.created("x"))
    provider.world.intake.ingest(CONNECTION, polled)
    again = provider.receive({"created": ["y", "x"]}, key="m2")
    assert (first.events, again.events, len(provider.events())) == (2, 0, 2)


def test_a_delivery_that_is_sent_again_changes_nothing_and_is_answered_as_before(provider: Post) -> None:
    first, again = (provider.receive({"created": ["x"]}) for _ in range(2))
    assert (first.reply, again.reply) == ("challenge", "challenge")
    assert (first.events, again.events) == (1, 0)


def test_a_webhook_moves_no_cursor(provider: Post) -> None:
    provider.receive({"created": ["x"]})
    assert provider.world.rows(tables.connection_cursors) == []


def test_what_a_socket_brings_is_taken_in_without_a_signature(provider: Post) -> None:
    provider.configure(config={"config": {}})
    delivery = Delivery({}, b'{"created": ["x"]}', provider.clock.now())
    assert provider.webhooks.take_in("here", delivery).events == 1


def test_a_provider_that_is_down_while_its_item_is_looked_at_is_read_by_the_next_tick(provider: Post) -> None:
    def down() -> RefSnapshot:
        raise ConnectionDown("no route to host")

    provider.reader.answer = down
    taken = provider.receive({"created": ["x"], "look": True})
    assert taken.events == 1
    assert "to be read again by the next tick: here: no route to host" in taken.because
    assert provider.due_at == provider.clock.now()


def test_a_provider_that_told_us_to_wait_is_not_asked_before(post: Post) -> None:
    until = post.clock.now() + timedelta(hours=1)

    def throttled() -> RefSnapshot:
        raise Throttled("slow down", not_before=until)

    post.reader.answer = throttled
    post.receive(LOOK)
    taken = post.receive(LOOK)
    assert post.reader.calls == 1
    assert f"left alone until {until:%H:%M:%S} UTC" in taken.because


def test_a_provider_that_hangs_while_looked_at_does_not_hold_up_the_answer(post: Post) -> None:
    go_on = Signal()

    def hanging() -> RefSnapshot:
        assert go_on.wait(30)
        return branches("main")

    post.reader.answer = hanging
    taken = post.receive(LOOK)
    assert "its read goes on" in taken.because
    assert post.due_at == post.clock.now()
    go_on.set()
    with post.listening.recorded([ITEM], 30) as afterwards:
        assert afterwards.problems == []


def test_a_delivery_during_a_long_poll_is_taken_in_and_what_the_poll_missed_is_read_next(
    provider: Post,
) -> None:
    begun, go_on = Signal(), Signal()

    def slow() -> RefSnapshot:
        begun.set()
        assert go_on.wait(30)
        return branches("main", "x")

    provider.clock.advance(seconds=60)
    provider.reader.answer = slow
    with ThreadPoolExecutor(1) as pool:
        tick = pool.submit(provider.listening.tick, "git")
        assert begun.wait(10)
        provider.clock.advance(seconds=1)
        told_at = provider.clock.now()
        assert provider.receive({"created": ["y"]}).events == 1
        provider.clock.advance(seconds=1)
        go_on.set()
        assert tick.result(10).problems == []
    assert provider.due_at == told_at


def test_two_deliveries_at_once_are_each_taken_in_once(provider: Post) -> None:
    with ThreadPoolExecutor(4) as pool:
        told = [{"created": ["x", f"y{number % 2}"]} for number in range(8)]
        taken = list(pool.map(provider.receive, told))
    assert sum(one.events for one in taken) == len(provider.events()) == 3


def test_a_reading_lock_that_others_hold_delays_a_delivery_but_does_not_lose_it(provider: Post) -> None:
    with provider.world.database.connect() as elsewhere:
        assert sources.try_lock(elsewhere, CONNECTION)
        assert provider.receive({"created": ["x"]}).events == 1
        sources.unlock(elsewhere, CONNECTION)
