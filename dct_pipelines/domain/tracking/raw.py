"""Looking into what Jira answered: each look says what it expects, or raises PayloadUnreadable."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dct_pipelines.domain.errors import PayloadUnreadable
from dct_pipelines.domain.facts import Person

Raw = Mapping[str, Any]
LEAST_MILLISECONDS = 100_000_000_000
"""A number above this is milliseconds since 1970, below seconds: Jira answers either."""


def object_of(value: Any, what: str) -> Raw:
    """A JSON object."""
    if not isinstance(value, Mapping):
        raise PayloadUnreadable(f"{what} is no object but {type(value).__name__}")
    return value


def clean(text: str) -> str:
    """The text without halves of characters, which JSON may hold and nothing else can."""
    return text.encode("utf-8", "replace").decode()


def list_of(value: Any, what: str) -> list[Any]:
    """A JSON list."""
    if not isinstance(value, list):
        raise PayloadUnreadable(f"{what} is no list but {type(value).__name__}")
    return value


def text_in(raw: Raw, name: str, what: str) -> str:
    """A text that has to be there; a number is taken for its digits (ids are either)."""
    value = raw.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise PayloadUnreadable(f"{what} has no {name}")
    return clean(value)


def optional_text(raw: Raw, name: str, what: str) -> str | None:
    """A text that may be missing."""
    value = raw.get(name)
    if value is None or isinstance(value, str):
        return value if value is None else clean(value)
    if isinstance(value, int):
        return str(value)
    raise PayloadUnreadable(f"{name} of {what} is no text but {type(value).__name__}")


def name_in(raw: Raw, name: str, what: str) -> str | None:
    """The `name` of an object that may be missing (a status, a priority)."""
    value = raw.get(name)
    return None if value is None else text_in(object_of(value, f"{name} of {what}"), "name", name)


def time_of(value: Any, what: str) -> datetime:
    """A moment: `2026-03-02T12:00:00.000+0000`, or seconds or milliseconds since 1970."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / (1000 if value > LEAST_MILLISECONDS else 1), UTC)
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        pass
    raise PayloadUnreadable(f"{what} is no moment with its zone: {str(value)[:60]!r}")


def person_of(value: Any, what: str) -> Person | None:
    """Somebody: by account id on Cloud, by login on Data Center."""
    if value is None:
        return None
    raw = object_of(value, what)
    known = (optional_text(raw, name, what) for name in ("accountId", "name", "key"))
    return Person(
        id=next((text for text in known if text), None),
        name=optional_text(raw, "displayName", what),
        email=optional_text(raw, "emailAddress", what),
        is_bot=raw.get("accountType") == "app",
    )
