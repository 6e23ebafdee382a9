"""Slack channels and threads: by polling, by the Events API, and over a socket; one change is one event.

A read asks for what is behind the watermark. A sweep, on a slower beat, reads the last days again: history
shows neither answers to older messages nor what was edited or deleted meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pydantic import Field

from dct_pipelines.domain.chat import channel, hook, thread
from dct_pipelines.domain.chat.changes import Place
from dct_pipelines.domain.chat.places import location_fault, spot_of
from dct_pipelines.domain.chat.port import ChatPort
from dct_pipelines.domain.chat.reading import ChatReading
from dct_pipelines.domain.chat.token import ChatToken
from dct_pipelines.domain.errors import ItemUnreadable
from dct_pipelines.domain.listener import (
    ConnectionConfig,
    ItemConfig,
    ListenerType,
    Page,
    ReadContext,
    WatchedItem,
    WebhookType,
)
from dct_pipelines.domain.operations import SecretRef
from dct_pipelines.domain.words import ItemKind


class SlackConnection(ConnectionConfig):
    """What is special about a workspace. The credential is the bot's token (xoxb-...)."""

    app_token: SecretRef | None = Field(
        default=None, description="app-level token (xapp-...) for the socket; without it, polling only"
    )
    history_calls_per_minute: int = Field(
        default=50, ge=1, le=1000, description="of conversations.history and .replies each (Slack's tier 3)"
    )


class SlackItem(ItemConfig):
    """How far back, and how often, what was read is read again."""

    thread_window_days: float = Field(default=7, gt=0, le=90, description="days that a sweep goes back")
    sweep_interval_seconds: float = Field(default=300, ge=30, le=86_400, description="between two sweeps")


def read(item: WatchedItem, context: ReadContext, port: ChatPort) -> Iterator[Page]:
    """Pages of what is new, then of the sweep when that is due; the first read takes what is there."""
    config = SlackItem.model_validate(item.config)
    token = _opened(item, port)
    place = Place(item.id, token.channel, token.name, token.link, token.epoch or token.created)
    reading = ChatReading(
        place, token, context, port, config.thread_window_days, config.sweep_interval_seconds
    )
    steps = thread if token.root else channel
    for page in steps.first_read(reading) if token.epoch is None else steps.news(reading):
        if page.token is not None:
            token = ChatToken.model_validate(page.token)
        yield page
    place = replace(place, epoch=token.epoch or place.epoch)
    reading = replace(reading, token=token, place=place)
    if reading.is_sweep_due:
        yield from steps.sweep(reading)


def _opened(item: WatchedItem, port: ChatPort) -> ChatToken:
    """The item's token; a new one when it was never read, or watches something else by now."""
    token = ChatToken.model_validate(item.token)
    if token.written == item.location and token.channel:
        return token
    spot = spot_of(item.kind, item.location)
    if spot is None:
        raise ItemUnreadable(f"{item.name}: {location_fault(item.kind, item.location)}")
    found = port.channel(spot.channel)
    return ChatToken(
        channel=found.id,
        name=found.name,
        link=found.link,
        created=found.created,
        root=spot.root,
        written=item.location,
    )


LISTENER = ListenerType(
    kind="slack",
    summary="messages of Slack channels and threads, by polling, the Events API, and Socket Mode",
    item_kinds=frozenset({ItemKind.SLACK_CHANNEL, ItemKind.SLACK_MESSAGE}),
    event_kinds=frozenset({"message_posted", "message_edited", "message_deleted"}),
    interval_seconds=15,
    item_config=SlackItem,
    read=read,
    example={"thread_window_days": 7},
    connection_config=SlackConnection,
    connection_example={"app_token": "env:SLACK_APP_TOKEN"},
    default_base="https://slack.com",
    has_places=False,
    location_fault=location_fault,
    webhook=WebhookType(verify=hook.verify, read=hook.read),
)
