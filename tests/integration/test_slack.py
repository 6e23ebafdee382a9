"""The real client, listener and channel against the Slack emulator, and faults of a server of ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dct_pipelines.clients.clock import SystemClock
from dct_pipelines.clients.slack import SlackClient
from dct_pipelines.clients.slack.channel import SlackChannelClient
from dct_pipelines.domain.channels import SlackChannel
from dct_pipelines.domain.errors import ConnectionDown, CredentialRefused, DctError, ItemUnreadable, Throttled
from dct_pipelines.domain.operations import Notification
from dct_pipelines.domain.words import ItemKind
from dct_pipelines.listeners.slack import LISTENER
from tests.fakes.budget import FakeBudget
from tests.fakes.ports import FakeClock
from tests.fakes.slack_http import SlackHttp, slack_http
from tests.fakes.slack_server import CHANNEL, SlackWorkspace
from tests.properties.driver import Driver
from tests.support import slack as support
from tests.support.servers.slack_server import BOT
from tests.support.servers.slack_server import SlackChannel as EmulatedChannel

NEVER = 86_400


def client_of(channel: EmulatedChannel) -> SlackClient:
    base = channel.server.base_url.removesuffix("/api/")
    return support.client(base, SystemClock(), token=channel.server.tokens[BOT])


def driver_of(channel: EmulatedChannel, client: SlackClient) -> Driver:
    item = support.channel_item(f"#{channel.name}")
    return Driver(LISTENER, support.CONNECTION, {}, [item], lambda _item: client, SystemClock())


def swept(driver: Driver) -> None:
    """Read as if the last sweep were long ago."""
    token = dict(driver.intake.item_tokens[support.ITEM])
    token.pop("swept_at", None)
    driver.intake.item_tokens[support.ITEM] = token
    driver.settle()


def told(driver: Driver) -> list[tuple[str, str]]:
    return [(event.payload.kind, event.payload.message_id) for event in driver.intake.events]  # type: ignore[union-attr]  # messages have one


def test_messages_answers_edits_and_deletions_are_seen(slack: EmulatedChannel):
    known = slack.post("before")
    driver = driver_of(slack, client_of(slack))
    driver.settle()
    assert told(driver) == []
    first = slack.post("one &amp; two", "lead")
    answer = slack.post("an answer", "guest", thread_ts=first)
    slack.edit(known, "after")
    gone = slack.post("soon gone")
    driver.settle()
    slack.delete(gone)
    swept(driver)
    assert sorted(told(driver)) == sorted(
        [
            ("message_posted", first),
            ("message_posted", gone),
            ("message_posted", answer),
            ("message_edited", known),
            ("message_deleted", gone),
        ]
    )
    [author] = [
        event.actor for event in driver.intake.events if event.dedup_key.split(":")[2].startswith(first)
    ]
    assert author is not None
    assert author.id == slack.server.user_id("lead")


def test_a_watched_thread_is_read(slack: EmulatedChannel):
    root = slack.post("the question")
    item = support.thread_item(root)
    item = type(item)(
        support.ITEM, item.name, ItemKind.SLACK_MESSAGE, f"#{slack.name}/{root}", item.config, item.token
    )
    client = client_of(slack)
    driver = Driver(LISTENER, support.CONNECTION, {}, [item], lambda _item: client, SystemClock())
    driver.settle()
    answer = slack.post("the answer", "lead", thread_ts=root)
    driver.settle()
    assert told(driver) == [("message_posted", answer)]


def test_the_connection_and_its_items_are_looked_at(slack: EmulatedChannel):
    client = client_of(slack)
    assert {finding.what: finding.is_ok for finding in client.check()} == {
        "account": True,
        "permissions": True,
        "clock": True,
    }
    root = slack.post("the question")
    assert slack.name in client.look(ItemKind.SLACK_CHANNEL, f"#{slack.name}", {})
    assert "the question" in client.look(ItemKind.SLACK_MESSAGE, f"{slack.id}/{root}", {})
    with pytest.raises(ItemUnreadable, match="invite it"):
        client.look(ItemKind.SLACK_CHANNEL, "#no-such-channel", {})


def test_our_own_message_comes_back_with_its_mark(slack: EmulatedChannel, tmp_path: Path):
    client = client_of(slack)
    driver = driver_of(slack, client)
    driver.settle()
    announced: list[tuple[str, str]] = []
    spec = SlackChannel(name="chat", connection="chat", receivers=("*",))
    channel = SlackChannelClient(
        spec, lambda: client, tmp_path, lambda place, mark, _before=None: announced.append((place, mark))
    )
    note = Notification(
        channel="chat",
        receiver=f"#{slack.name}",
        subject="Ready",
        text="<!here> look",
        idempotency_key="6f0e7f0e-0000-4000-8000-000000000001",
        update_key="u",
    )
    receipt = channel.send(note)
    assert announced[0] == (slack.id, note.idempotency_key)
    driver.settle()
    [event] = driver.intake.events
    assert note.idempotency_key in event.external_ids
    assert receipt.message_id == f"{slack.id}/{event.payload.message_id}"  # type: ignore[union-attr]  # a message
    assert channel.send(note.model_copy(update={"is_repeat": True})).state == "duplicate"
    again = note.model_copy(update={"text": "done", "idempotency_key": "k2"})
    assert channel.send(again).message_id == receipt.message_id
    assert len(slack.history()) == 1


def test_a_user_is_told_by_address_in_a_conversation_of_its_own(slack: EmulatedChannel, tmp_path: Path):
    client = client_of(slack)
    spec = SlackChannel(name="chat", connection="chat", receivers=("dev@example.com",))
    channel = SlackChannelClient(spec, lambda: client, tmp_path, lambda _place, _mark, _before=None: None)
    note = Notification(channel="c", receiver="dev@example.com", subject="S", text="T", idempotency_key="k")
    receipt = channel.send(note)
    assert receipt.message_id is not None
    assert receipt.message_id.startswith("D")


# ------------------------------------------------------------------ faults


@pytest.fixture
def served() -> Iterator[SlackHttp]:
    with slack_http(SlackWorkspace(FakeClock())) as server:
        yield server


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("500", ConnectionDown),
        ("503", ConnectionDown),
        ("reset", ConnectionDown),
        ("half", ConnectionDown),
        ("html", ConnectionDown),
        ("internal_error", ConnectionDown),
        ("429", Throttled),
        ("ratelimited", Throttled),
        ("invalid_auth", CredentialRefused),
        ("token_revoked", CredentialRefused),
        ("account_inactive", CredentialRefused),
        ("missing_scope", CredentialRefused),
        ("not_authed", CredentialRefused),
        ("channel_not_found", ItemUnreadable),
        ("not_in_channel", ItemUnreadable),
        ("is_archived", ItemUnreadable),
        ("thread_not_found", ItemUnreadable),
        ("invalid_cursor", ItemUnreadable),
    ],
)
def test_each_failure_is_told_as_what_it_is(served: SlackHttp, fault: str, error: type[DctError]):
    client = support.client(served.url, FakeClock())
    served.workspace.fault = lambda _method: fault
    with pytest.raises(error) as caught:
        client.history(CHANNEL, oldest=None, latest=None, cursor=None)
    assert type(caught.value) is error or issubclass(type(caught.value), error)
    assert "xoxb" not in str(caught.value)


def test_calls_of_a_method_are_counted_over_all_channels(served: SlackHttp):
    budget = FakeBudget(FakeClock())
    client = support.client(served.url, FakeClock(), budget=budget, history_calls_per_minute=3)
    for _ in range(3):
        client.history(CHANNEL, oldest=None, latest=None, cursor=None)
    with pytest.raises(Throttled):
        client.history("C0OTHER001", oldest=None, latest=None, cursor=None)
    assert budget.calls == {"conversations.history": 3}


def test_a_message_that_nobody_understands_is_kept_and_its_siblings_are_read(served: SlackHttp):
    clock = FakeClock()
    client = support.client(served.url, clock)
    item = support.channel_item(sweep_interval_seconds=NEVER)
    driver = Driver(LISTENER, support.CONNECTION, {}, [item], lambda _item: client, clock)
    driver.settle()
    first = served.workspace.post("one")
    served.workspace.post("broken", edited=7)
    last = served.workspace.post("two")
    driver.settle()
    assert told(driver) == [("message_posted", first), ("message_posted", last)]
    [letter] = driver.intake.dead_letters.values()
    assert '"edited": 7' in letter.raw


def test_what_is_older_than_the_window_is_forgotten(served: SlackHttp):
    clock = FakeClock()
    client = support.client(served.url, clock)
    item = support.channel_item(thread_window_days=1)
    driver = Driver(LISTENER, support.CONNECTION, {}, [item], lambda _item: client, clock)
    driver.settle()
    for _ in range(5):
        served.workspace.post("talk")
    driver.settle()
    assert len(driver.states(item)) == 10
    clock.advance(days=2)
    driver.settle()
    assert driver.states(item) == {}
