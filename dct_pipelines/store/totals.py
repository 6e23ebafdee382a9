"""Totals of ended executions that only grow: outcomes, and how long each stage of the way took, in buckets.

Prometheus takes a counter that falls for one that began anew. Rows of executions go with time, and one that
is tried again was no longer ended; so each ending is added up once, in order, when it is looked at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from dct_pipelines.store import endings

CURSOR = "metrics"
AT_ONCE = 5_000
BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
"""Upper bounds of the buckets in seconds; above the last one is infinity."""
_COUNT = text("""
WITH ended AS (
    SELECT e.status, e.created_at, e.first_dispatched_at, e.started_at, e.completed_at,
        v.occurred_at, v.observed_at
    FROM dct.trigger_executions AS e LEFT JOIN dct.events AS v ON v.id = e.event_id
    WHERE e.completed_at > :since AND e.completed_at <= :until
), stages AS (
    SELECT stage, greatest(0, EXTRACT(epoch FROM over - begun))::float AS seconds
    FROM ended CROSS JOIN LATERAL (VALUES
        ('seen', occurred_at, observed_at),
        ('queued', created_at, first_dispatched_at),
        ('launched', first_dispatched_at, started_at),
        ('worked', started_at, completed_at),
        ('total', coalesce(occurred_at, created_at), completed_at)
    ) AS way (stage, begun, over)
    WHERE begun IS NOT NULL AND over IS NOT NULL
), found (measure, label, bound, value) AS (
    SELECT 'ended', status, 0::float, count(*)::float FROM ended GROUP BY status
    UNION ALL SELECT 'seconds', stage, 0, sum(seconds) FROM stages GROUP BY stage
    UNION ALL
    SELECT 'bucket', stage,
        (CAST(:bounds AS float[]) || 'Infinity'::float)
            [1 + width_bucket(seconds - 0.0000005, CAST(:bounds AS float[]))] AS upper,
        count(*)
    FROM stages GROUP BY stage, upper
)
INSERT INTO dct.telemetry_totals AS t (measure, label, bound, value)
SELECT measure, label, bound, value FROM found
ON CONFLICT (measure, label, bound) DO UPDATE SET value = t.value + excluded.value
""")
"""A bucket takes what is not above its bound, width_bucket what is below: hence half a microsecond."""
_READ = text("SELECT measure, label, bound, value FROM dct.telemetry_totals")


@dataclass
class Totals:
    """What has been added up. `buckets` by stage hold how many took no longer than a bound but longer than
    the one before; `seconds` is their sum.
    """

    ended: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    buckets: Mapping[str, dict[float, float]] = field(default_factory=lambda: defaultdict(dict))


def count_endings(connection: Connection, limit: int = AT_ONCE) -> bool:
    """Add up what ended since the last time, in the caller's transaction; whether there is more.

    Whoever else counts at the moment is not waited for. Endings from before the first call do not count.
    """
    endings.through(connection, CURSOR)
    since = endings.take(connection, CURSOR)
    if since is None:
        return False
    until = endings.until(connection, since, limit)
    if until is None:
        return False
    connection.execute(_COUNT, {"since": since, "until": until, "bounds": list(BOUNDS)})
    endings.advance(connection, CURSOR, since, until)
    return endings.until(connection, until, 1) is not None


def read(connection: Connection) -> Totals:
    """The totals so far."""
    totals = Totals()
    for row in connection.execute(_READ):
        match row.measure:
            case "ended":
                totals.ended[row.label] = row.value
            case "seconds":
                totals.seconds[row.label] = row.value
            case "bucket":
                totals.buckets[row.label][row.bound] = row.value
    return totals
