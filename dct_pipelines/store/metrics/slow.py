"""`slow_triggers`: the slowest triggers of a day, against what is usual for each, and where time goes."""

from __future__ import annotations

from dct_pipelines.domain.metrics import Grain, MetricTable
from dct_pipelines.store.metrics.base import (
    ENDED,
    SINCE,
    TRIGGER,
    UNTIL,
    Metric,
    bucket_of,
    clamped,
    count,
    key,
    number,
    seconds,
    word,
)

MOST = 20
USUAL_DAYS = 14
TABLE = MetricTable(
    "slow_triggers",
    f"The {MOST} slowest triggers of a day by their 95th percentile, against the {USUAL_DAYS} days before.",
    (
        key("trigger", "the trigger's name"),
        count("place", "1 is the slowest", "place"),
        count("executions", "that ended on the day", "executions"),
        number("mean_seconds", "mean time from the first start to the end", "s"),
        number("p50_seconds", "half of them took no longer", "s"),
        number("p95_seconds", "95 of 100 took no longer", "s"),
        number(
            "usual_p95_seconds",
            f"the mean of that of the {USUAL_DAYS} days before, where there were any",
            "s",
        ),
        number("times_usual", "how many times that", "times"),
        word("slowest_action", "the type of action that took most of the time", nullable=True),
        number("slowest_action_percent", "its share of the time of all actions", "%"),
    ),
    plotted=("p95_seconds", "times_usual"),
    grains=(Grain.DAY,),
    sources=("execution_metrics",),
)
_STATEMENT = f"""
WITH known AS (
    SELECT
        bucket, value AS trigger, executions, mean_seconds, p50_seconds, p95_seconds,
        avg(p95_seconds) OVER (
            PARTITION BY value ORDER BY bucket
            RANGE BETWEEN {USUAL_DAYS} * interval '24 hours' PRECEDING AND interval '24 hours' PRECEDING
        ) AS usual_p95_seconds
    FROM metrics.execution_metrics
    WHERE grain = 'day' AND dimension = 'trigger' AND p95_seconds IS NOT NULL
        AND bucket >= {SINCE} - {USUAL_DAYS} * interval '24 hours' AND bucket < {UNTIL}
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY bucket ORDER BY p95_seconds DESC, trigger) AS place
    FROM known WHERE bucket >= {SINCE}
), slowest AS (
    SELECT * FROM ranked WHERE place <= {MOST}
), ended AS (
    SELECT e.id, {bucket_of("e.completed_at")} AS bucket, {TRIGGER} AS trigger
    FROM dct.trigger_executions AS e
    LEFT JOIN dct.dynamic_context_triggers AS trigger ON trigger.id = e.trigger_id
    WHERE {ENDED}
    OFFSET 0
), acted AS (
    SELECT
        ended.bucket, ended.trigger, a.action_type,
        sum({clamped(seconds("a.started_at", "a.ended_at"))}) AS spent
    FROM slowest JOIN ended USING (bucket, trigger) JOIN dct.action_results AS a ON a.execution_id = ended.id
    GROUP BY 1, 2, 3
), longest AS (
    SELECT DISTINCT ON (bucket, trigger)
        bucket, trigger, action_type,
        100.0 * spent / sum(spent) OVER (PARTITION BY bucket, trigger) AS percent
    FROM acted WHERE spent > 0 ORDER BY bucket, trigger, spent DESC, action_type
)
SELECT
    slowest.*, p95_seconds / NULLIF(usual_p95_seconds, 0) AS times_usual,
    longest.action_type AS slowest_action, longest.percent AS slowest_action_percent
FROM slowest
LEFT JOIN longest USING (bucket, trigger)
"""  # noqa: S608 - of constants
"""`OFFSET 0` keeps the names of triggers with their executions, so that one hash finds both: right after a
first filling nothing is known of `execution_metrics` yet, and executions would be tried with each trigger of
their day.
"""
METRIC = Metric(TABLE, _STATEMENT)
