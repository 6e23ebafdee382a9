"""What headers and error bodies of any provider say: until when to wait, what is left, what went wrong.

`Retry-After`: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after. The `RateLimit-*` headers come with
and without `x-`, and their reset as a moment (seconds since 1970) or as seconds from now.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

UNTOLD_PAUSE_SECONDS = 60.0
"""How long to wait when a provider says that it was too much, but not until when."""
LONGEST_PAUSE_SECONDS = 24 * 3600.0
"""Nobody asks to be left alone for longer; a greater number is a mistake."""
LONGEST_SAID = 300
_EPOCH_FROM = 1_000_000_000
"""A reset below is a number of seconds, from here on a moment."""


@dataclass(frozen=True)
class CallsLeft:
    """How many calls the provider still takes until `resets_at`."""

    remaining: int
    resets_at: datetime


def retry_at(headers: Mapping[str, str], now: datetime) -> datetime:
    """Until when `Retry-After` asks to wait. A date counts on the provider's own clock (its `Date`)."""
    written = headers.get("retry-after", "").strip()
    seconds = _number(written)
    if seconds is None and (until := _date(written)) is not None:
        seconds = (until - (_date(headers.get("date", "")) or now)).total_seconds()
    if seconds is None:
        seconds = UNTOLD_PAUSE_SECONDS
    return now + timedelta(seconds=min(max(seconds, 0.0), LONGEST_PAUSE_SECONDS))


def left_of(headers: Mapping[str, str], now: datetime) -> CallsLeft | None:
    """What the headers say is left, where they also say until when."""
    for prefix in ("x-ratelimit-", "ratelimit-"):
        remaining = _number(headers.get(f"{prefix}remaining", ""))
        resets = _number(headers.get(f"{prefix}reset", ""))
        if remaining is not None and resets is not None:
            seconds = resets - now.timestamp() if resets >= _EPOCH_FROM else resets
            until = now + timedelta(seconds=min(max(seconds, 0.0), LONGEST_PAUSE_SECONDS))
            return CallsLeft(max(int(min(remaining, 2**31 - 1)), 0), until)
    return None


def clock_offset_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """The provider's clock minus ours, to the second; None when it does not say."""
    date = _date(headers.get("date", ""))
    return None if date is None else (date - now).total_seconds()


def said(body: Any) -> str:
    """What an error body says to people, as ` (...)`; empty when it says nothing that we know."""
    texts = list(dict.fromkeys(text for text in _texts(body, 0) if text))
    joined = "; ".join(texts)
    joined = "".join(character if character.isprintable() else " " for character in joined)
    return f" ({joined[:LONGEST_SAID]})" if joined else ""


_SAYING = ("message", "errorMessages", "error_description", "error", "errors")


def _texts(value: Any, depth: int) -> list[str]:
    if isinstance(value, str):
        return [value.strip()]
    if depth > 3:
        return []
    if isinstance(value, list):
        return [text for one in value[:10] for text in _texts(one, depth + 1)]
    if isinstance(value, Mapping):
        if depth == 0 or any(key in value for key in _SAYING):
            return [text for key in _SAYING for text in _texts(value.get(key), depth + 1)]
        return [f"{key}: {text}" for key, one in list(value.items())[:10] for text in _texts(one, depth + 1)]
    return []


def _number(written: str) -> float | None:
    try:
        number = float(written)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _date(written: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(written)
    except (TypeError, ValueError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
