"""What the rule of metrics sees: tables that are not computed any more, or never were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from dct_pipelines.domain.incidents import AlertRule, Sign
from dct_pipelines.domain.metrics import Grain
from dct_pipelines.store.database import Connection
from dct_pipelines.store.metrics import standing
from dct_pipelines.store.metrics.standing import End

SUBJECTS = {Grain.HOUR: "hourly", Grain.DAY: "daily"}
A_DAYS_TURN = timedelta(hours=25)
"""Within so long the schedule of days comes by, also when metrics were switched on a moment ago."""


def stale_signs(connection: Connection, hours: float, now: datetime) -> Iterator[Sign]:
    """A sign for each grain of which a table is behind for so many hours, and a day more where it is daily.

    What is computed from a table that is behind by the hour has the same cause, and is not told again.
    """
    ends = standing.ends(connection)
    if not ends:
        return
    since = standing.something_since(connection) if any(end.until is None for end in ends) else None
    told: set[str] = set()
    for grain, subject in SUBJECTS.items():
        is_over = grain is not Grain.DAY or _had_a_days_turn(connection, now)
        patience = timedelta(hours=hours) + grain.length - Grain.HOUR.length
        mine = [end for end in ends if end.grain is grain]
        behind = {
            end.table.name: until
            for end in mine
            if (until := end.until or since) is not None
            and now - until > patience
            and told.isdisjoint((end.table.name, *end.table.sources))
        }
        if behind:
            told |= behind.keys()
            yield replace(_sign(subject, mine, behind), is_over=is_over)


def _had_a_days_turn(connection: Connection, now: datetime) -> bool:
    """Whether metrics have been on for so long that those of a day must have been computed since."""
    at = standing.computed_since(connection, now)
    return at is not None and now - at >= A_DAYS_TURN


def _sign(subject: str, ends: Sequence[End], behind: Mapping[str, datetime]) -> Sign:
    until = min(behind.values())
    at = f"{until:%Y-%m-%d %H:%M} UTC"
    whose = "" if len(behind) == len(ends) else f" of {', '.join(behind)}"
    were_never = all(end.until is None for end in ends if end.table.name in behind)
    said = f"were never computed, though there is something to measure since {at}"
    if not were_never:
        said = f"end at {at}"
    return Sign(
        AlertRule.METRICS,
        subject,
        f"Metrics{whose} {said}; look at the runs of their schedule in Dagster (metrics_{subject})",
        figures={"until": until.isoformat(), "tables": list(behind)},
    )
