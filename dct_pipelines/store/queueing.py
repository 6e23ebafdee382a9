"""What the dispatcher reads of what waits: by cohorts, so that a pass costs what it hands over and no more.

Executions of one cohort need the same of admission (trigger, limits, job, environments, quotas, connection),
so that what holds back one of them as a whole holds back all, and nobody has to look at the others.

Each question names the order of a partial index of what waits, and takes the first of it. The planner is
not to be trusted with that: as long as it believes that nobody waits, it reads all that waits by its status
and sorts it, for each cohort. So it is told not to sort (`IN_ORDER`); OFFSET 0 keeps the order in an EXISTS.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select, text

from dct_pipelines.domain.admission import DAY, HOUR
from dct_pipelines.domain.trigger import ResourceLimits
from dct_pipelines.store.executions.filters import IS_HOLDING
from dct_pipelines.store.tables import trigger_executions

_EXECUTION = trigger_executions.c
BEFORE_ALL = (datetime.min.replace(tzinfo=UTC), 0)
"""A place that every execution comes after."""


@dataclass(frozen=True)
class Pulse:
    """Whether there is anything to do: `ready` executions, pauses that are `due`; the jobs of all shapes."""

    ready: bool
    due: bool
    jobs: frozenset[str]


@dataclass(frozen=True)
class Ask:
    """Further executions of a cohort: those after a place, of one line `one_by_one` or not.

    `bonus_seconds` is how much earlier they count as waiting than they do, by their priority.
    """

    cohort: int
    bonus_seconds: float
    since: datetime
    order: int
    one_by_one: bool


IN_ORDER = "SET LOCAL enable_sort = off;"
"""Before a question, and in force until the end of the transaction: what an index has in order is read so."""
_PULSE = text(f"""
{IN_ORDER}
SELECT
    EXISTS (
        SELECT FROM dct.trigger_executions WHERE status = 'waiting' AND not_before IS NULL
        ORDER BY cohort, waits_since, line_order LIMIT 1 OFFSET 0
    ) AS ready,
    EXISTS (
        SELECT FROM dct.trigger_executions WHERE status = 'waiting' AND not_before <= :now
        ORDER BY not_before LIMIT 1 OFFSET 0
    ) AS due,
    ARRAY(SELECT job_name FROM dct.shapes) AS jobs
""")  # noqa: S608

_COHORTS = """
WITH RECURSIVE heads AS (
    (
        SELECT cohort, id FROM dct.trigger_executions
        WHERE status = 'waiting' AND not_before IS NULL
        ORDER BY cohort, waits_since, line_order LIMIT 1
    )
    UNION ALL
    SELECT following.cohort, following.id FROM heads CROSS JOIN LATERAL (
        SELECT cohort, id FROM dct.trigger_executions
        WHERE status = 'waiting' AND not_before IS NULL AND cohort > heads.cohort
        ORDER BY cohort, waits_since, line_order LIMIT 1
    ) AS following
)
"""
"""The first of each cohort. Each step is one look into an index: the rows between are not read."""

_FIRST = """
SELECT first.id FROM dct.trigger_executions AS first
WHERE first.status = 'waiting' AND first.line = e.line AND first.line_order < e.line_order
ORDER BY first.line_order LIMIT 1 OFFSET 0
"""
"""The first of its line that waits, if that is not `e` itself. A pause keeps the order too."""
NEEDS = f"""
    e.cohort, e.id, e.trigger_id, e.item_id, e.subject, e.line, e.line_order, e.priority, e.waits_since,
    e.job_name, e.attempt, e.lease_keys, e.agents, e.workspaces, e.resource_limits::text AS limits,
    e.not_before, e.wait_reason, e.wait_detail,
    trigger.name AS trigger_name, trigger.status AS trigger_status,
    trigger.deleted_at IS NOT NULL AS trigger_is_deleted,
    connections.name AS connection_name, connections.health, connections.health_detail,
    ({_FIRST}) AS behind
"""
NEEDS_FROM = """
LEFT JOIN dct.dynamic_context_triggers AS trigger ON trigger.id = e.trigger_id
LEFT JOIN dct.connections ON connections.id = e.connection_id
"""
"""What admission needs to know of an execution `e`."""
_HEADS = text(f"""
{IN_ORDER}
{_COHORTS}
SELECT {NEEDS} FROM heads JOIN dct.trigger_executions AS e ON e.id = heads.id {NEEDS_FROM}
""")  # noqa: S608

_READY = text(f"""
{IN_ORDER}
WITH ask AS (
    SELECT * FROM unnest(
        CAST(:cohorts AS bigint[]), CAST(:bonuses AS float[]), CAST(:since AS timestamptz[]),
        CAST(:orders AS bigint[]), CAST(:one_by_one AS bool[])
    ) AS ask (cohort, bonus, since, place, one_by_one)
), best AS (
    SELECT found.id, ask.one_by_one FROM ask
    CROSS JOIN LATERAL (
        SELECT e.id, e.waits_since, e.line_order FROM dct.trigger_executions AS e
        WHERE e.status = 'waiting' AND e.not_before IS NULL AND e.cohort = ask.cohort
            AND e.cancel_requested_at IS NULL
            AND (e.waits_since, e.line_order) > (ask.since, ask.place)
            AND (
                :whoever_is_behind
                OR e.line IS NULL
                OR (
                    e.line <> ALL(:full) AND (NOT ask.one_by_one OR e.line <> ALL(:busy))
                    AND NOT (ask.one_by_one AND EXISTS ({_FIRST}))
                )
            )
        ORDER BY e.waits_since, e.line_order
        LIMIT :of_each
    ) AS found
    ORDER BY EXTRACT(epoch FROM found.waits_since) - ask.bonus, found.waits_since, found.line_order
    LIMIT :most
)
SELECT
    e.cohort, e.id, e.item_id, e.subject, e.line, e.line_order, e.waits_since, e.attempt,
    e.wait_reason, e.wait_detail, CASE WHEN best.one_by_one THEN ({_FIRST}) END AS behind
FROM best AS best
JOIN dct.trigger_executions AS e ON e.id = best.id
ORDER BY e.waits_since, e.line_order
""")  # noqa: S608


def pulse(connection: Connection, now: datetime) -> Pulse:
    """One cheap question: what an idle pass costs."""
    row = connection.execute(_PULSE, {"now": now}).one()
    return Pulse(row.ready, row.due, frozenset(row.jobs))


def heads(connection: Connection) -> Sequence[Row[Any]]:
    """The first execution of each cohort that is ready, with what admission needs to know of all of them."""
    return connection.execute(_HEADS).all()


def ready(
    connection: Connection,
    asks: Sequence[Ask],
    most: tuple[int, int],
    lines: tuple[Iterable[int], Iterable[int]],
    *,
    whoever_is_behind: bool,
) -> Sequence[Row[Any]]:
    """The best executions of these cohorts, at most so many of each and together.

    `lines` are those of which one is at work, and those of which as many are as may be. What can not start
    because of them, or because another one of its line comes first, is left out unless `whoever_is_behind`;
    then `behind` names that one.
    """
    asked = {
        "cohorts": [ask.cohort for ask in asks],
        "bonuses": [ask.bonus_seconds for ask in asks],
        "since": [ask.since for ask in asks],
        "orders": [ask.order for ask in asks],
        "one_by_one": [ask.one_by_one for ask in asks],
    }
    busy, full = (list(some) or [0] for some in lines)
    how = {"of_each": most[0], "most": most[1], "busy": busy, "full": full}
    return connection.execute(_READY, asked | how | {"whoever_is_behind": whoever_is_behind}).all()


def holding(connection: Connection) -> Sequence[Row[Any]]:
    """Every execution that holds a slot: dispatched, running or compensating."""
    statement = select(
        _EXECUTION.id,
        _EXECUTION.trigger_id,
        _EXECUTION.item_id,
        _EXECUTION.subject,
        _EXECUTION.line,
        _EXECUTION.lease_keys,
    )
    return connection.execute(statement.where(IS_HOLDING)).all()


MOST_OVERDUE = 50
"""So many pauses that are over are enough to tell that nobody ends them."""
_OVERDUE = text(f"""
{IN_ORDER}
SELECT e.trigger_id, trigger.name AS trigger_name, e.not_before
FROM (
    SELECT trigger_id, not_before FROM dct.trigger_executions
    WHERE status = 'waiting' AND not_before <= :now
    ORDER BY not_before LIMIT {MOST_OVERDUE} OFFSET 0
) AS e
LEFT JOIN dct.dynamic_context_triggers AS trigger ON trigger.id = e.trigger_id
""")  # noqa: S608


def overdue(connection: Connection, now: datetime) -> Sequence[Row[Any]]:
    """Of what pauses though its pause is over those that have done so for longest.

    A dispatcher that works leaves none for longer than from one pass to the next.
    """
    return connection.execute(_OVERDUE, {"now": now}).all()


_STARTS = text("""
SELECT asked.trigger_id, ARRAY(
    SELECT first_dispatched_at FROM dct.trigger_executions AS e
    WHERE e.trigger_id = asked.trigger_id AND e.first_dispatched_at > asked.since
    ORDER BY e.first_dispatched_at DESC LIMIT asked.bound
) AS latest
FROM unnest(CAST(:triggers AS uuid[]), CAST(:since AS timestamptz[]), CAST(:bounds AS int[]))
    AS asked (trigger_id, since, bound)
""")


def starts_of(
    connection: Connection, limited: Iterable[tuple[UUID, ResourceLimits]], now: datetime
) -> dict[UUID, list[datetime]]:
    """When executions of these triggers first started: as many of the latest as their rates look at."""
    asked = [
        (str(trigger_id), now - span, bound)
        for trigger_id, limits in limited
        for span, bound in (
            (DAY, limits.max_executions_per_day),
            (HOUR, limits.max_executions_per_hour),
            (DAY, 1 if limits.min_trigger_interval_ms is not None else None),
        )
        if bound is not None
    ]
    found: dict[UUID, list[datetime]] = {}
    if asked:
        triggers, since, bounds = (list(column) for column in zip(*asked, strict=True))
        for row in connection.execute(_STARTS, {"triggers": triggers, "since": since, "bounds": bounds}):
            # Each is a part of the same row of starts, the latest first: the longest holds the others.
            found[row.trigger_id] = max(found.get(row.trigger_id, []), row.latest, key=len)
    return found
