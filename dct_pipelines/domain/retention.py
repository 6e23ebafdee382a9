"""How long what happened is kept. Pure: moments in, moments out.

Most rows go by their own age. Events and decisions lie in one table for each month and go with their month,
once all of it is old enough: to drop a table costs nothing, to delete its rows one by one does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MONTHS_AHEAD = 3
"""So many months after this one have their partitions already: the daemon may stand still for a quarter."""


@dataclass(frozen=True)
class RetentionPolicy:
    """`days` for what happened, `key_days` for the keys that guard against taking or doing it twice."""

    days: int
    key_days: int

    def cutoff(self, now: datetime) -> datetime:
        """What ended or was seen before then is old."""
        return now - timedelta(days=self.days)

    def key_cutoff(self, now: datetime) -> datetime:
        """Keys made before then are old; never sooner than the month of what they stand for."""
        return min(now - timedelta(days=self.key_days), self.month_cutoff(now))

    def month_cutoff(self, now: datetime) -> datetime:
        """Events and decisions before the first moment of the month that holds the cutoff are old."""
        return month_of(self.cutoff(now))


def month_of(moment: datetime) -> datetime:
    """The first moment of its month, in UTC."""
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(month: datetime) -> datetime:
    """The first moment of the month after the one that holds this moment."""
    return month_of(month_of(month) + timedelta(days=32))


def months_ahead(now: datetime) -> tuple[datetime, ...]:
    """The months that must have their partitions now: this one and those that come."""
    months = [month_of(now)]
    for _ in range(MONTHS_AHEAD):
        months.append(next_month(months[-1]))
    return tuple(months)
