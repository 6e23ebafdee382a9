"""Debounce: a firing waits until its subject is quiet, and no longer than a steady stream may make it."""

from __future__ import annotations

from datetime import datetime, timedelta

from dct_pipelines.domain.admission import Hold
from dct_pipelines.domain.trigger import ResourceLimits
from dct_pipelines.domain.words import WaitReason

LONGEST_FACTOR = 10
"""Times the debounce that firings may put one off; then it goes, however many still come."""


def debounce(limits: ResourceLimits, waits_since: datetime, last_fired_at: datetime) -> Hold | None:
    """Until when a firing is put off, whose subject fired last at `last_fired_at`; None without a debounce.

    `waits_since` is when it fired itself, or the first of those that it stands for.
    """
    if limits.debounce_ms is None:
        return None
    quiet = timedelta(milliseconds=limits.debounce_ms)
    longest = LONGEST_FACTOR * quiet
    until = min(last_fired_at + quiet, waits_since + longest)
    detail = (
        f"until nothing fired it for its subject for {_span(quiet)}, or {_span(longest)} after the first time"
    )
    return Hold(WaitReason.DEBOUNCE, detail, until)


def _span(length: timedelta) -> str:
    return f"{length.total_seconds():g} s"
