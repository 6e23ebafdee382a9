"""The hook for whatever has none of its own: who may say something, and what can be said."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.domain.errors import CredentialRefused, DeliveryRefused, PayloadUnreadable
from dct_pipelines.domain.listener import Delivery, ReadContext, Received, WatchedConnection, WatchedItem
from dct_pipelines.domain.signed_hook import SIGNED_HOOK
from dct_pipelines.domain.signing import sign
from dct_pipelines.domain.words import ItemKind
from tests.fakes.ports import NOON
from tests.fakes.snapshots import FakeSnapshots

SECRET = "s3cret"
COMMIT = "a" * 40
CHECK = {"type": "check", "repository": "shop", "commit": COMMIT, "name": "build", "state": "success"}
SHOP, TICKET = UUID(int=1), UUID(int=2)


def delivery(body: bytes = b"{}", **headers: str | None) -> Delivery:
    timestamp = int(NOON.timestamp())
    signed: dict[str, str | None] = {
        "webhook-id": "m1",
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(SECRET, "m1", timestamp, body),
    }
    given = signed | {name.replace("_", "-"): value for name, value in headers.items()}
    return Delivery({name: value for name, value in given.items() if value is not None}, body, NOON)


def read(told: Any) -> Received:
    items = (
        WatchedItem(SHOP, "shop", ItemKind.GIT_REPOSITORY, "/srv/shop.git", {}, {}),
        WatchedItem(TICKET, "ticket", ItemKind.JIRA_TICKET, "PAY-7", {}, {}),
    )
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    whole = WatchedConnection(UUID(int=3), "here", {}, {}, items)
    return SIGNED_HOOK.read(delivery(body), whole, ReadContext(NOON, FakeSnapshots()))


def test_one_of_several_signatures_is_enough():
    timestamp = int(NOON.timestamp())
    several = f"v1,bm90IGl0 {sign(SECRET, 'm1', timestamp, b'{}')}"
    SIGNED_HOOK.verify(delivery(webhook_signature=several), SECRET)


@pytest.mark.parametrize("header", ["webhook_id", "webhook_timestamp", "webhook_signature"])
@pytest.mark.parametrize("value", [None, "", "v1", "\udcff", "1e5", "9" * 400, "é", "٣", "-5"])
def test_headers_of_nonsense_are_refused(header, value):
    with pytest.raises(DeliveryRefused):
        SIGNED_HOOK.verify(delivery(**{header: value}), SECRET)


def test_a_changed_body_is_refused():
    signed = delivery(b'{"type": "look"}')
    with pytest.raises(DeliveryRefused):
        SIGNED_HOOK.verify(Delivery(signed.headers, signed.body + b" ", NOON), SECRET)


def test_a_secret_that_cannot_be_used_is_not_the_senders_fault():
    with pytest.raises(CredentialRefused):
        SIGNED_HOOK.verify(delivery(), "whsec_not base64")


def test_a_look_points_at_its_item():
    assert read({"type": "look", "item": "shop", "pushed_by": "kim"}).look_at == (SHOP,)


def test_a_check_is_stored_and_its_repository_looked_at():
    received = read(CHECK | {"url": "https://ci.example.org/1", "summary": "12 tests"})
    [check] = received.checks
    assert (check.repository_item_id, check.commit, check.name, check.state, check.url) == (
        SHOP,
        COMMIT,
        "build",
        "success",
        "https://ci.example.org/1",
    )
    assert received.look_at == (SHOP,)
    assert check.reported_at == NOON


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "the body"),
        (b"null", "the body"),
        ({"type": "drop"}, "look"),
        ({"type": "look"}, "item"),
        ({"type": "look", "item": "sho\nps"}, "no item"),
        (CHECK | {"repository": "ticket"}, "ticket is a jira_ticket"),
        (CHECK | {"commit": "main; rm -rf /"}, "commit"),
        (CHECK | {"commit": "A" * 40}, "commit"),
        (CHECK | {"url": "javascript:alert(1)"}, "url"),
        (CHECK | {"url": "https://ci.example.org/\nx"}, "url"),
        (CHECK | {"name": "a\nb"}, "name"),
        (CHECK | {"name": ""}, "name"),
        (CHECK | {"name": "x" * 100_000}, "name"),
        (CHECK | {"state": "great"}, "state"),
        (CHECK | {"summary": 5}, "summary"),
    ],
)
def test_what_cannot_be_understood_says_what_is_wrong_in_a_few_words(told, words):
    with pytest.raises(PayloadUnreadable, match=words) as caught:
        read(told)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_no_json_at_all_does_harm(told):
    with pytest.raises(PayloadUnreadable):
        read(told)
