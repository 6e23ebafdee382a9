"""Messages as Slack gives them, made sense of: who, when, what, in which thread, edited or gone.

Sources: https://docs.slack.dev/reference/methods/conversations.history ,
https://docs.slack.dev/reference/events/message
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dct_pipelines.domain.chat.stamps import is_stamp, order
from dct_pipelines.domain.chat.texts import plain_text
from dct_pipelines.domain.errors import PayloadUnreadable
from dct_pipelines.domain.facts import Person

MARK = "dct"
"""What we write carries our key: in the metadata (this is its event type) and in the first block's id."""
BLOCK_MARK = f"{MARK}:"
TOMBSTONE = "tombstone"
"""What is left of a thread's first message that was deleted."""
SYSTEM = frozenset(
    "bot_add bot_remove channel_archive channel_canvas_updated channel_convert_to_private channel_join "
    "channel_leave channel_name channel_posting_permissions channel_purpose channel_topic channel_unarchive "
    "ekm_access_denied group_archive group_join group_leave group_name group_purpose group_topic "
    "group_unarchive huddle_thread joiner_notification message_replied pinned_item reminder_add "
    "reply_broadcast sh_room_created unpinned_item".split()
)
"""Subtypes by which Slack itself tells of the channel; nobody wrote them."""


@dataclass(frozen=True)
class ChatMessage:
    """A message. `root` is the ts of its thread's first message, which may be itself."""

    ts: str
    root: str
    author: Person
    text: str
    edited: str | None = None
    editor: str | None = None
    replies: int = 0
    last_reply: str | None = None
    subtype: str | None = None
    marks: tuple[str, ...] = ()
    """Our keys, where it is a message of ours."""

    @property
    def is_reply(self) -> bool:
        """Whether it answers another message."""
        return self.root != self.ts

    @property
    def is_gone(self) -> bool:
        """Whether it only says that it was deleted."""
        return self.subtype == TOMBSTONE

    @property
    def is_system(self) -> bool:
        """Whether nobody wrote it."""
        return self.subtype in SYSTEM


def parse(raw: Any) -> ChatMessage:
    """Make sense of a message, or `PayloadUnreadable` saying what is wrong with it."""
    if not isinstance(raw, Mapping):
        raise PayloadUnreadable("a message is no JSON object")
    ts = _stamp(raw, "ts")
    if ts is None:
        raise PayloadUnreadable("a message without ts")
    edited, editor = _edited(raw)
    return ChatMessage(
        ts=ts,
        root=_stamp(raw, "thread_ts") or ts,
        author=_author(raw),
        text=plain_text({**raw, "text": _text(raw, "text") or ""}),
        edited=edited,
        editor=editor,
        replies=_count(raw, "reply_count"),
        last_reply=_stamp(raw, "latest_reply"),
        subtype=_text(raw, "subtype"),
        marks=tuple(dict.fromkeys(_marks(raw))),
    )


def ts_of(raw: Any) -> str | None:
    """The ts of what came, also when nothing else of it makes sense."""
    ts = raw.get("ts") if isinstance(raw, Mapping) else None
    return ts if isinstance(ts, str) and is_stamp(ts) else None


def is_later(one: str | None, other: str | None) -> bool:
    """Whether a ts is later than another; none is the earliest."""
    return one is not None and (other is None or order(one) > order(other))


def _text(raw: Mapping[str, Any], key: str) -> str | None:
    value = raw.get(key)
    if value is not None and not isinstance(value, str):
        raise PayloadUnreadable(f"{key} of a message is no text")
    return value


def _stamp(raw: Mapping[str, Any], key: str) -> str | None:
    value = raw.get(key)
    if value is not None and not is_stamp(value):
        raise PayloadUnreadable(f"{key} of a message is no ts")
    return value


def _count(raw: Mapping[str, Any], key: str) -> int:
    value = raw.get(key, 0)
    if not isinstance(value, int) or value < 0:
        raise PayloadUnreadable(f"{key} of a message is no count")
    return value


def _edited(raw: Mapping[str, Any]) -> tuple[str | None, str | None]:
    edited = raw.get("edited")
    if edited is None:
        return None, None
    if not isinstance(edited, Mapping):
        raise PayloadUnreadable("edited of a message is no JSON object")
    return _stamp(edited, "ts"), _text(edited, "user")


def _author(raw: Mapping[str, Any]) -> Person:
    user, bot = _text(raw, "user"), _text(raw, "bot_id")
    profiles = [raw.get(key) for key in ("user_profile", "bot_profile")]
    names = [
        value
        for profile in profiles
        if isinstance(profile, Mapping)
        for key in ("display_name", "real_name", "name")
        if isinstance(value := profile.get(key), str) and value
    ]
    name = _text(raw, "username") or next(iter(names), None)
    return Person(id=user or bot, name=name, is_bot=bool(bot) or raw.get("subtype") == "bot_message")


def _marks(raw: Mapping[str, Any]) -> Iterator[str]:
    metadata = raw.get("metadata")
    if isinstance(metadata, Mapping) and metadata.get("event_type") == MARK:
        payload = metadata.get("event_payload")
        key = payload.get("key") if isinstance(payload, Mapping) else None
        if isinstance(key, str):
            yield key
    blocks = raw.get("blocks")
    for block in blocks if isinstance(blocks, list) else ():
        name = block.get("block_id") if isinstance(block, Mapping) else None
        if isinstance(name, str) and name.startswith(BLOCK_MARK):
            yield name.removeprefix(BLOCK_MARK)
