"""What is asked about waiting executions: how many of which kind, who is ahead of whom."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from dct_pipelines.store.dispatching import WAITS
from dct_pipelines.store.queueing import IN_ORDER, NEEDS, NEEDS_FROM

_NEEDS = text(f"""
{IN_ORDER}
SELECT {NEEDS} FROM dct.trigger_executions AS e {NEEDS_FROM}
WHERE e.{WAITS} AND e.id = ANY(CAST(:ids AS uuid[]))
""")  # noqa: S608
_COUNTS = text("""
SELECT
    cohort, min(waits_since) AS oldest, count(*) AS count,
    count(*) FILTER (WHERE line IS NULL OR (place = 1 AND line <> ALL(:busy))) AS firsts
FROM (
    SELECT
        cohort, waits_since, line, not_before,
        row_number() OVER (PARTITION BY line ORDER BY line_order) AS place
    FROM dct.trigger_executions WHERE status = 'waiting'
) AS waiting
WHERE not_before IS NULL
GROUP BY cohort
""")
_PAUSING = text("""
SELECT
    wait_reason AS reason, count(*) AS count, min(waits_since) AS oldest, min(not_before) AS until,
    (array_agg(wait_detail ORDER BY waits_since))[1] AS detail
FROM dct.trigger_executions WHERE status = 'waiting' AND not_before IS NOT NULL
GROUP BY wait_reason
""")
_AHEAD = text("""
SELECT id, ahead FROM (
    SELECT e.id, count(*) FILTER (
        WHERE e.not_before IS NULL AND COALESCE(trigger.status, 'active') = 'active'
    ) OVER (
        ORDER BY
            EXTRACT(epoch FROM e.waits_since) - e.priority * CAST(:step AS float), e.waits_since, e.line_order
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS ahead
    FROM dct.trigger_executions AS e
    LEFT JOIN dct.dynamic_context_triggers AS trigger ON trigger.id = e.trigger_id
    WHERE e.status = 'waiting'
) AS queue
WHERE id = ANY(CAST(:ids AS uuid[]))
""")


def needs(connection: Connection, execution_ids: Iterable[UUID]) -> Sequence[Row[Any]]:
    """What admission needs to know of these, as far as they wait."""
    return connection.execute(_NEEDS, {"ids": [str(one) for one in execution_ids]}).all()


def counts(connection: Connection, busy: Iterable[int]) -> dict[int, Row[Any]]:
    """By cohort: how many are ready, since when the first, and how many are the first of their line.

    `busy` are lines of which one is at work.
    """
    return {row.cohort: row for row in connection.execute(_COUNTS, {"busy": list(busy) or [0]})}


def pausing(connection: Connection) -> Sequence[Row[Any]]:
    """How many pause for which reason, the first of them and what it was told."""
    return connection.execute(_PAUSING).all()


def ahead(connection: Connection, execution_ids: Iterable[UUID], step_seconds: float) -> dict[UUID, int]:
    """How many of all that wait come before each of these, by their aged priority.

    What pauses, or is of a trigger that is not active, is not in anybody's way, for months perhaps.
    """
    asked = {"ids": [str(one) for one in execution_ids], "step": step_seconds}
    return {row.id: row.ahead for row in connection.execute(_AHEAD, asked)}
