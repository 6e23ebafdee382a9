"""Buckets, durations, percentiles and levels in plain Python. Moments are of UTC: `in_utc` makes them so."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, TypeVar, cast

from dct_pipelines.domain.metrics import Span
from tests.support.measured import Past, Row

T = TypeVar("T")
Rows = dict[Any, Row]
"""By bucket and keys."""


def in_utc(value: T) -> T:
    """The same with every moment in UTC: of two in one other zone Python compares what clocks show there."""
    found: Any = value
    if isinstance(value, datetime):
        found = value.astimezone(UTC)
    elif isinstance(value, list | tuple):
        found = type(value)(in_utc(one) for one in value)
    elif is_dataclass(value) and not isinstance(value, type):
        found = replace(value, **{one.name: in_utc(getattr(value, one.name)) for one in fields(value)})
    return cast(T, found)


def buckets(span: Span) -> list[datetime]:
    """When each of its buckets begins."""
    return [span.since + n * span.grain.length for n in range((span.until - span.since) // span.grain.length)]


def bucket_of(at: datetime | None, span: Span) -> datetime | None:
    """The bucket of a moment; None for none, and for those outside of the span."""
    if at is None or not span.since <= at < span.until:
        return None
    return span.since + (at - span.since) // span.grain.length * span.grain.length


def ended_in(past: Past, span: Span) -> datetime | None:
    """The bucket in which it ended."""
    return bucket_of(past.completed_at, span) if past.is_over else None


def earliest(*moments: datetime | None) -> datetime | None:
    """The first of those that are known."""
    return min((at for at in moments if at is not None), default=None)


def took(since: datetime | None, until: datetime | None) -> float | None:
    """Seconds, negative where clocks disagree; None where an end is not known."""
    return None if since is None or until is None else (until - since).total_seconds()


def sound(found: Iterable[float | None]) -> list[float]:
    """Those of the durations that are known, none of them less than no time."""
    return [max(value, 0.0) for value in found if value is not None]


def mean(values: Sequence[float]) -> float | None:
    """Their mean, if there are any."""
    return sum(values) / len(values) if values else None


def percentile(values: Sequence[float], share: float) -> float | None:
    """Between the two values that the share falls between, in proportion."""
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
    return below + (above - below) * (place - math.floor(place))


def spread(found: Sequence[float | None], **shares: float) -> Row:
    """Mean and percentiles of what is known, and how many were negative."""
    row: Row = {"mean_seconds": mean(sound(found))}
    row |= {name: percentile(sound(found), share) for name, share in shares.items()}
    return row | {"skewed": sum(value < 0 for value in found if value is not None)}


def grouped(facts: Iterable[T], keys: Callable[[T], Iterable[tuple[Any, ...]]]) -> dict[Any, list[T]]:
    """The facts by each of their keys; the first part of a key is a bucket, those of none are left out."""
    found: dict[Any, list[T]] = defaultdict(list)
    for fact in facts:
        for key in keys(fact):
            if key[0] is not None:
                found[key].append(fact)
    return found


def levels(held: Sequence[tuple[datetime, datetime | None, int]], begin: datetime, end: datetime) -> Row:
    """The most, the last and the average of what is held within a bucket: looked at whenever it changes."""
    held = [one for one in held if one[1] is None or one[1] > one[0]]
    moments = {begin} | {at for since, until, _ in held for at in (since, until) if at and begin < at < end}
    ordered = [*sorted(moments), end]

    def level(at: datetime) -> int:
        return sum(weight for since, until, weight in held if since <= at and (until is None or at < until))

    area = sum(level(at) * (later - at).total_seconds() for at, later in pairwise(ordered))
    return {
        "most": max(map(level, ordered[:-1])),
        "at_end": level(ordered[-2]),
        "average": area / (end - begin).total_seconds(),
    }
