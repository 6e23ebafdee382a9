"""Where a Slack item is: a channel by id or `#name`, a thread by `<channel>/<ts>` or by its link."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from dct_pipelines.domain.chat.stamps import is_stamp
from dct_pipelines.domain.words import ItemKind

_CHANNEL = re.compile(r"[CGD][A-Z0-9]{4,30}|#[^\s#/,<>&|]{1,80}")
_LINK = re.compile(r"/archives/([CGD][A-Z0-9]{4,30})/p([0-9]{7,18})/?")


@dataclass(frozen=True)
class Spot:
    """A channel as it was written, and the thread's first message when a thread is meant."""

    channel: str
    root: str | None = None


def is_channel(text: str) -> bool:
    """Whether this is a channel's id or `#name`."""
    return _CHANNEL.fullmatch(text) is not None


def spot_of(kind: ItemKind, location: str) -> Spot | None:
    """What a location means; None when it means nothing."""
    text = location.strip()
    if kind is ItemKind.SLACK_CHANNEL:
        return Spot(text) if is_channel(text) else None
    if "://" in text:
        return _of_link(text)
    channel, _, ts = text.rpartition("/")
    return Spot(channel, ts) if is_channel(channel) and is_stamp(ts) else None


def _of_link(text: str) -> Spot | None:
    try:
        parts = urlsplit(text)
        asked = parse_qs(parts.query).get("thread_ts", [])
    except ValueError:
        return None
    found = _LINK.fullmatch(parts.path)
    if found is None:
        return None
    own = f"{found[2][:-6]}.{found[2][-6:]}"
    root = asked[0] if asked else own
    return Spot(found[1], root) if is_stamp(root) else None


def location_fault(kind: ItemKind, location: str) -> str | None:
    """What is wrong with a location, or None."""
    if spot_of(kind, location) is not None:
        return None
    if kind is ItemKind.SLACK_CHANNEL:
        return "a channel is named by its id (C0123ABCD) or as #name"
    return (
        "a thread is named as <channel>/<ts>, e.g. C0123ABCD/1700000000.123456, or by the link of a message"
    )
