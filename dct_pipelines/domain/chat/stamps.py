"""Slack's `ts`: the id of a message in its channel and its time. Always a text: as a number it rounds.

Source: https://docs.slack.dev/messaging/retrieving-messages
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_STAMP = re.compile(r"[0-9]{1,11}\.[0-9]{6}")
_MICROSECONDS = 1_000_000


def is_stamp(text: object) -> bool:
    """Whether this is a ts: seconds since 1970, a point, six digits."""
    return isinstance(text, str) and _STAMP.fullmatch(text) is not None


def order(ts: str) -> int:
    """Microseconds since 1970: by these, messages of a channel are in the order of the provider."""
    seconds, _, fraction = ts.partition(".")
    return int(seconds) * _MICROSECONDS + int(fraction)


def stamp(microseconds: int) -> str:
    """The ts of a moment in microseconds since 1970, not before that."""
    seconds, fraction = divmod(max(0, microseconds), _MICROSECONDS)
    return f"{seconds}.{fraction:06d}"


def moment(ts: str) -> datetime:
    """When a message was written, by the provider's clock."""
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=order(ts))


def stamp_of(when: datetime) -> str:
    """The ts of a moment."""
    return stamp((when - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1))


def shifted(ts: str, seconds: float) -> str:
    """A ts so many seconds later (earlier when negative), never before 1970."""
    return stamp(order(ts) + round(seconds * _MICROSECONDS))


def just_after(ts: str) -> str:
    """The next possible ts: bounds that a provider takes as exclusive become inclusive by it."""
    return stamp(order(ts) + 1)
