"""`queue_metrics`: how many executions waited, for how long, and what for."""

from __future__ import annotations

from dct_pipelines.domain.metrics import MetricTable
from dct_pipelines.store.metrics.base import (
    ALL,
    BUCKETS,
    NONE,
    SINCE,
    TOUCHED,
    UNTIL,
    Metric,
    bucket_of,
    clamped,
    count,
    key,
    number,
    percentiles,
    seconds,
)
from dct_pipelines.store.metrics.levels import LEVELS

TABLE = MetricTable(
    "queue_metrics",
    "Executions that waited for their first start: how many at once, for how long, and what for.",
    (
        key("reason", f"the last wait reason before the first dispatch; `{ALL}` together, `{NONE}` for none"),
        count("waits", "that ended in the bucket: dispatched, started by hand, or cancelled", "executions"),
        number("mean_seconds", "mean wait of those", "s"),
        number("p50_seconds", "half of them waited no longer", "s"),
        number("p95_seconds", "95 of 100 waited no longer", "s"),
        number("longest_seconds", "the longest wait of those", "s"),
        count("aged", "of them waited long enough to gain a step of priority", "executions"),
        count("skewed", "of them ended before they began, by the clocks; they count as 0 s", "executions"),
        count(
            "depth_most",
            f"that waited at the same time at most; of `{ALL}` only",
            "executions",
            nullable=True,
        ),
        count(
            "depth_at_end", f"that waited when the bucket ended; of `{ALL}` only", "executions", nullable=True
        ),
        number("depth_average", f"that waited on average; of `{ALL}` only", "executions"),
    ),
    plotted=("waits", "p95_seconds", "depth_most"),
    whole=(("reason", ALL),),
    in_every_bucket=True,
)
_STATEMENT = f"""
WITH {BUCKETS}, waits AS MATERIALIZED (
    SELECT
        e.created_at AS entered_at,
        CASE WHEN stamp < e.created_at THEN e.created_at ELSE stamp END AS left_at,
        {seconds("e.created_at", "stamp")} AS waited,
        COALESCE(
            e.metrics ->> 'waited_for', CASE WHEN e.status = 'waiting' THEN e.wait_reason END, '{NONE}'
        ) COLLATE "C" AS reason
    FROM dct.trigger_executions AS e
    CROSS JOIN LATERAL (SELECT LEAST(e.first_dispatched_at, e.started_at, e.completed_at) AS stamp) AS left_by
    WHERE {TOUCHED}
), held AS (
    SELECT 1 AS of, 1 AS weight, entered_at, left_at FROM waits
), kinds AS (
    SELECT 1 AS of
), {LEVELS}, measured AS (
    SELECT
        {bucket_of("left_at")} AS bucket, reason, waited FROM waits
    WHERE left_at >= {SINCE} AND left_at < {UNTIL}
), ended AS (
    SELECT
        bucket, COALESCE(reason, '{ALL}') AS reason, count(*) AS waits,
        avg({clamped("waited")}) AS mean_seconds,
        {percentiles("waited", 0.5, 0.95)} AS percentiles, max({clamped("waited")}) AS longest_seconds,
        count(*) FILTER (WHERE waited >= CAST(:ageing_step AS float)) AS aged,
        count(*) FILTER (WHERE waited < 0) AS skewed
    FROM measured GROUP BY GROUPING SETS ((bucket, reason), (bucket))
)
SELECT
    bucket, reason, COALESCE(waits, 0) AS waits, mean_seconds, percentiles[1] AS p50_seconds,
    percentiles[2] AS p95_seconds, longest_seconds, COALESCE(aged, 0) AS aged, COALESCE(skewed, 0) AS skewed,
    most AS depth_most, at_end AS depth_at_end, average AS depth_average
FROM (SELECT bucket, '{ALL}' AS reason, most, at_end, average FROM levels) AS depth
FULL JOIN ended USING (bucket, reason)
"""  # noqa: S608 - of constants
METRIC = Metric(TABLE, _STATEMENT)
