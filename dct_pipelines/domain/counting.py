"""Numbers and spans of time in sentences."""

from __future__ import annotations

from datetime import timedelta


def count_of(number: int, noun: str) -> str:
    """`1 execution`, `3 executions`: for nouns that take an s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def is_or_are(number: int) -> str:
    """The verb that goes with so many."""
    return "is" if number == 1 else "are"


def span_of(span: timedelta) -> str:
    """A setting as people say it: whole minutes where it is some, else seconds."""
    seconds = round(span.total_seconds())
    return count_of(seconds // 60, "minute") if seconds % 60 == 0 else count_of(seconds, "second")


def length_of(span: timedelta) -> str:
    """How long something lasts, roughly: `45 s`, `12 min`, `3 h`."""
    seconds = round(span.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
