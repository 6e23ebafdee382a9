"""`execution_metrics`: how many executions ended how, and how long they took, by trigger and by action."""

from __future__ import annotations

from dct_pipelines.domain.metrics import MetricTable
from dct_pipelines.store.executions.rows import BY_HAND
from dct_pipelines.store.metrics.base import (
    ALL,
    BUCKETS,
    ENDED,
    NONE,
    Metric,
    clamped,
    count,
    key,
    number,
    number_of,
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
    in_every_bucket=True,
)
_MEASURED = f"""
    count(*) AS executions,
    count(*) FILTER (WHERE outcome = 'completed') AS completed,
    count(*) FILTER (WHERE outcome = 'failed') AS failed,
    count(*) FILTER (WHERE outcome = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE is_retried) AS retried,
    count(*) FILTER (WHERE took < 0) AS skewed,
    avg({clamped("took")}) AS mean_seconds,
    {percentiles("took", 0.5, 0.95, 0.99)} AS percentiles
"""
_COUNTED = ("executions", "completed", "failed", "cancelled", "retried", "skewed")
_COLUMNS = ", ".join((*_COUNTED, "mean_seconds", "percentiles"))
_COUNTS = ", ".join(f"COALESCE({name}, 0) AS {name}" for name in _COUNTED)
_WIDE = 1_000_000_000
"""More than a dimension has values: the number of a bucket times this, and that of a value, make one key."""
_NAMES = f"""
triggers AS MATERIALIZED (
    SELECT
        id, name, trigger_type, created_by, dense_rank() OVER (ORDER BY name) AS name_number,
        dense_rank() OVER (ORDER BY trigger_type) AS type_number,
        dense_rank() OVER (ORDER BY created_by) AS owner_number
    FROM dct.dynamic_context_triggers
), owners AS MATERIALIZED (
    SELECT DISTINCT created_by, owner_number FROM triggers
), providers AS MATERIALIZED (
    SELECT id, kind, dense_rank() OVER (ORDER BY kind) AS number FROM dct.connections
), names AS (
    SELECT 'trigger' AS dimension, name_number AS number, name AS value FROM triggers
    UNION SELECT 'trigger_type', type_number, trigger_type FROM triggers
    UNION SELECT 'owner', owner_number, created_by FROM triggers
    UNION SELECT 'provider', number, kind FROM providers
    UNION VALUES ('trigger', 0, '{BY_HAND}'), ('trigger_type', 0, '{BY_HAND}'), ('provider', 0, '{NONE}')
)
"""  # noqa: S608 - of constants
"""While rows are grouped, values are numbers: one number is sorted in a third of the time that words take.
Only owners of executions by hand who own no trigger are words, because they may be any."""
_STATEMENT = f"""
WITH {BUCKETS}, {_NAMES}, ended AS MATERIALIZED (
    SELECT
        e.id, e.status AS outcome, e.attempt > 1 AS is_retried, bucket,
        {seconds("e.started_at", "e.completed_at")} AS took,
        bucket * {_WIDE} + COALESCE(name_number, 0) AS trigger,
        bucket * {_WIDE} + COALESCE(type_number, 0) AS trigger_type,
        bucket * {_WIDE} + COALESCE(providers.number, 0) AS provider,
        bucket * {_WIDE} + COALESCE(triggers.owner_number, owners.owner_number, 0) AS owner,
        CASE WHEN COALESCE(triggers.owner_number, owners.owner_number) IS NULL THEN e.created_by END
            COLLATE "C" AS by_hand
    FROM dct.trigger_executions AS e
    CROSS JOIN LATERAL (SELECT {number_of("e.completed_at")} AS bucket) AS at
    LEFT JOIN triggers ON triggers.id = e.trigger_id
    LEFT JOIN owners ON triggers.id IS NULL AND owners.created_by = e.created_by
    LEFT JOIN providers ON providers.id = e.connection_id
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
), grouped AS (
    SELECT
        CASE
            WHEN GROUPING(trigger) = 0 THEN 'trigger'
            WHEN GROUPING(trigger_type) = 0 THEN 'trigger_type'
            WHEN GROUPING(provider) = 0 THEN 'provider'
            WHEN GROUPING(owner) = 0 THEN 'owner'
            ELSE '{ALL}'
        END AS dimension,
        COALESCE(trigger, trigger_type, provider, owner, bucket * {_WIDE}) AS key, by_hand, {_MEASURED}
    FROM ended
    GROUP BY GROUPING SETS ((trigger), (trigger_type), (provider), (owner, by_hand), (bucket))
), measured AS (
    SELECT
        key / {_WIDE} AS number, grouped.dimension, COALESCE(names.value, by_hand, '{ALL}') AS value,
        {_COLUMNS}
    FROM grouped LEFT JOIN names ON names.dimension = grouped.dimension AND names.number = key % {_WIDE}
    UNION ALL
    SELECT bucket, 'action', action, {_MEASURED} FROM acted GROUP BY bucket, action
)
SELECT
    bucket, COALESCE(dimension, '{ALL}') AS dimension, COALESCE(value, '{ALL}') AS value,
    {_COUNTS},
    100.0 * completed / NULLIF(completed + failed, 0) AS success_percent, mean_seconds,
    percentiles[1] AS p50_seconds, percentiles[2] AS p95_seconds, percentiles[3] AS p99_seconds
FROM (SELECT bucket, {number_of("bucket")} AS number FROM buckets) AS buckets
LEFT JOIN measured USING (number)
"""  # noqa: S608 - of constants
METRIC = Metric(TABLE, _STATEMENT)
