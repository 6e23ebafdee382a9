"""`integration_health`: how connections answered, and what they brought."""

from __future__ import annotations

from dct_pipelines.domain.metrics import MetricTable
from dct_pipelines.domain.words import ReadOutcome
from dct_pipelines.store.metrics.base import (
    BUCKETS,
    SINCE,
    STEP,
    UNTIL,
    Metric,
    bucket_of,
    count,
    key,
    number,
    word,
)

TABLE = MetricTable(
    "integration_health",
    "How connections answered when they were read, how far apart the good reads were, and what they brought.",
    (
        key("connection", "the connection's name"),
        word("provider", "its kind"),
        count("reads", "polls of it that ended in the bucket, well or not", "reads"),
        count("ok", "of them answered", "reads"),
        count("throttled", "of them told to wait", "reads"),
        count("unreachable", "of them not answered, or not in a way that can be understood", "reads"),
        count("refused", "of them refused: the credential or the address", "reads"),
        number("failure_percent", "unreachable or refused, of the reads that were not throttled", "%"),
        number(
            "longest_gap_seconds", "longest time between a good read that ended here and the one before", "s"
        ),
        count("events", "taken in from it, by poll or webhook", "events"),
    ),
    plotted=("reads", "failure_percent", "longest_gap_seconds"),
)
_BY_OUTCOME = ", ".join(
    f"COALESCE(sum(reads) FILTER (WHERE outcome = '{outcome}'), 0) AS {outcome}" for outcome in ReadOutcome
)
_STATEMENT = f"""
WITH {BUCKETS}, read AS (
    SELECT
        {bucket_of("hour")} AS bucket, connection_id, sum(reads) AS reads, {_BY_OUTCOME},
        max(longest_gap_seconds) AS longest_gap_seconds
    FROM dct.connection_reads WHERE hour >= {SINCE} AND hour < {UNTIL} GROUP BY 1, 2
), brought AS (
    SELECT {bucket_of("created_at")} AS bucket, connection_id, count(*) AS events
    FROM dct.event_keys WHERE created_at >= {SINCE} AND created_at < {UNTIL} GROUP BY 1, 2
)
SELECT
    buckets.bucket, connection.name AS connection, connection.kind AS provider, COALESCE(reads, 0) AS reads,
    COALESCE(ok, 0) AS ok, COALESCE(throttled, 0) AS throttled, COALESCE(unreachable, 0) AS unreachable,
    COALESCE(refused, 0) AS refused,
    100.0 * (unreachable + refused) / NULLIF(reads - throttled, 0) AS failure_percent,
    longest_gap_seconds, COALESCE(events, 0) AS events
FROM buckets
CROSS JOIN dct.connections AS connection
LEFT JOIN read ON read.bucket = buckets.bucket AND read.connection_id = connection.id
LEFT JOIN brought ON brought.bucket = buckets.bucket AND brought.connection_id = connection.id
WHERE connection.created_at < buckets.bucket + {STEP} OR reads IS NOT NULL OR events IS NOT NULL
"""  # noqa: S608 - of constants
METRIC = Metric(TABLE, _STATEMENT)
