"""Coalescing: of the firings that wait for one trigger and subject, the newest stands for the others.

Done where a firing is stored, under the lock of the total order, so that there are never many of them. What
has begun is no firing that waits: it goes on, in its place, and the newest follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, insert, text

from dct_pipelines.domain.debounce import LONGEST_FACTOR
from dct_pipelines.store.tables import activity

_SUPERSEDE = text("""
WITH newest AS (
    SELECT DISTINCT ON (line) id, line, line_order FROM dct.trigger_executions
    WHERE id = ANY(CAST(:ids AS uuid[]))
    ORDER BY line, line_order DESC
), older AS (
    SELECT e.id, newest.id AS newest_id FROM newest
    JOIN dct.trigger_executions AS e
        ON e.line = newest.line AND e.line_order < newest.line_order
        AND e.status = 'waiting' AND e.attempt = 0
    ORDER BY e.id
    FOR UPDATE OF e
)
UPDATE dct.trigger_executions AS e
SET status = 'cancelled', completed_at = clock_timestamp(), not_before = NULL, wait_reason = NULL,
    wait_detail = NULL, metrics = e.metrics || jsonb_build_object('attempts', 0),
    error_message = format(
        'superseded by execution %s, which fired later for the same subject', older.newest_id
    )
FROM older
WHERE e.id = older.id
RETURNING e.id, e.trigger_id, e.item_id, e.waits_since, e.error_message, older.newest_id
""")
_INHERIT = text("""
UPDATE dct.trigger_executions AS e
SET waits_since = LEAST(e.waits_since, given.since),
    not_before = CASE WHEN e.wait_reason = 'restored' THEN e.not_before ELSE LEAST(
        e.not_before,
        given.since + :longest_factor * CAST(e.resource_limits ->> 'debounce_ms' AS integer) * interval '1 ms'
    ) END
FROM unnest(CAST(:ids AS uuid[]), CAST(:since AS timestamptz[])) AS given (id, since)
WHERE e.id = given.id
""")


def supersede(connection: Connection, execution_ids: Sequence[UUID]) -> None:
    """End what waits, has not begun and is older than these new firings of its line.

    The newest waits since the first of them did: it ages like that one, and a debounce ends no later.
    """
    if not execution_ids:
        return
    ended = connection.execute(_SUPERSEDE, {"ids": [str(one) for one in execution_ids]}).all()
    if not ended:
        return
    since = {row.newest_id: row.waits_since for row in ended}
    for row in ended:
        since[row.newest_id] = min(since[row.newest_id], row.waits_since)
    inherited = {"ids": [str(one) for one in since], "since": list(since.values())}
    connection.execute(_INHERIT, inherited | {"longest_factor": LONGEST_FACTOR})
    connection.execute(
        insert(activity),
        [
            {
                "kind": "execution_cancelled",
                "trigger_id": row.trigger_id,
                "execution_id": row.id,
                "item_id": row.item_id,
                "data": {"from": "waiting", "to": "cancelled", "attempt": 0, "message": row.error_message},
            }
            for row in ended
        ],
    )
