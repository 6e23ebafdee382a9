"""Ageing: the longer an execution waits, the more it counts, so that nothing starves.

With work of priority 10 arriving for ever, one of priority p starts no later than `10 - p` steps after it
began to wait, and then as soon as what was ahead of it at that moment has ended.
"""

from __future__ import annotations

from datetime import UTC, datetime

HIGHEST = 10
QUEUES_SINCE = datetime(2026, 1, 1, tzinfo=UTC)
Place = tuple[float, datetime, int]


def aged_priority(priority: int, waited_seconds: float, step_seconds: float) -> int:
    """The priority grown by one for each `step_seconds` waited, at most 10: so nothing starves."""
    return min(HIGHEST, priority + int(max(0.0, waited_seconds) // step_seconds))


def place(priority: int, waits_since: datetime, order: int, step_seconds: float) -> Place:
    """The place in the queue, the smallest goes first. It does not change with time.

    Two that wait age alike, so which is ahead was settled when they came: one priority is worth one step of
    time. Nothing that comes `(10 - priority)` steps later can be ahead.
    """
    return waits_since.timestamp() - priority * step_seconds, waits_since, order


def queue_priority(priority: int, waits_since: datetime, step_seconds: float) -> int:
    """The same for Dagster's queue, where the highest whole number goes first.

    It sinks with every step since `QUEUES_SINCE`, below the 0 of what people launch by hand.
    """
    return priority - HIGHEST - int((waits_since - QUEUES_SINCE).total_seconds() // step_seconds)
