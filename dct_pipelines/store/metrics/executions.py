"""`execution_metrics`: how many executions ended how, and how long they took, by trigger and by action."""

from __future__ import annotations

from dct_pipelines.domain.metrics import MetricTable
from dct_pipelines.store.metrics.base import (
    ALL,
    BUCKETS,
    ENDED,
    NONE,
    TRIGGER,
    TRIGGER_TYPE,
    Metric,
    bucket_of,
    clamped,
    count,
    key,
    number,
    percentiles,
    seconds,
)

TABLE = MetricTable(
    "execution_metrics",
    "Executions that ended: how many, how, and how long they took from their first start to their end.",
    (
        key(
            "dimension", "what rows are told apart by: all, trigger, trigger_type, provider, owner or action"
        ),
        key("value", "which one of it: a trigger's name, a kind of connection, a type of action, ..."),
        count("executions", "ended in the bucket; of a dimension `action`: actions of those", "executions"),
        count("completed", "of them completed; of actions those with an outcome", "executions"),
        count("failed", "of them failed; of actions also those whose effect is uncertain", "executions"),
        count("cancelled", "of them cancelled; of actions those cut off by that", "executions"),
        number("success_percent", "completed, of those that completed or failed", "%"),
        count("retried", "of them took more than one attempt", "executions"),
        number("mean_seconds", "mean time from the first start to the end", "s"),
        number("p50_seconds", "half of them took no longer", "s"),
        number("p95_seconds", "95 of 100 took no longer", "s"),
        number("p99_seconds", "99 of 100 took no longer", "s"),
        count("skewed", "of them ended before they began, by the clocks; they count as 0 s", "executions"),
    ),
    plotted=("executions", "failed", "success_percent", "p50_seconds", "p95_seconds"),
    counts="executions",
    whole=(("dimension", ALL),),
)
_MEASURED = f"""
    count(*) AS executions,
    count(*) FILTER (WHERE outcome = 'completed') AS completed,
    count(*) FILTER (WHERE outcome = 'failed') AS failed,
    count(*) FILTER (WHERE outcome = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE is_retried) AS retried,
    avg({clamped("took")}) AS mean_seconds,
    {percentiles("took", 0.5, 0.95, 0.99)} AS percentiles,
    count(*) FILTER (WHERE took < 0) AS skewed
"""
_STATEMENT = f"""
WITH {BUCKETS}, ended AS MATERIALIZED (
    SELECT
        {bucket_of("e.completed_at")} AS bucket, e.id, e.status AS outcome, e.attempt > 1 AS is_retried,
        {seconds("e.started_at", "e.completed_at")} AS took,
        {TRIGGER} COLLATE "C" AS trigger, {TRIGGER_TYPE} COLLATE "C" AS trigger_type,
        COALESCE(connection.kind, '{NONE}') COLLATE "C" AS provider,
        COALESCE(trigger.created_by, e.created_by) COLLATE "C" AS owner
    FROM dct.trigger_executions AS e
    LEFT JOIN dct.dynamic_context_triggers AS trigger ON trigger.id = e.trigger_id
    LEFT JOIN dct.connections AS connection ON connection.id = e.connection_id
    WHERE {ENDED}
), acted AS (
    SELECT
        ended.bucket, a.action_type COLLATE "C" AS action, a.attempt > 1 AS is_retried,
        {seconds("a.started_at", "a.ended_at")} AS took,
        CASE
            WHEN a.state IN ('done', 'nothing_to_do', 'partly') THEN 'completed'
            WHEN a.state = 'started' AND ended.outcome = 'cancelled' THEN 'cancelled'
            ELSE 'failed'
        END AS outcome
    FROM ended JOIN dct.action_results AS a ON a.execution_id = ended.id
), measured AS (
    SELECT
        bucket,
        CASE
            WHEN GROUPING(trigger) = 0 THEN 'trigger'
            WHEN GROUPING(trigger_type) = 0 THEN 'trigger_type'
            WHEN GROUPING(provider) = 0 THEN 'provider'
            WHEN GROUPING(owner) = 0 THEN 'owner'
            ELSE '{ALL}'
        END AS dimension,
        COALESCE(trigger, trigger_type, provider, owner, '{ALL}') AS value, {_MEASURED}
    FROM ended
    GROUP BY GROUPING SETS (
        (bucket, trigger), (bucket, trigger_type), (bucket, provider), (bucket, owner), (bucket)
    )
    UNION ALL
    SELECT bucket, 'action', action, {_MEASURED} FROM acted GROUP BY bucket, action
    UNION ALL
    SELECT bucket, '{ALL}', '{ALL}', 0, 0, 0, 0, 0, NULL, NULL, 0
    FROM buckets WHERE bucket NOT IN (SELECT bucket FROM ended)
)
SELECT
    bucket, dimension, value, executions, completed, failed, cancelled,
    100.0 * completed / NULLIF(completed + failed, 0) AS success_percent, retried, mean_seconds,
    percentiles[1] AS p50_seconds, percentiles[2] AS p95_seconds, percentiles[3] AS p99_seconds, skewed
FROM measured
"""  # noqa: S608 - of constants
METRIC = Metric(TABLE, _STATEMENT)
