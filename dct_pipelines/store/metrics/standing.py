"""How far the metrics have come: what alerts look at each minute, each a look into an index."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from dct_pipelines.domain.metrics import Grain, MetricTable
from dct_pipelines.store.metrics.catalog import METRICS

A_DAY_AGO = timedelta(hours=30)
"""Hours that began so long ago are computed for the last time a day ago, and more than an hour."""
_STEADY = [metric.table for metric in METRICS.values() if metric.table.in_every_bucket]
_ENDS = text(
    " UNION ALL ".join(
        f"SELECT '{grain}' AS grain, '{table.name}' AS name, ("  # noqa: S608 - names of ours
        f"SELECT max(bucket) FROM metrics.{table.name} WHERE grain = '{grain}') AS bucket"
        for table in _STEADY
        for grain in table.grains
    )
)
_ARE_THERE = text("SELECT to_regclass('metrics.resource_utilization') IS NOT NULL")
_OLDEST_COMPUTING = text("""
SELECT min(computed_at) FROM metrics.resource_utilization WHERE grain = 'hour' AND bucket >= :since
""")
_SOMETHING_SINCE = text("""
SELECT LEAST(
    (SELECT min(created_at) FROM dct.connections), (SELECT min(created_at) FROM dct.context_library),
    (SELECT min(created_at) FROM dct.dynamic_context_triggers),
    (SELECT min(created_at) FROM dct.trigger_executions)
)
""")


@dataclass(frozen=True)
class End:
    """Up to when a table is computed at a grain; None: it never was."""

    grain: Grain
    table: MetricTable
    until: datetime | None


def ends(connection: Connection) -> list[End]:
    """Where each table ends that has rows in every bucket: what others lack may not have happened.

    None while the schema is not there, as in a database that is not migrated yet.
    """
    found: list[End] = []
    if not connection.scalar(_ARE_THERE):
        return found
    for row in connection.execute(_ENDS):
        grain = Grain(row.grain)
        until = row.bucket + grain.length if row.bucket is not None else None
        found.append(End(grain, METRICS[row.name].table, until))
    return found


def computed_since(connection: Connection, now: datetime) -> datetime | None:
    """When the oldest of yesterday's and today's hours was computed; None where none of them is there.

    Where metrics were off or all stood still that is a short while ago, because it was made up for at once.
    """
    at: datetime | None = connection.scalar(_OLDEST_COMPUTING, {"since": now - A_DAY_AGO})
    return at


def something_since(connection: Connection) -> datetime | None:
    """Since when there is something that metrics could be of; None in a deployment that is empty."""
    at: datetime | None = connection.scalar(_SOMETHING_SINCE)
    return at
