"""The client of a Slack workspace: what its listener reads, and what can be said about the connection."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dct_pipelines.clients.api import ApiAnswer
from dct_pipelines.clients.slack.web import MissingScope, SlackRefusal, SlackWeb
from dct_pipelines.domain.chat.places import location_fault, spot_of
from dct_pipelines.domain.chat.port import ChatChannel, RawPage, every_page
from dct_pipelines.domain.connected import Endpoint, Finding
from dct_pipelines.domain.errors import ConnectionDown, ItemUnreadable
from dct_pipelines.domain.matching import fold, shown
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.words import ItemKind

PAGE_SIZE = 200
"""Slack recommends no more; where it allows less, it gives less and says that there is more."""
LIST_SIZE = 1000
WANTED_SCOPES = frozenset(
    "channels:history channels:read chat:write groups:history groups:read im:write users:read "
    "users:read.email".split()
)
HISTORY_SCOPES = frozenset({"channels:history", "groups:history", "im:history", "mpim:history"})
LARGEST_OFFSET_SECONDS = 120
KEPT = timedelta(minutes=10)
_CHANNEL_ERRORS = {
    "channel_not_found": "there is no such channel, or the bot may not see it; invite it with /invite",
    "not_in_channel": "the bot is not in the channel; invite it with /invite",
    "is_archived": "the channel is archived; restore it, or watch another",
    "thread_not_found": "there is no such thread, or its first message was deleted; check its link",
    "no_permission": "the bot may not read there; see the app's permissions",
}


@dataclass(frozen=True)
class _Known:
    value: Any
    until: datetime


class SlackClient:
    """One workspace, spoken to as the app's bot."""

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        self.web = SlackWeb(endpoint, clock)
        self._clock = clock
        self._kept: dict[str, _Known] = {}

    def check(self) -> tuple[Finding, ...]:
        """Who we are, which scopes the token has, how far the clocks are apart."""
        answer = self.web.call("auth.test")
        body = answer.body
        who = f"{shown(str(body.get('user')))} in {shown(str(body.get('team')))} ({body.get('url')})"
        return (Finding("account", True, who), _scopes(answer), _clock_of(answer))

    def look(self, kind: ItemKind, location: str, _config: Mapping[str, Any]) -> str:
        """Name, topic and membership of a channel; for a thread the beginning of its first message, too."""
        spot = spot_of(kind, location)
        if spot is None:
            raise ItemUnreadable(f"{shown(location)}: {location_fault(kind, location)}")
        found = self.channel(spot.channel)
        if spot.root is None:
            self._asked("conversations.history", found.name, channel=found.id, limit=1)
            return f"channel #{found.name}, readable"
        replies = self._asked("conversations.replies", found.name, channel=found.id, ts=spot.root, limit=1)
        first = next(iter(_messages(replies)), None)
        if not isinstance(first, Mapping):
            raise ItemUnreadable(f"there is no message {spot.root} in #{found.name}; check its link")
        return f"thread in #{found.name}: {shown(str(first.get('text')))!r}"

    def channel(self, written: str) -> ChatChannel:
        """The channel of an id or a `#name`; names are looked up once in a while."""
        found = self._remembered(f"channel {written}", lambda: self._find(written))
        return ChatChannel(
            id=str(found["id"]),
            name=str(found.get("name") or found["id"]),
            created=f"{_created(found)}.000000",
            link=self._remembered("link", self._workspace_link),
        )

    def history(self, channel: str, *, oldest: str | None, latest: str | None, cursor: str | None) -> RawPage:
        """A page of the channel, the newest first."""
        return _page(
            self._asked(
                "conversations.history",
                channel,
                channel=channel,
                oldest=oldest,
                latest=latest,
                cursor=cursor,
                limit=PAGE_SIZE,
                include_all_metadata=True,
            )
        )

    def replies(self, channel: str, root: str, *, oldest: str | None, cursor: str | None) -> RawPage:
        """A page of the thread, the oldest first."""
        return _page(
            self._asked(
                "conversations.replies",
                channel,
                channel=channel,
                ts=root,
                oldest=oldest,
                cursor=cursor,
                limit=PAGE_SIZE,
                include_all_metadata=True,
            )
        )

    def user(self, written: str) -> str:
        """The id of a user by mail address or `@name`; `ItemUnreadable` when there is nobody."""
        return str(self._remembered(f"user {written}", lambda: self._find_user(written)))

    def _find_user(self, written: str) -> str:
        name = written.removeprefix("@")
        if "@" in name:
            try:
                found = self.web.call("users.lookupByEmail", email=name).body.get("user")
            except SlackRefusal as error:
                raise ItemUnreadable(f"nobody in {self.web.name} has the address {name}") from error
            return str(_object(found, "a user")["id"])
        for user in self._listed("users.list", "members"):
            if isinstance(user.get("name"), str) and fold(user["name"]) == fold(name):
                return str(user["id"])
        raise ItemUnreadable(f"nobody in {self.web.name} is called @{shown(name)}; give a mail address")

    def _find(self, written: str) -> Mapping[str, Any]:
        if not written.startswith("#"):
            return _object(self._asked("conversations.info", written, channel=written).body.get("channel"))
        wanted = written.removeprefix("#").casefold()
        for types in ("public_channel,private_channel", "public_channel"):
            try:
                listed = list(self._listed("conversations.list", "channels", types=types))
            except MissingScope:
                if types == "public_channel":
                    raise
                continue
            found = [one for one in listed if str(one.get("name")).casefold() == wanted]
            if found:
                return _object(found[0])
            break
        raise ItemUnreadable(
            f"there is no channel {written} in {self.web.name} that the bot can see; invite it, or give the "
            "channel's id"
        )

    def _listed(self, method: str, key: str, **arguments: str) -> Iterator[Mapping[str, Any]]:
        def ask(cursor: str | None) -> RawPage:
            answer = self._asked(method, method, cursor=cursor, limit=LIST_SIZE, **arguments)
            return RawPage(tuple(_messages(answer, key)), _cursor(answer))

        for page in every_page(ask):
            yield from (one for one in page.messages if isinstance(one, Mapping) and "id" in one)

    def _asked(self, method: str, where: str, **arguments: str | int | bool | None) -> ApiAnswer:
        try:
            return self.web.call(method, **arguments)
        except SlackRefusal as error:
            why = _CHANNEL_ERRORS.get(error.error, f"Slack answered {error.error}")
            raise ItemUnreadable(f"{shown(where)}: {why}") from error

    def _workspace_link(self) -> str:
        return str(self.web.call("auth.test").body.get("url") or "https://slack.com/")

    def _remembered(self, what: str, find: Callable[[], Any]) -> Any:
        now = self._clock.now()
        known = self._kept.get(what)
        if known is None or known.until <= now:
            known = self._kept[what] = _Known(find(), now + KEPT)
        return known.value


def _page(answer: ApiAnswer) -> RawPage:
    return RawPage(tuple(_messages(answer)), _cursor(answer))


def _messages(answer: ApiAnswer, key: str = "messages") -> Collection[Any]:
    found = answer.body.get(key)
    if not isinstance(found, list):
        raise ConnectionDown(f"Slack's answer has no list of {key}; it is tried again")
    return found


def _cursor(answer: ApiAnswer) -> str | None:
    more = answer.body.get("response_metadata")
    cursor = more.get("next_cursor") if isinstance(more, Mapping) else None
    if isinstance(cursor, str) and cursor:
        return cursor
    if answer.body.get("has_more") is True:
        raise ConnectionDown("Slack says that there is more, but not where; it is tried again")
    return None


def _object(value: Any, what: str = "a channel") -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not isinstance(value.get("id"), str):
        raise ConnectionDown(f"Slack's answer has not {what} in it; it is tried again")
    return value


def _created(channel: Mapping[str, Any]) -> int:
    created = channel.get("created")
    return created if isinstance(created, int) and 0 <= created < 10**12 else 0


def _scopes(answer: ApiAnswer) -> Finding:
    told = answer.headers.get("x-oauth-scopes")
    if told is None:
        return Finding("permissions", True, "Slack does not say which scopes the token has")
    has = {scope.strip() for scope in told.split(",") if scope.strip()}
    lacking = f"; without {', '.join(sorted(WANTED_SCOPES - has))}" if WANTED_SCOPES - has else ""
    return Finding("permissions", bool(has & HISTORY_SCOPES), f"{', '.join(sorted(has)) or 'none'}{lacking}")


def _clock_of(answer: ApiAnswer) -> Finding:
    offset = answer.date_offset_seconds
    if offset is None:
        return Finding("clock", True, "Slack does not say what time it is")
    return Finding("clock", abs(offset) <= LARGEST_OFFSET_SECONDS, f"{offset:+.0f} s from ours")
