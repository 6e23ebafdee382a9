"""`capacity_plan`: the line through four weeks of use, in fractions, which do not round."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from sqlalchemy import Connection, delete, insert

from dct_pipelines.domain.metrics import Grain, Span
from dct_pipelines.store.tables.metrics import metric_tables
from tests.support.measured import Row
from tests.support.reckoning.figures import Rows

DAYS, AHEAD, HORIZON = 28, 30, 3650


@dataclass(frozen=True)
class Used:
    """What was in use of a resource on a day at most, and the quota of then; None: none counted."""

    resource: str
    day: datetime
    most: int
    quota: int | None


def keep(connection: Connection, series: Iterable[Used]) -> None:
    """Put these days in the place of all."""
    table = metric_tables["resource_utilization"]
    connection.execute(delete(table))
    for one in series:
        row = {"grain": Grain.DAY.value, "bucket": one.day, "resource": one.resource, "most": one.most}
        connection.execute(insert(table).values(row | {"at_end": 0, "average": 0.0, "quota": one.quota}))


def plan(series: Iterable[Used], span: Span) -> Rows:
    """The rows of `capacity_plan`."""
    days = list(series)
    found: Rows = {}
    for now in days:
        if not span.since <= now.day < span.until:
            continue
        points = [
            (Fraction((one.day - now.day).days), Fraction(one.most))
            for one in days
            if one.resource == now.resource and now.day - timedelta(days=DAYS) < one.day <= now.day
        ]
        row: Row = {"most": now.most, "days": len(points), "quota": now.quota}
        found[now.day, now.resource] = row | _line(points, now)
    return found


def _line(points: list[tuple[Fraction, Fraction]], now: Used) -> Row:
    if len(points) < 2:
        is_reached = now.quota is not None and now.most >= now.quota
        return {"trend_per_day": None, "forecast": None, "quota_reached_at": now.day if is_reached else None}
    middle = _total(day for day, _ in points) / len(points)
    height = _total(most for _, most in points) / len(points)
    rises = _total((day - middle) * (most - height) for day, most in points)
    slope = rises / _total((day - middle) * (day - middle) for day, _ in points)
    level = height - slope * middle
    return {
        "trend_per_day": float(slope),
        "forecast": float(max(level + AHEAD * slope, Fraction())),
        "quota_reached_at": _reached(now, level, slope),
    }


def _total(of: Iterable[Fraction]) -> Fraction:
    return sum(of, Fraction())


def _reached(now: Used, level: Fraction, slope: Fraction) -> datetime | None:
    if now.quota is None:
        return None
    if now.most >= now.quota or level >= now.quota:
        return now.day
    if slope <= 0 or (now.quota - level) / slope > HORIZON:
        return None
    return now.day + timedelta(days=math.ceil((now.quota - level) / slope))
