"""Deliveries of Slack's Events API, by HTTP or over a socket, made events with the keys of a poll.

Sources: https://docs.slack.dev/authentication/verifying-requests-from-slack ,
https://docs.slack.dev/apis/events-api , https://docs.slack.dev/reference/events/message
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dct_pipelines.domain.chat.changes import Changes, Place
from dct_pipelines.domain.chat.messages import ChatMessage, is_later, parse
from dct_pipelines.domain.chat.stamps import is_stamp
from dct_pipelines.domain.chat.token import ChatToken
from dct_pipelines.domain.errors import DeliveryRefused, PayloadUnreadable
from dct_pipelines.domain.listener import (
    Delivery,
    Page,
    ReadContext,
    Received,
    WatchedConnection,
    WatchedItem,
)
from dct_pipelines.domain.snapshot import MessageState

OLDEST_SECONDS = 300
_LONGEST_CHALLENGE = 1000


def verify(delivery: Delivery, secret: str) -> None:
    """`DeliveryRefused` unless Slack signed exactly this body within the last five minutes."""
    given = delivery.headers.get("x-slack-request-timestamp", "")
    signature = delivery.headers.get("x-slack-signature", "")
    if not (given.isascii() and given.isdigit() and len(given) <= 12):
        raise DeliveryRefused("the delivery says no time that it was signed at; it is not from Slack")
    if abs(delivery.received_at.timestamp() - int(given)) > OLDEST_SECONDS:
        raise DeliveryRefused(
            "the delivery was signed more than five minutes ago (or ahead): it is a replay, or the clock of "
            "this machine is wrong"
        )
    expected = hmac.new(secret.encode(), f"v0:{given}:".encode() + delivery.body, hashlib.sha256)
    wanted = f"v0={expected.hexdigest()}"
    if not hmac.compare_digest(wanted.encode(), signature.encode("utf-8", "replace")):
        raise DeliveryRefused("the signature is wrong; webhook_secret has to be the app's signing secret")


def read(delivery: Delivery, connection: WatchedConnection, context: ReadContext) -> Received:
    """What the delivery says. Retries are read like first deliveries: their keys make them harmless."""
    body = _object(delivery.body)
    match body.get("type"):
        case "url_verification":
            challenge = body.get("challenge")
            if not isinstance(challenge, str) or len(challenge) > _LONGEST_CHALLENGE:
                raise PayloadUnreadable("a challenge that is no text")
            return Received("Slack asked whether we are here", reply=challenge)
        case "app_rate_limited":
            because = "Slack left events out, as there were too many; everything is read"
            return Received(because, look_at=tuple(item.id for item in connection.items))
        case "event_callback":
            return _event(body.get("event"), connection, context)
        case other:
            return Received(f"nothing is made of deliveries of type {str(other)[:80]!r}")


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise PayloadUnreadable("the delivery is not JSON") from error
    if not isinstance(body, Mapping):
        raise PayloadUnreadable("the delivery is no JSON object")
    return body


def _event(event: Any, connection: WatchedConnection, context: ReadContext) -> Received:
    if not isinstance(event, Mapping):
        raise PayloadUnreadable("the delivery has no event")
    if event.get("type") != "message":
        return Received(f"nothing is made of events of type {str(event.get('type'))[:80]!r}")
    channel = event.get("channel")
    if not isinstance(channel, str):
        raise PayloadUnreadable("a message without its channel")
    told = _told(event)
    if told is None:
        return Received("nobody wrote, edited or deleted a message")
    places = [place for item in connection.items if (place := _place(item, channel, told.root))]
    if not places:
        return Received(f"no item of {connection.name} watches that, or none has been read yet")
    every = [told.changes(place, context) for place in places if is_later(told.at or told.ts, place.epoch)]
    return Received(
        f"{told.what} in {channel}",
        Page(
            item_id=None,
            token=None,
            events=tuple(event for changes in every for event in changes.events),
            snapshots=tuple(one for changes in every for one in changes.snapshots.values()),
            gone=tuple((changes.place.item_id, name) for changes in every for name in sorted(changes.gone)),
        ),
    )


def _place(item: WatchedItem, channel: str, root: str) -> Place | None:
    """The item's place when it watches that thread and has been read before."""
    token = ChatToken.model_validate(item.token)
    if token.epoch is None or token.channel != channel or token.root not in (None, root):
        return None
    return Place(item.id, token.channel, token.name, token.link, token.epoch)


@dataclass(frozen=True)
class _Told:
    """What an event says of one message: as it is now, as it was before, or that it is gone."""

    what: str
    ts: str
    root: str
    now: ChatMessage | None
    before: ChatMessage | None
    at: str | None
    is_edit: bool = False

    def changes(self, place: Place, context: ReadContext) -> Changes:
        """Events and states of it for one item."""
        subjects = [place.thread(self.root), place.message(self.root, self.ts)]
        stored = context.snapshots.of_subjects([(place.item_id, subject) for subject in subjects])
        changes = Changes(place, context.now, {subject: state for (_, subject), state in stored.items()})
        known = changes.state(self.root, self.ts)
        first = self.before or self.now
        if first is not None and known is None and is_later(self.ts, place.epoch):
            # Also where an edit or a deletion is the first that we hear of it.
            changes.see(first)
        if self.now is None:
            changes.delete(changes.state(self.root, self.ts) or self._last_known(), self.root, self.at)
        elif self.is_edit:
            self._edited(changes, self.now, known)
        return changes

    def _edited(self, changes: Changes, now: ChatMessage, known: MessageState | None) -> None:
        """An edit is told once; one that comes later than its successor changes nothing any more."""
        state = changes.state(self.root, self.ts)
        if state is not None and is_later(now.edited, state.edited):
            changes.see(now)
        elif known is None or now.edited != known.edited:
            changes.edit(now, self.before.text if self.before else None)

    def _last_known(self) -> MessageState:
        if self.before is None:
            raise PayloadUnreadable(
                "a message that nobody has read was deleted, and nothing says what it was"
            )
        return MessageState(message_id=self.ts, author=self.before.author, text=self.before.text)


def _told(event: Mapping[str, Any]) -> _Told | None:
    match event.get("subtype"):
        case "message_changed":
            now, before = parse(event.get("message")), _before(event)
            if now.is_gone:
                return _gone(event, now.ts, before)
            if now.is_system or now.edited is None or (before is not None and before.edited == now.edited):
                return None
            return _Told("a message was edited", now.ts, now.root, now, before, now.edited, is_edit=True)
        case "message_deleted":
            ts = event.get("deleted_ts")
            if not isinstance(ts, str) or not is_stamp(ts):
                raise PayloadUnreadable("a deleted message without its ts")
            return _gone(event, ts, _before(event))
        case _:
            now = parse(event)
            if now.is_system or now.is_gone:
                return None
            return _Told("a message was posted", now.ts, now.root, now, None, now.ts)


def _gone(event: Mapping[str, Any], ts: str, before: ChatMessage | None) -> _Told | None:
    at = event.get("event_ts")
    if before is not None and (before.is_system or before.is_gone):
        return None
    root = before.root if before else ts
    return _Told("a message was deleted", ts, root, None, before, at if is_stamp(at) else None)


def _before(event: Mapping[str, Any]) -> ChatMessage | None:
    raw = event.get("previous_message")
    return None if raw is None else parse(raw)
