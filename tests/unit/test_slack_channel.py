"""Telling people over Slack: whom, once, in which thread, and nothing from outside that calls or links."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.actions.notify_users import ACTION, NotifyUsersConfig
from dct_pipelines.clients.slack.channel import SlackChannelClient
from dct_pipelines.clients.slack.wording import MOST_SECTIONS, content_of, escaped
from dct_pipelines.domain.channels import SlackChannel
from dct_pipelines.domain.chat.messages import parse
from dct_pipelines.domain.errors import (
    ActionFailed,
    ConnectionDown,
    CredentialRefused,
    ItemUnreadable,
    Throttled,
)
from dct_pipelines.domain.operations import Notification
from tests.fakes.ports import FakeClock, action_context, fake_ports
from tests.fakes.slack_http import slack_http
from tests.fakes.slack_server import BOT, CHANNEL, SlackWorkspace
from tests.support import slack


@dataclass
class Desk:
    """A channel of ours on a workspace, and what it announced."""

    workspace: SlackWorkspace
    channel: SlackChannelClient
    announced: list[tuple[str, str]] = field(default_factory=list)
    settled: list[tuple[str, str]] = field(default_factory=list)
    """Marks, and the ts that took their place."""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    workspace = SlackWorkspace(FakeClock())
    with slack_http(workspace) as server:
        client = slack.client(server.url, FakeClock())
        announced: list[tuple[str, str]] = []
        settled: list[tuple[str, str]] = []

        def announce(channel: str, mark: str, instead_of: str | None = None) -> None:
            announced.append((channel, mark))
            if instead_of is not None:
                settled.append((instead_of, mark))

        spec = SlackChannel(name="chat", connection="chat", receivers=("#general", "@dev", CHANNEL))
        channel = SlackChannelClient(spec, lambda: client, tmp_path, announce)
        yield Desk(workspace, channel, announced, settled)


def note(key: str = "k1", receiver: str = "#general", **changes: Any) -> Notification:
    fields: dict[str, Any] = {"channel": "chat", "receiver": receiver, "subject": "Ready", "text": "Look."}
    return Notification(**(fields | {"idempotency_key": key} | changes))


def posted(desk: Desk) -> list[str]:
    return [said.ts for said in desk.workspace.messages.values() if said.user == BOT]


@pytest.mark.parametrize("receiver", ["#general", "@dev", CHANNEL])
def test_an_allowed_receiver_is_told(desk: Desk, receiver: str):
    receipt = desk.channel.send(note(receiver=receiver))
    assert receipt.state == "sent"
    assert [receipt.message_id] == [f"{desk.announced[0][0]}/{posted(desk)[0]}"]


@pytest.mark.parametrize("receiver", ["#board", "@lead", "lead@example.com", "ULEAD0001", "nobody"])
def test_nobody_else_is(desk: Desk, receiver: str):
    with pytest.raises(ActionFailed, match="may not write to"):
        desk.channel.send(note(receiver=receiver))
    assert desk.workspace.calls == []


def test_the_mark_is_announced_before_the_message_is_posted(desk: Desk):
    before: list[list[tuple[str, str]]] = []

    def look(method: str) -> str | None:
        if method == "chat.postMessage":
            before.append(list(desk.announced))
        return None

    desk.workspace.fault = look
    desk.channel.send(note())
    assert before == [[(CHANNEL, "k1")]]
    shown = desk.workspace.shown(desk.workspace.messages[posted(desk)[0]])
    assert parse(shown).marks == ("k1",)


def test_once_its_ts_is_known_the_message_is_ours_by_that_and_no_longer_by_a_key_that_anybody_can_copy(
    desk: Desk,
):
    desk.channel.send(note(update_key="u"))
    assert desk.settled == [("k1", posted(desk)[0])]
    desk.channel.send(note(key="k2", update_key="u"))
    assert desk.settled == [("k1", posted(desk)[0])], "an edit is known by its own execution's key"


def test_the_mark_is_read_from_the_blocks_where_metadata_is_withheld(desk: Desk):
    desk.channel.send(note())
    shown = desk.workspace.shown(desk.workspace.messages[posted(desk)[0]])
    assert parse({**shown, "metadata": None}).marks == ("k1",)


@pytest.mark.parametrize("fault", ["lost", "half"])
def test_a_message_whose_answer_was_lost_is_found_and_not_posted_again(desk: Desk, fault: str):
    desk.workspace.fault = lambda method: fault if method == "chat.postMessage" else None
    assert desk.channel.send(note()).state == "sent"
    assert len(posted(desk)) == 1


def test_a_repeat_finds_the_message_of_the_attempt_before(desk: Desk):
    desk.channel.send(note())
    assert desk.channel.send(note(is_repeat=True)).state == "duplicate"
    assert len(posted(desk)) == 1


def test_a_repeat_posts_what_was_not_posted_before(desk: Desk):
    desk.workspace.fault = lambda method: "reset" if method == "chat.postMessage" else None
    with pytest.raises(ConnectionDown):
        desk.channel.send(note())
    desk.workspace.fault = lambda _method: None
    assert desk.channel.send(note(is_repeat=True)).state == "sent"
    assert len(posted(desk)) == 1


def test_a_thread_is_answered_by_ts_or_by_a_message_s_id(desk: Desk):
    root = desk.workspace.post("a question")
    desk.channel.send(note("k1", thread=root))
    desk.channel.send(note("k2", thread=f"{CHANNEL}/{root}"))
    assert [said.text for said in desk.workspace.answers(root)] == ["Ready: Look."] * 2
    with pytest.raises(ActionFailed, match="no thread of Slack"):
        desk.channel.send(note("k3", thread="yesterday"))


def test_an_update_replaces_the_earlier_message_and_posts_anew_when_that_is_gone(desk: Desk):
    first = desk.channel.send(note("k1", update_key="u"))
    second = desk.channel.send(note("k2", update_key="u", text="Deployed."))
    assert second.message_id == first.message_id
    [ts] = posted(desk)
    assert desk.workspace.messages[ts].text == "Ready: Deployed."
    desk.workspace.messages[ts].is_deleted = True
    assert desk.channel.send(note("k3", update_key="u")).message_id != first.message_id


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("not_in_channel", ActionFailed, "invite it with /invite"),
        ("channel_not_found", ActionFailed, "invite it with /invite"),
        ("is_archived", ActionFailed, "archived"),
        ("invalid_auth", CredentialRefused, "renew"),
        ("token_revoked", CredentialRefused, "renew"),
        ("missing_scope", CredentialRefused, "scope"),
        ("429", Throttled, "wait"),
        ("ratelimited", Throttled, "wait"),
        ("500", ConnectionDown, "500"),
        ("something_new", ActionFailed, "something_new"),
    ],
)
def test_errors_say_what_to_do(desk: Desk, fault: str, error: type[Exception], words: str):
    desk.workspace.fault = lambda method: fault if method == "chat.postMessage" else None
    with pytest.raises(error, match=words):
        desk.channel.send(note())


def test_somebody_who_is_not_there_is_named(desk: Desk):
    desk.workspace.users.clear()
    desk.channel._allowed.add("gone@example.com")
    with pytest.raises(ItemUnreadable, match=r"nobody in chat has the address gone@example\.com"):
        desk.channel.send(note(receiver="gone@example.com"))


@given(text=st.text(alphabet=st.sampled_from("<>&!@#|here channelU1abc:/. \n"), max_size=400))
def test_text_from_outside_calls_nobody_and_reads_as_it_was(text: str):
    written = escaped(text)
    assert "<!" not in written
    assert "<@" not in written
    assert "<#" not in written


def test_a_call_to_everybody_stays_text():
    blocks = content_of(note(subject="<!channel>", text="<!here> & <@U1> https://example.org/a?b=1"))[
        "blocks"
    ]
    assert blocks[0]["text"] == {"type": "plain_text", "text": "<!channel>", "emoji": False}
    text = blocks[1]["text"]
    assert text["verbatim"] is True
    assert text["text"] == "&lt;!here&gt; &amp; &lt;@U1&gt; <https://example.org/a?b=1>"


@pytest.mark.parametrize("text", ["x" * 200_000, "&" * 50_000, "line\n" * 9_000, "https://a.b/c " * 4_000])
def test_long_texts_are_split_and_then_cut(text: str):
    content = content_of(note(text=text))
    sections = [block for block in content["blocks"] if block["type"] == "section"]
    assert len(sections) == MOST_SECTIONS + 1
    assert all(len(block["text"]["text"]) <= 3000 for block in sections)
    assert len(content["text"]) <= 5_000


def test_the_action_gives_the_message_and_its_thread_to_later_steps(desk: Desk):
    config = NotifyUsersConfig.model_validate(
        {"channels": [{"channel": "chat", "to": ["#general"]}], "subject": "S", "text": "T"}
    )
    ports = fake_ports(channels={"chat": desk.channel})
    outputs = ACTION.run(action_context("tell"), config, ports).outputs
    [ts] = posted(desk)
    assert outputs["messages"] == [f"{CHANNEL}/{ts}"]
    assert outputs["thread"] == f"{CHANNEL}/{ts}"


def test_throttling_is_passed_on_with_its_end(desk: Desk):
    desk.workspace.fault = lambda method: "429" if method == "chat.postMessage" else None
    config = NotifyUsersConfig.model_validate(
        {"channels": [{"channel": "chat", "to": ["#general"]}], "subject": "S", "text": "T"}
    )
    with pytest.raises(Throttled) as caught:
        ACTION.run(action_context("tell"), config, fake_ports(channels={"chat": desk.channel}))
    assert (caught.value.not_before - FakeClock().now()).total_seconds() == 7
