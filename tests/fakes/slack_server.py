"""A Slack workspace of our own, whose history is the truth that tests compare with.

Unlike the emulator it minds bounds, gives `latest_reply` and tombstones, and tells what was done as the
Events API does. Shapes as in https://docs.slack.dev/reference/methods/conversations.history .
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dct_pipelines.domain.ports import Clock

CHANNEL = "C0TEST0001"
NAME = "general"
BOT = "UBOT000001"
TOKEN = "xoxb-workspace"
SCOPES = "channels:history,channels:read,chat:write,im:write,users:read,users:read.email"
Json = dict[str, Any]
Fault = Callable[[str], str | None]
"""Given a method, how its next call goes wrong: `500`, `429`, `reset`, `half`, `html`, or an error's name."""


@dataclass
class Said:
    """A message as the workspace has it. `root` is its own ts unless it is an answer."""

    ts: str
    root: str
    user: str
    text: str
    edited: str | None = None
    is_deleted: bool = False
    subtype: str | None = None
    extra: Json = field(default_factory=dict)

    @property
    def is_reply(self) -> bool:
        return self.root != self.ts


@dataclass(frozen=True)
class Done:
    """What somebody did: `kind` is an event's kind. `event` is how the Events API tells it."""

    kind: str
    ts: str
    at: str
    event: Json


class SlackWorkspace:
    """One channel, and what is done in it. `page_size` is how much it gives at most, whoever asks."""

    def __init__(self, clock: Clock, page_size: int = 1000) -> None:
        self.clock = clock
        self.page_size = page_size
        self.messages: dict[str, Said] = {}
        self.done: list[Done] = []
        self.calls: list[tuple[str, Json]] = []
        self.fault: Fault = lambda _method: None
        self.users = {"dev@example.com": "UDEV000001"}
        self.retry_after = "7"
        self.token = TOKEN
        self.socket_url: str | None = None
        self.shown_edited: set[tuple[str, str]] = set()
        """Messages that somebody read as edited, and the edit."""
        self._last = 0

    def post(
        self,
        text: str,
        user: str = "UDEV000001",
        root: str | None = None,
        *,
        subtype: str | None = None,
        **extra: Any,
    ) -> str:
        """Say something; `subtype` `thread_broadcast` shows an answer in the channel, too."""
        ts = self.next_ts()
        said = Said(ts, root or ts, user, text, subtype=subtype, extra=extra)
        self.messages[ts] = said
        self._tell("message_posted", ts, ts, {**self.shown(said), "type": "message", "event_ts": ts})
        return ts

    def edit(self, ts: str, text: str) -> str:
        """Say it otherwise; returns the edit's ts."""
        said, at = self.messages[ts], self.next_ts()
        before = self.shown(said)
        said.text, said.edited = text, at
        event = {"subtype": "message_changed", "message": self.shown(said), "previous_message": before}
        self._tell("message_edited", ts, at, {**event, "type": "message", "hidden": True, "ts": at})
        return at

    def delete(self, ts: str) -> None:
        """Take it back. The first message of a thread that has answers leaves a tombstone."""
        said, at = self.messages[ts], self.next_ts()
        before = self.shown(said)
        said.is_deleted = True
        if not said.is_reply and self.answers(ts):
            event: Json = {"subtype": "message_changed", "message": self.shown(said)}
        else:
            event = {"subtype": "message_deleted", "deleted_ts": ts}
        event |= {"previous_message": before, "type": "message", "hidden": True, "ts": at, "event_ts": at}
        self._tell("message_deleted", ts, at, event)

    def answers(self, root: str) -> list[Said]:
        """Answers of a thread that are there, the oldest first."""
        return [
            said
            for said in self.messages.values()
            if said.is_reply and said.root == root and not said.is_deleted
        ]

    def shown(self, said: Said) -> Json:
        """A message as Slack shows it."""
        answers = [] if said.is_reply else self.answers(said.ts)
        raw: Json = {"type": "message", "user": said.user, "text": said.text, "ts": said.ts, **said.extra}
        if said.subtype:
            raw["subtype"] = said.subtype
        if said.edited:
            raw["edited"] = {"user": said.user, "ts": said.edited}
        if said.is_reply:
            raw["thread_ts"] = said.root
        if answers:
            raw |= {
                "thread_ts": said.ts,
                "reply_count": len(answers),
                "latest_reply": answers[-1].ts,
                "reply_users": sorted({answer.user for answer in answers}),
            }
        if said.is_deleted:
            raw |= {"subtype": "tombstone", "user": "USLACKBOT", "text": "This message was deleted."}
            raw |= {"hidden": True}
            raw.pop("edited", None)
        return raw

    def next_ts(self) -> str:
        """The ts of now, later than every one before."""
        self._last = max(self._last + 1, int(self.clock.now().timestamp() * 1_000_000))
        seconds, fraction = divmod(self._last, 1_000_000)
        return f"{seconds}.{fraction:06d}"

    def _tell(self, kind: str, ts: str, at: str, event: Json) -> None:
        self.done.append(Done(kind, ts, at, {"channel": CHANNEL, "channel_type": "channel", **event}))

    # ------------------------------------------------------------------ methods

    def answer(self, method: str, asked: Mapping[str, Any]) -> Json:
        """What Slack answers."""
        handler = getattr(self, "_" + method.replace(".", "_"), None)
        if handler is None:
            return {"ok": False, "error": "unknown_method"}
        if "channel" in asked and asked["channel"] not in (CHANNEL, "D0TEST0001"):
            return {"ok": False, "error": "channel_not_found"}
        answered: Json = handler(asked)
        return {"ok": "error" not in answered, **answered}

    def _auth_test(self, _asked: Mapping[str, Any]) -> Json:
        return {
            "url": "https://shop.slack.com/",
            "team": "Shop",
            "user": "dct",
            "user_id": BOT,
            "team_id": "T1",
        }

    def _apps_connections_open(self, _asked: Mapping[str, Any]) -> Json:
        return {"url": self.socket_url}

    def _conversations_info(self, _asked: Mapping[str, Any]) -> Json:
        return {"channel": self._channel()}

    def _conversations_list(self, _asked: Mapping[str, Any]) -> Json:
        return {"channels": [self._channel()], "response_metadata": {"next_cursor": ""}}

    def _conversations_open(self, _asked: Mapping[str, Any]) -> Json:
        return {"channel": {"id": "D0TEST0001"}}

    def _conversations_history(self, asked: Mapping[str, Any]) -> Json:
        listed = [said for said in self.messages.values() if self._is_in_history(said)]
        listed.sort(key=lambda said: said.ts, reverse=True)
        return self._page([said for said in listed if _within(said.ts, asked)], asked, first=None)

    def _conversations_replies(self, asked: Mapping[str, Any]) -> Json:
        root = self.messages.get(str(asked.get("ts")))
        if root is None or (root.is_deleted and not self.answers(root.ts)):
            return {"error": "thread_not_found"}
        listed = sorted(self.answers(root.ts), key=lambda said: said.ts)
        return self._page([said for said in listed if _within(said.ts, asked)], asked, first=root)

    def _chat_postMessage(self, asked: Mapping[str, Any]) -> Json:  # noqa: N802 - the method's name
        extra = {name: asked[name] for name in ("blocks", "metadata") if name in asked}
        ts = self.post(str(asked.get("text", "")), BOT, asked.get("thread_ts"), bot_id="B0TEST0001", **extra)
        return {"channel": asked["channel"], "ts": ts, "message": self.shown(self.messages[ts])}

    def _chat_update(self, asked: Mapping[str, Any]) -> Json:
        said = self.messages.get(str(asked.get("ts")))
        if said is None or said.is_deleted:
            return {"error": "message_not_found"}
        if said.user != BOT:
            return {"error": "cant_update_message"}
        said.extra |= {name: asked[name] for name in ("blocks", "metadata") if name in asked}
        self.edit(said.ts, str(asked.get("text", "")))
        return {"channel": asked["channel"], "ts": said.ts}

    def _users_lookupByEmail(self, asked: Mapping[str, Any]) -> Json:  # noqa: N802 - the method's name
        found = self.users.get(str(asked.get("email")))
        return {"user": {"id": found, "name": "dev"}} if found else {"error": "users_not_found"}

    def _users_list(self, _asked: Mapping[str, Any]) -> Json:
        return {"members": [{"id": "UDEV000001", "name": "dev"}]}

    def _channel(self) -> Json:
        return {"id": CHANNEL, "name": NAME, "created": 1_600_000_000, "is_member": True}

    def _is_in_history(self, said: Said) -> bool:
        if said.is_reply:
            return said.subtype == "thread_broadcast" and not said.is_deleted
        return not said.is_deleted or bool(self.answers(said.ts))

    def _page(self, listed: list[Said], asked: Mapping[str, Any], first: Said | None) -> Json:
        size = min(self.page_size, int(asked.get("limit") or 100))
        start = int(base64.b64decode(str(asked["cursor"])).decode()) if asked.get("cursor") else 0
        part = listed[start : start + size]
        has_more = start + size < len(listed)
        self.shown_edited |= {(said.ts, said.edited) for said in part if said.edited}
        answer: Json = {
            "messages": [self.shown(said) for said in ([first] if first else []) + part],
            "has_more": has_more,
        }
        if has_more:
            answer["response_metadata"] = {
                "next_cursor": base64.b64encode(str(start + size).encode()).decode()
            }
        return answer


def _within(ts: str, asked: Mapping[str, Any]) -> bool:
    oldest, latest = asked.get("oldest"), asked.get("latest")
    return (oldest is None or _number(ts) > _number(oldest)) and (
        latest is None or _number(ts) < _number(latest)
    )


def _number(ts: str) -> int:
    seconds, _, fraction = str(ts).partition(".")
    return int(seconds) * 1_000_000 + int(fraction or 0)
