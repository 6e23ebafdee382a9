"""Numbers and spans of time in sentences."""

from __future__ import annotations

from datetime import timedelta


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 file`, `1,200 files`; with a verb in them: `counted(2, "branch is", "branches are")`."""
    return f"{count:,} {one if count == 1 else f'{one}s' if many is None else many}"


def span_of(span: timedelta) -> str:
    """A setting as people say it: whole minutes where it is some, else seconds."""
    seconds = round(span.total_seconds())
    return counted(seconds // 60, "minute") if seconds % 60 == 0 else counted(seconds, "second")


def length_of(span: timedelta) -> str:
    """How long something lasts, roughly: `45 s`, `12 min`, `3 h`."""
    seconds = round(span.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
