"""A Slack connection to a server of ours: its endpoint, its items, its deliveries."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from dct_pipelines.clients.slack import SlackClient
from dct_pipelines.domain.connected import CallBudget, Endpoint
from dct_pipelines.domain.listener import WatchedItem
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.words import ItemKind
from tests.fakes.budget import FakeBudget
from tests.fakes.slack_server import CHANNEL, TOKEN

CONNECTION = UUID("00000000-0000-4000-8000-00000000c001")
ITEM = UUID("00000000-0000-4000-8000-000000000101")
THREAD_ITEM = UUID("00000000-0000-4000-8000-000000000102")
SECRET = "signing-secret"


def endpoint(base: str, token: str = TOKEN, budget: CallBudget | None = None, **config: Any) -> Endpoint:
    """The connection `chat` at that base."""
    return Endpoint(
        connection_id=CONNECTION,
        name="chat",
        kind="slack",
        base=base,
        config=config,
        credential=lambda: token,
        allow_private_network=True,
        budget=budget or FakeBudget(),
    )


def client(base: str, clock: Clock, **changes: Any) -> SlackClient:
    """The real client."""
    return SlackClient(endpoint(base, **changes), clock)


def channel_item(
    location: str = CHANNEL, token: Mapping[str, Any] | None = None, **config: Any
) -> WatchedItem:
    """A channel that is watched."""
    return WatchedItem(ITEM, "general", ItemKind.SLACK_CHANNEL, location, config, token or {})


def thread_item(root: str, token: Mapping[str, Any] | None = None, **config: Any) -> WatchedItem:
    """A thread that is watched."""
    location = f"{CHANNEL}/{root}"
    return WatchedItem(THREAD_ITEM, "a thread", ItemKind.SLACK_MESSAGE, location, config, token or {})


def delivery(event: Mapping[str, Any], at: float) -> tuple[dict[str, str], bytes]:
    """Headers and body of an event as Slack posts it, signed."""
    body = json.dumps({"type": "event_callback", "team_id": "T1", "event_id": "Ev1", "event": event}).encode()
    return signed(body, at), body


def signed(body: bytes, at: float, secret: str = SECRET) -> dict[str, str]:
    """The headers with which Slack signs a body."""
    stamp = str(int(at))
    digest = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {"x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={digest}"}
