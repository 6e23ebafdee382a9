"""Slack's deliveries: only what Slack signed just now is looked at; nonsense is never a traceback."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.domain.chat import hook
from dct_pipelines.domain.errors import DeliveryRefused, PayloadUnreadable
from dct_pipelines.domain.listener import Delivery, ReadContext, Received, WatchedConnection
from tests.fakes.ports import NOON
from tests.fakes.slack_server import CHANNEL
from tests.fakes.snapshots import FakeSnapshots
from tests.support import slack

BODY = b'{"type":"url_verification","challenge":"abc"}'
TOKEN = {"channel": CHANNEL, "name": "general", "link": "https://shop.slack.com/", "epoch": "1000.000000"}


def delivered(body: bytes, headers: dict[str, str] | None = None) -> Delivery:
    return Delivery(slack.signed(body, NOON.timestamp()) if headers is None else headers, body, NOON)


def read(body: Any, token: dict[str, str] | None = None) -> Received:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    item = slack.channel_item(token=TOKEN if token is None else token)
    connection = WatchedConnection(slack.CONNECTION, "chat", {}, {}, (item,))
    return hook.read(delivered(raw), connection, ReadContext(NOON, FakeSnapshots()))


def event(**fields: Any) -> dict[str, Any]:
    return {"type": "event_callback", "event": {"type": "message", "channel": CHANNEL, **fields}}


def test_what_slack_signed_is_taken():
    hook.verify(delivered(BODY), slack.SECRET)


@pytest.mark.parametrize(
    "changes",
    [
        {"x-slack-signature": "v0=00"},
        {"x-slack-signature": ""},
        {"x-slack-signature": "v0=größer"},
        {"x-slack-signature": "\ud800"},
        {"x-slack-request-timestamp": "soon"},
        {"x-slack-request-timestamp": ""},
        {"x-slack-request-timestamp": "٣"},
        {"x-slack-request-timestamp": "9" * 400},
        {"x-slack-request-timestamp": "-1"},
        {"x-slack-request-timestamp": str(int(NOON.timestamp()) + 1)},
    ],
)
def test_what_slack_did_not_sign_is_refused(changes: dict[str, str]):
    headers = slack.signed(BODY, NOON.timestamp()) | changes
    with pytest.raises(DeliveryRefused):
        hook.verify(delivered(BODY, headers), slack.SECRET)


@pytest.mark.parametrize("seconds", [-301, 301, -1e9])
def test_what_was_signed_too_long_ago_or_ahead_is_refused(seconds: float):
    headers = slack.signed(BODY, NOON.timestamp() + seconds)
    with pytest.raises(DeliveryRefused, match="five minutes"):
        hook.verify(delivered(BODY, headers), slack.SECRET)


def test_a_changed_body_is_refused():
    with pytest.raises(DeliveryRefused, match="signing secret"):
        hook.verify(delivered(BODY + b" ", slack.signed(BODY, NOON.timestamp())), slack.SECRET)


@given(
    headers=st.dictionaries(st.sampled_from(["x-slack-signature", "x-slack-request-timestamp"]), st.text())
)
def test_no_header_is_a_traceback(headers: dict[str, str]):
    with pytest.raises(DeliveryRefused):
        hook.verify(delivered(BODY, headers), slack.SECRET)


def test_the_challenge_is_answered():
    assert read(BODY).reply == "abc"


def test_what_slack_left_out_is_read():
    received = read({"type": "app_rate_limited", "minute_rate_limited": 1})
    assert received.look_at == (slack.ITEM,)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"[" * 100_000,
        b'"text"',
        {"type": "url_verification", "challenge": 7},
        {"type": "event_callback", "event": 3},
        event(channel=None, ts="1700.000000"),
        event(ts=1700.5),
        event(ts="yesterday"),
        event(ts="1700.000000", text=["a"]),
        event(ts="1700.000000", edited="a"),
        event(subtype="message_changed", message="a"),
        event(subtype="message_deleted", deleted_ts=5),
    ],
)
def test_nonsense_is_called_unreadable(body: Any):
    with pytest.raises(PayloadUnreadable):
        read(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=8), below, max_size=3),
    max_leaves=8,
)
FIELDS = (
    "ts text user blocks attachments edited thread_ts subtype message previous_message metadata files".split()
)


@given(fields=st.dictionaries(st.sampled_from(FIELDS), json_values))
def test_no_event_is_a_traceback(fields: dict[str, Any]):
    with suppress(PayloadUnreadable):
        read(event(**{"ts": "1700.000000", **fields}))


@pytest.mark.parametrize("kind", ["reaction_added", "channel_rename", None, 5])
def test_other_events_are_nothing(kind: Any):
    assert read({"type": "event_callback", "event": {"type": kind}}).page is None


def test_nothing_is_told_of_what_was_there_before_the_first_read():
    received = read(event(ts="999.000000", text="old", user="U1"))
    assert received.page is not None
    assert received.page.events == ()


def test_nothing_is_told_before_the_first_read():
    assert read(event(ts="1700.000000", text="new", user="U1"), token={}).page is None


def test_a_message_of_another_channel_is_nothing():
    assert read(event(channel="C0OTHER", ts="1700.000000", text="new", user="U1")).page is None
