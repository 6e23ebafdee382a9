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
BY_HAND = "by hand"
"""What no trigger started."""


IsLong = Callable[[UUID | None, datetime], bool]
"""Whether an execution of that trigger that has waited since then waits for long."""


@dataclass(frozen=True)
class LongWait:
    """The first of its cohort that may start as far as its line goes, and what it waits for.

    Or one whose pause is over since then, and which waits for the dispatcher to end it.
    """

    trigger_id: UUID | None
    trigger: str
    since: datetime
    waits_for: str
    detail: str


def long_waits(waiting: WaitingService, connection: Connection, is_long: IsLong) -> list[LongWait]:
    """What waits for long by that measure, the longest first. While nothing does, two cheap looks."""
    found = _overdue(connection, waiting.clock.now(), is_long)
    if any(is_long(head.trigger_id, head.waits_since) for head in queueing.heads(connection)):
        found += _ready(waiting, connection, is_long)
    return sorted(found, key=lambda wait: wait.since)


def _overdue(connection: Connection, now: datetime, is_long: IsLong) -> list[LongWait]:
    """What pauses though its pause is over: only the dispatcher ends it, and lets it into the queue."""
    return [
        LongWait(row.trigger_id, row.trigger_name or BY_HAND, row.not_before, DISPATCH, "its pause is over")
        for row in queueing.overdue(connection, now)
        if is_long(row.trigger_id, row.not_before)
    ]


def _ready(waiting: WaitingService, connection: Connection, is_long: IsLong) -> list[LongWait]:
    """What is ready, and waits for something that nobody chose."""
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
            name = head.trigger_name or BY_HAND
            found.append(LongWait(head.trigger_id, name, row.waits_since, waits_for, detail))
    return found


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
