"""`response_times`: where the time goes from a change at a provider to the end of what it started."""

from __future__ import annotations

from dct_pipelines.domain.metrics import MetricTable
from dct_pipelines.store.metrics.base import (
    ALL,
    BUCKETS,
    ENDED,
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

LEGS = {
    "change_to_seen": ("event.occurred_at", "event.observed_at"),
    "seen_to_decided": ("event.observed_at", "e.created_at"),
    "decided_to_dispatched": ("e.created_at", "e.first_dispatched_at"),
    "dispatched_to_started": ("e.first_dispatched_at", "e.started_at"),
    "started_to_finished": ("e.started_at", "e.completed_at"),
    "change_to_finished": ("event.occurred_at", "e.completed_at"),
}
"""An execution is made in the transaction of its decision, so that its row says when that was."""
TABLE = MetricTable(
    "response_times",
    "How long executions that ended in the bucket took on each leg of the way from the change to the end.",
    (
        key("trigger_type", f"the type of their triggers; `{ALL}` together"),
        key("leg", ", ".join(LEGS)),
        count("executions", "of which both ends of the leg are known", "executions"),
        number("mean_seconds", "mean", "s"),
        number("p50_seconds", "half of them took no longer", "s"),
        number("p95_seconds", "95 of 100 took no longer", "s"),
        count("skewed", "of them negative, by the clocks; they count as 0 s", "executions"),
    ),
    plotted=("p50_seconds", "p95_seconds"),
    whole=(("trigger_type", ALL), ("leg", "change_to_finished")),
    in_every_bucket=True,
)
_TAKEN = ", ".join(f"{seconds(*ends)} AS {leg}" for leg, ends in LEGS.items())
_MEASURED = ", ".join(
    f"count({leg}) AS {leg}_count, avg({clamped(leg)}) AS {leg}_mean, "
    f"{percentiles(leg, 0.5, 0.95)} AS {leg}_percentiles, "
    f"count(*) FILTER (WHERE {leg} < 0) AS {leg}_skewed"
    for leg in LEGS
)
_ROWS = ", ".join(f"('{leg}', {leg}_count, {leg}_mean, {leg}_percentiles, {leg}_skewed)" for leg in LEGS)
_STATEMENT = f"""
WITH {BUCKETS}, ended AS (
    SELECT {bucket_of("e.completed_at")} AS bucket, {TRIGGER_TYPE} COLLATE "C" AS trigger_type, {_TAKEN}
    FROM dct.trigger_executions AS e
    LEFT JOIN dct.events AS event ON event.id = e.event_id
    LEFT JOIN dct.dynamic_context_triggers AS trigger ON trigger.id = e.trigger_id
    WHERE {ENDED}
), measured AS (
    SELECT bucket, COALESCE(trigger_type, '{ALL}') AS trigger_type, {_MEASURED}
    FROM ended GROUP BY GROUPING SETS ((bucket, trigger_type), (bucket))
), rows AS (
    SELECT bucket, trigger_type, row.* FROM measured
    CROSS JOIN LATERAL (VALUES {_ROWS}) AS row (leg, executions, mean_seconds, percentiles, skewed)
    WHERE executions > 0
)
SELECT
    bucket, trigger_type, leg, COALESCE(executions, 0) AS executions, mean_seconds,
    percentiles[1] AS p50_seconds, percentiles[2] AS p95_seconds, COALESCE(skewed, 0) AS skewed
FROM (
    SELECT bucket, '{ALL}' AS trigger_type, leg
    FROM buckets CROSS JOIN unnest(ARRAY[{", ".join(f"'{leg}'" for leg in LEGS)}]) AS leg
) AS always FULL JOIN rows USING (bucket, trigger_type, leg)
"""  # noqa: S608 - of constants
METRIC = Metric(TABLE, _STATEMENT)
