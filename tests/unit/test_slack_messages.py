"""What a message says to its readers, and messages in the shapes that Slack documents."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.domain.chat.messages import parse
from dct_pipelines.domain.chat.places import Spot, location_fault, spot_of
from dct_pipelines.domain.chat.stamps import is_stamp, just_after, moment, order, shifted, stamp
from dct_pipelines.domain.chat.texts import from_mrkdwn, plain_text
from dct_pipelines.domain.words import ItemKind


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("a &lt;b&gt; &amp;amp;", "a <b> &amp;"),
        ("<@U1> and <@U2|dev>", "@U1 and @dev"),
        ("<#C1> <#C1|general>", "#C1 #general"),
        ("<!here> <!subteam^S1|@team> <!channel|channel>", "@here @team @channel"),
        ("<https://a.b/?x=1&amp;y=2>", "https://a.b/?x=1&y=2"),
        ("<https://a.b|here>", "here (https://a.b)"),
        ("<mailto:a@b.c|a@b.c>", "a@b.c"),
        ("2 < 3 <", "2 < 3 <"),
        ("*bold* _it_ `code`", "*bold* _it_ `code`"),
    ],
)
def test_mrkdwn_becomes_readable(written: str, plain: str):
    assert from_mrkdwn(written) == plain


@given(st.text(max_size=500))
def test_text_that_was_escaped_reads_as_it_was(text: str):
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert from_mrkdwn(escaped) == text


def test_rich_text_reads_as_people_see_it():
    section = [
        {"type": "text", "text": "Hi "},
        {"type": "user", "user_id": "U1"},
        {"type": "text", "text": " & "},
        {"type": "broadcast", "range": "here"},
        {"type": "link", "url": "https://a.b", "text": "see"},
        {"type": "emoji", "name": "tada"},
        {"type": "channel", "channel_id": "C1"},
    ]
    quote = {"type": "rich_text_quote", "elements": [{"type": "text", "text": "quoted"}]}
    items = [{"type": "rich_text_section", "elements": [{"type": "text", "text": "one"}]}]
    block = {
        "type": "rich_text",
        "elements": [
            {"type": "rich_text_section", "elements": section},
            quote,
            {"type": "rich_text_list", "elements": items},
        ],
    }
    raw = {"text": "fallback", "blocks": [block]}
    assert plain_text(raw) == "Hi @U1 & @heresee (https://a.b):tada:#C1\nquoted\none"


def test_blocks_and_attachments_of_apps_are_read():
    raw = {
        "text": "fallback",
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": "Build"}},
            {
                "type": "section",
                "text": {"type": "mrkdwn", "text": "<https://ci|#7>"},
                "fields": [{"text": "red"}],
            },
            {"type": "divider"},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": "by <@U1>"}]},
        ],
        "attachments": [
            {"title": "Log", "text": "line", "fields": [{"title": "exit", "value": "1"}], "fallback": "no"},
            {"fallback": "only this"},
        ],
    }
    assert plain_text(raw) == "Build\n#7 (https://ci)\nred\nby @U1\nLog\nline\nexit: 1\nonly this"


def test_deep_nesting_ends():
    block: dict[str, Any] = {"type": "context", "elements": []}
    for _ in range(500):
        block = {"type": "context", "elements": [block]}
    assert plain_text({"text": "t", "blocks": [block]}) == "t"


def test_messages_in_the_documented_shapes_are_understood():
    person = parse(
        {"type": "message", "user": "U012AB3CDE", "text": "I find you punny", "ts": "1512085950.000216"}
    )
    assert (person.author.id, person.is_reply, person.author.is_bot) == ("U012AB3CDE", False, False)
    bot = parse(
        {
            "bot_id": "B19LU7CSY",
            "subtype": "bot_message",
            "text": "Here's a message",
            "ts": "1503435956.000247",
            "username": "ecto1",
            "attachments": [
                {"fallback": "This is an attachment's fallback", "id": 1, "text": "An attachment"}
            ],
        }
    )
    assert (bot.author.id, bot.author.name, bot.author.is_bot) == ("B19LU7CSY", "ecto1", True)
    assert bot.text == "Here's a message\nAn attachment"
    parent = parse(
        {
            "reply_count": 3,
            "latest_reply": "1483125339.020269",
            "subscribed": True,
            "text": "island",
            "thread_ts": "1482960137.003543",
            "ts": "1482960137.003543",
            "unread_count": 0,
            "user": "U061F7AUR",
        }
    )
    assert (parent.replies, parent.last_reply, parent.is_reply) == (3, "1483125339.020269", False)
    reply = parse(
        {"parent_user_id": "U1", "text": "one", "thread_ts": "1482960137.003543", "ts": "1483037603.017503"}
    )
    assert reply.is_reply


@given(st.integers(0, 10**17 - 10**9))
def test_stamps_lose_nothing(microseconds: int):
    ts = stamp(microseconds)
    assert is_stamp(ts)
    assert order(ts) == microseconds
    assert order(just_after(ts)) == microseconds + 1
    assert order(shifted(ts, 60)) == microseconds + 60_000_000


def test_a_stamp_is_a_time():
    assert moment("1772452800.000001").isoformat() == "2026-03-02T12:00:00.000001+00:00"


@pytest.mark.parametrize(
    ("kind", "location", "spot"),
    [
        (ItemKind.SLACK_CHANNEL, "C0123ABCD", Spot("C0123ABCD")),
        (ItemKind.SLACK_CHANNEL, "#general", Spot("#general")),
        (ItemKind.SLACK_MESSAGE, "C0123ABCD/1700000000.123456", Spot("C0123ABCD", "1700000000.123456")),
        (ItemKind.SLACK_MESSAGE, "#general/1700000000.123456", Spot("#general", "1700000000.123456")),
        (
            ItemKind.SLACK_MESSAGE,
            "https://x.slack.com/archives/C0123ABCD/p1700000000123456",
            Spot("C0123ABCD", "1700000000.123456"),
        ),
        (
            ItemKind.SLACK_MESSAGE,
            "https://x.slack.com/archives/C0123ABCD/p1700000009123456?thread_ts=1700000000.123456&cid=C0123ABCD",
            Spot("C0123ABCD", "1700000000.123456"),
        ),
    ],
)
def test_locations_say_where(kind: ItemKind, location: str, spot: Spot):
    assert spot_of(kind, location) == spot
    assert location_fault(kind, location) is None


@pytest.mark.parametrize(
    "location", ["general", "", "#", "# x", "C1/2", "https://x/archives/C0123ABCD/p1", "//"]
)
@pytest.mark.parametrize("kind", [ItemKind.SLACK_CHANNEL, ItemKind.SLACK_MESSAGE])
def test_other_locations_are_told_what_is_meant(kind: ItemKind, location: str):
    assert "named" in (location_fault(kind, location) or "")


@pytest.mark.parametrize("kind", [["section"], {"name": "section"}, 5])
def test_a_block_whose_type_is_no_text_is_none_that_we_know(kind: Any):
    block = {"type": kind, "text": {"type": "mrkdwn", "text": "seen"}}
    assert plain_text({"text": "t", "blocks": [block]}) == "seen"
