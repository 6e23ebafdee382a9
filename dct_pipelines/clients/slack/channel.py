"""Telling people over Slack. Posting has no idempotency of its own: every message carries our key, in its
metadata and in its first block's id, and an attempt that may be a repeat looks for it before it posts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from dct_pipelines.clients.files import private_directory, replace_file, room_for
from dct_pipelines.clients.slack.client import SlackClient
from dct_pipelines.clients.slack.web import SlackRefusal
from dct_pipelines.clients.slack.wording import content_of
from dct_pipelines.domain.channels import SlackChannel
from dct_pipelines.domain.chat.messages import parse
from dct_pipelines.domain.chat.places import is_channel
from dct_pipelines.domain.chat.port import RawPage
from dct_pipelines.domain.chat.stamps import is_stamp
from dct_pipelines.domain.errors import ActionFailed, ConnectionDown, PayloadUnreadable
from dct_pipelines.domain.matching import fold, shown
from dct_pipelines.domain.operations import Notification
from dct_pipelines.domain.ports import Receipt

ANYBODY = "*"
PAGES_LOOKED_AT = 3
"""Of history, for a message of an earlier attempt."""


class Announce(Protocol):
    """Tells the listener which messages are ours."""

    def __call__(self, channel: str, mark: str, instead_of: str | None = None) -> None:
        """A message of the channel with that mark is, or will be, ours.

        `instead_of` is what was announced of it before: once its ts is known, who copies our key into a
        message does not pass for us.
        """


_HINTS = {
    "channel_not_found": "there is no such channel, or the bot may not see it; invite it with /invite",
    "not_in_channel": "the bot is not in the channel; invite it with /invite",
    "is_archived": "the channel is archived; restore it, or name another",
    "restricted_action": "the workspace does not let the bot post there; ask an administrator",
    "user_disabled": "the user is no longer active",
}
_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "channel_not_found"})


class SlackChannelClient:
    """Posts to allowed receivers, or replaces a message of ours. `memory` keeps which one that was."""

    def __init__(
        self, spec: SlackChannel, client: Callable[[], SlackClient], memory: Path, announce: Announce
    ) -> None:
        self._spec = spec
        self._client_of_connection = client
        self._memory = memory
        self._announce = announce
        self._allowed = {fold(entry) for entry in spec.receivers}

    @property
    def _client(self) -> SlackClient:
        return self._client_of_connection()

    def send(self, notification: Notification) -> Receipt:
        """Post once; errors say what to do, and a passing one is tried again."""
        thread = self._thread(notification.thread)
        channel = self._channel(notification.receiver)
        self._announce(channel, notification.idempotency_key)
        if notification.is_repeat and (known := self._find(channel, thread, notification.idempotency_key)):
            return self._done("duplicate", channel, known, notification)
        content = content_of(notification)
        if (earlier := self._earlier(notification, channel)) and self._updated(channel, earlier, content):
            # The edit is known by its key: the ts is that of another execution's message.
            self._announce(channel, earlier)
            self._remember(notification, channel, earlier)
            return Receipt("sent", f"{channel}/{earlier}", f"{channel}/{earlier}")
        try:
            ts = self._post(channel, thread, content)
        except ConnectionDown:
            # Slack may have taken it before the answer was lost.
            found = self._find(channel, thread, notification.idempotency_key)
            if found is None:
                raise
            ts = found
        return self._done("sent", channel, ts, notification)

    def _done(self, state: Any, channel: str, ts: str, notification: Notification) -> Receipt:
        self._announce(channel, ts, notification.idempotency_key)
        self._remember(notification, channel, ts)
        return Receipt(state, f"{channel}/{ts}", f"{channel}/{ts}")

    def _channel(self, receiver: str) -> str:
        """The id of the channel, or of the conversation with a user."""
        if not self._allowed & {ANYBODY, fold(receiver)}:
            raise ActionFailed(
                f"channel {self._spec.name} may not write to {shown(receiver)}; an operator can add it"
            )
        if is_channel(receiver):
            return receiver if not receiver.startswith("#") else self._client.channel(receiver).id
        is_id = receiver[:1] in ("U", "W") and receiver.isalnum() and receiver.isupper()
        if not (is_id or "@" in receiver):
            raise ActionFailed(
                f"{shown(receiver)} is nobody in Slack; give #channel, @user, a mail address, or an id"
            )
        user = receiver if is_id else self._client.user(receiver)
        try:
            opened = self._client.web.call("conversations.open", users=user).body.get("channel")
        except SlackRefusal as error:
            raise _failed(receiver, error) from error
        found = opened.get("id") if isinstance(opened, dict) else None
        if not isinstance(found, str):
            raise ConnectionDown("Slack opened a conversation without saying which; it is tried again")
        return found

    def _thread(self, written: str | None) -> str | None:
        ts = written.rpartition("/")[2] if written else None
        if ts is not None and not is_stamp(ts):
            raise ActionFailed(f"{shown(written or '')} is no thread of Slack; give a message's ts or id")
        return ts

    def _post(self, channel: str, thread: str | None, content: dict[str, Any]) -> str:
        more = {"thread_ts": thread, "username": self._spec.username, "unfurl_links": False}
        try:
            answer = self._client.web.write("chat.postMessage", {"channel": channel, **content, **more})
        except SlackRefusal as error:
            raise _failed(channel, error) from error
        ts = answer.body.get("ts")
        if not is_stamp(ts):
            raise ConnectionDown("Slack took a message without saying which; it is looked for")
        return str(ts)

    def _updated(self, channel: str, ts: str, content: dict[str, Any]) -> bool:
        """Whether the message of ours could be replaced; it may have been deleted meanwhile."""
        try:
            self._client.web.write("chat.update", {"channel": channel, "ts": ts, **content})
        except SlackRefusal as error:
            if error.error in _GONE:
                return False
            raise _failed(channel, error) from error
        return True

    def _find(self, channel: str, thread: str | None, key: str) -> str | None:
        """The message of an earlier attempt, among the latest of the channel or the thread."""
        cursor: str | None = None
        for _ in range(PAGES_LOOKED_AT):
            page = self._page(channel, thread, cursor)
            for raw in page.messages:
                if key in _marks(raw):
                    return str(raw["ts"])
            cursor = page.cursor
            if cursor is None:
                break
        return None

    def _page(self, channel: str, thread: str | None, cursor: str | None) -> RawPage:
        if thread is not None:
            return self._client.replies(channel, thread, oldest=None, cursor=cursor)
        return self._client.history(channel, oldest=None, latest=None, cursor=cursor)

    def _note(self, notification: Notification) -> Path | None:
        if notification.update_key is None:
            return None
        name = hashlib.sha256(f"slack update {notification.update_key}".encode()).hexdigest()
        return self._memory / name

    def _earlier(self, notification: Notification, channel: str) -> str | None:
        """The ts of the message that is to be replaced."""
        note = self._note(notification)
        if note is None or not note.exists():
            return None
        where, _, ts = note.read_text(encoding="utf-8").strip().partition("/")
        return ts if where == channel and is_stamp(ts) else None

    def _remember(self, notification: Notification, channel: str, ts: str) -> None:
        note = self._note(notification)
        if note is not None:
            with room_for(f"notes of what was sent in {self._memory}"):
                private_directory(self._memory)
                replace_file(note, f"{channel}/{ts}".encode())


def _marks(raw: Any) -> tuple[str, ...]:
    try:
        return parse(raw).marks
    except PayloadUnreadable:
        return ()


def _failed(where: str, error: SlackRefusal) -> ActionFailed:
    return ActionFailed(f"{shown(where)}: {_HINTS.get(error.error, f'Slack answered {error.error}')}")
