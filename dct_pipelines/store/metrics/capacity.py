"""`capacity_plan`: where the use of each quota is heading, and when it gets there."""

from __future__ import annotations

from dct_pipelines.domain.metrics import Grain, MetricTable
from dct_pipelines.store.metrics.base import SINCE, UNTIL, Metric, count, instant, key, number

TREND_DAYS = 28
FORECAST_DAYS = 30
HORIZON_DAYS = 3650
ROUNDING = "0.0000001"
"""What floating point may make of a line that reaches the quota on a whole day."""
TABLE = MetricTable(
    "capacity_plan",
    f"The straight line through the most in use on each of the last {TREND_DAYS} days, and where it leads.",
    (
        key("resource", "executions, agents or workspaces"),
        count("most", "in use at the same time at most on this day", "in use"),
        count("days", f"with figures, of the {TREND_DAYS} up to this one", "days"),
        number(
            "trend_per_day", "by how much the most grows each day; NULL with less than two days", "in use/day"
        ),
        number("forecast", f"the most in {FORECAST_DAYS} days, if that goes on", "in use"),
        count("quota", "the quota in force when its use was computed", "in use", nullable=True),
        instant("quota_reached_at", "the day on which the line reaches the quota; NULL when it never does"),
    ),
    plotted=("most", "forecast"),
    grains=(Grain.DAY,),
    sources=("resource_utilization",),
    in_every_bucket=True,
)
_STATEMENT = f"""
WITH lines AS (
    SELECT
        now.bucket, now.resource, now.most, now.quota, count(*) AS days,
        regr_slope(past.most, past.day) AS slope, regr_intercept(past.most, past.day) AS level
    FROM metrics.resource_utilization AS now
    CROSS JOIN LATERAL (
        SELECT most, date_part('epoch', bucket - now.bucket) / 86400 AS day
        FROM metrics.resource_utilization AS past
        WHERE past.grain = 'day' AND past.resource = now.resource
            AND past.bucket > now.bucket - {TREND_DAYS} * interval '24 hours' AND past.bucket <= now.bucket
    ) AS past
    WHERE now.grain = 'day' AND now.bucket >= {SINCE} AND now.bucket < {UNTIL}
    GROUP BY 1, 2, 3, 4
)
SELECT
    bucket, resource, most, days, slope AS trend_per_day,
    GREATEST(level + {FORECAST_DAYS} * slope, 0) + 0 * slope AS forecast, quota,
    CASE
        WHEN most >= quota OR level >= quota - {ROUNDING} THEN bucket
        WHEN slope > 0 AND quota - level <= slope * {HORIZON_DAYS}
            THEN bucket + ceil((quota - level) / slope - {ROUNDING}) * interval '24 hours'
    END AS quota_reached_at
FROM lines
"""  # noqa: S608 - of constants
METRIC = Metric(TABLE, _STATEMENT)
