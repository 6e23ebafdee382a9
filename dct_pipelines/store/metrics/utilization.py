"""`resource_utilization`: how much of each quota was in use."""

from __future__ import annotations

from dct_pipelines.domain.metrics import MetricTable
from dct_pipelines.store.metrics.base import BUCKETS, SINCE, TOUCHED, UNTIL, Metric, count, key, number
from dct_pipelines.store.metrics.levels import LEVELS

TABLE = MetricTable(
    "resource_utilization",
    "What was in use of each quota: executions at work, agents that they take, and live workspaces.",
    (
        key("resource", "executions, agents or workspaces"),
        count("most", "in use at the same time at most", "in use"),
        count("at_end", "in use when the bucket ended", "in use"),
        number("average", "in use on average over the bucket", "in use"),
        count(
            "quota",
            "the quota in force when this was computed; NULL when quotas are off",
            "in use",
            nullable=True,
        ),
        number("utilization_percent", "the most, of the quota", "%"),
        number("average_percent", "the average, of the quota", "%"),
    ),
    plotted=("utilization_percent", "average_percent"),
    in_every_bucket=True,
)
QUOTAS = """
quotas (of, resource, quota) AS (
    VALUES
        (1, 'executions', CAST(:executions AS bigint)), (2, 'agents', CAST(:agents AS bigint)),
        (3, 'workspaces', CAST(:workspaces AS bigint))
)
"""
_STATEMENT = f"""
WITH {BUCKETS}, {QUOTAS}, held AS (
    SELECT
        taken.of, taken.weight, GREATEST(a.started_at, e.created_at) AS entered_at,
        LEAST(a.ended_at, e.completed_at) AS left_at
    FROM dct.trigger_executions AS e
    JOIN dct.execution_attempts AS a ON a.execution_id = e.id
    CROSS JOIN LATERAL (VALUES (1, 1), (2, CAST(e.agents AS int))) AS taken (of, weight)
    WHERE taken.weight > 0 AND a.started_at IS NOT NULL AND {TOUCHED}
    UNION ALL
    SELECT 3, 1, created_at, CASE WHEN state = 'archived' THEN updated_at END
    FROM dct.workspaces
    WHERE created_at < {UNTIL} AND (state <> 'archived' OR updated_at > {SINCE})
), kinds AS (
    SELECT of FROM quotas
), {LEVELS}
SELECT
    bucket, resource, most, at_end, average, quota,
    100.0 * most / NULLIF(quota, 0) AS utilization_percent,
    100.0 * average / NULLIF(quota, 0) AS average_percent
FROM levels JOIN quotas USING (of)
"""  # noqa: S608 - of constants
METRIC = Metric(TABLE, _STATEMENT)
