"""Which executions wait for long, for a reason that nobody chose.

A trigger that is paused, a rate or concurrency that its limits set, a debounce, the pause before a retry,
earlier work for the same subject, a restored deployment that nobody has let go on: all that is somebody's
will. A connection that is down has an incident of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from dct_pipelines.domain.words import WaitReason
from dct_pipelines.engine.queue import Queue
from dct_pipelines.engine.waiting import WaitingService
from dct_pipelines.store import queueing
from dct_pipelines.store.database import Connection, Row

CHOSEN = frozenset(
    {
        WaitReason.PAUSED,
        WaitReason.DEBOUNCE,
        WaitReason.RETRY_BACKOFF,
        WaitReason.RATE_LIMIT,
        WaitReason.TRIGGER_BUSY,
        WaitReason.ITEM_BUSY,
        WaitReason.CONNECTION_DOWN,
        WaitReason.RESTORED,
    }
)
DISPATCH = "dispatch"
"""What waits though nothing is in its way: the dispatcher does not come by."""


@dataclass(frozen=True)
class LongWait:
    """The first of its cohort that may start as far as its line goes, and what it waits for."""

    trigger_id: UUID | None
    trigger: str
    since: datetime
    waits_for: str
    detail: str


def long_waits(
    waiting: WaitingService, connection: Connection, is_long: Callable[[UUID | None, datetime], bool]
) -> list[LongWait]:
    """What waits for long by that measure, the longest first. While nothing does, one cheap look."""
    if not any(is_long(head.trigger_id, head.waits_since) for head in queueing.heads(connection)):
        return []
    queue, holds = waiting.queue(connection)
    firsts = _firsts(queue, holds, connection)
    found = []
    for cohort in queue.cohorts:
        head, hold = cohort.head, holds[cohort.head.cohort]
        row = head if hold is not None else firsts.get(head.cohort)
        if row is None or not is_long(head.trigger_id, row.waits_since):
            continue
        if hold is None and queue.admission.is_full:
            hold = queue.admission.full()
        if hold is None or hold.reason not in CHOSEN:
            waits_for = hold.reason.value if hold is not None else DISPATCH
            detail = hold.detail if hold is not None else "nothing is in the way"
            name = head.trigger_name or "by hand"
            found.append(LongWait(head.trigger_id, name, row.waits_since, waits_for, detail))
    return sorted(found, key=lambda wait: wait.since)


def _firsts(queue: Queue, holds: Mapping[int, Any], connection: Connection) -> dict[int, Row[Any]]:
    """Of each cohort that nothing holds back as a whole the first that nothing of its own line holds back."""
    asks = [
        queueing.Ask(cohort.head.cohort, 0.0, *queueing.BEFORE_ALL, cohort.is_one_by_one)
        for cohort in queue.cohorts
        if holds[cohort.head.cohort] is None
    ]
    if not asks:
        return {}
    most, lines = (1, len(asks)), (list(queue.lines), list(queue.full))
    rows = queueing.ready(connection, asks, most, lines, whoever_is_behind=False)
    return {row.cohort: row for row in rows}
