"""`business_metrics`: what was moved and deployed, when that had begun, and what had failed before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dct_pipelines.domain.metrics import Span
from tests.support.measured import Deployed, Noted, Past, noted
from tests.support.reckoning.figures import Rows, bucket_of, buckets, ended_in, mean, percentile, sound, took


@dataclass
class _Told:
    """What one row is made of."""

    moved: int = 0
    failed: int = 0
    good: list[_Good] = field(default_factory=list)


@dataclass(frozen=True)
class _Good:
    """A good deployment, with the times that led to it."""

    ready: float | None
    lead: float | None
    restore: float | None


@dataclass(frozen=True)
class _Ended:
    """A deployment that ended, of an execution that an event fired or nobody's."""

    at: datetime
    what: Deployed
    past: Past
    event: Noted | None

    @property
    def is_good(self) -> bool:
        return self.what.state == "succeeded"


def business(history: Sequence[Past], span: Span) -> Rows:
    """The rows of `business_metrics`."""
    told: dict[Any, _Told] = defaultdict(_Told, {(at, "all", "all"): _Told() for at in buckets(span)})
    for past in history:
        if at := ended_in(past, span):
            moves = [act for act in past.acts if act.moves]
            for pair in (("all", "all"), ("trigger_type", past.names[1])) if moves else ():
                told[at, *pair].moved += len(moves)
    for one, good in _deployments(history):
        if at := bucket_of(one.at, span):
            places = {"all": "all", "trigger_type": one.past.names[1], "environment": one.what.environment}
            for pair in places.items():
                if good is None:
                    told[at, *pair].failed += 1
                else:
                    told[at, *pair].good.append(good)
    return {key: _row(one) for key, one in told.items()}


def _row(told: _Told) -> dict[str, Any]:
    restores = [one.restore for one in told.good if one.restore is not None]
    deployments = told.failed + len(told.good)
    return {
        "tickets_moved": told.moved,
        "deployments": deployments,
        "failed_deployments": told.failed,
        "change_failure_percent": 100.0 * told.failed / deployments if deployments else None,
        "ready_p50_seconds": percentile(sound(one.ready for one in told.good), 0.5),
        "lead_time_p50_seconds": percentile(sound(one.lead for one in told.good), 0.5),
        "restores": len(restores),
        "restore_mean_seconds": mean(sound(restores)),
    }


def _deployments(history: Sequence[Past]) -> Iterator[tuple[_Ended, _Good | None]]:
    """Every deployment that ended, one environment after the other, in order; None for one that failed."""
    events: list[Noted] = []
    ended: list[_Ended] = []
    for past, added, own in noted(history):
        events += added
        ended += [_Ended(one.ended_at, one, past, own) for one in past.deployed if one.ended_at is not None]
    failing_since: dict[str, datetime] = {}
    for one in sorted(ended, key=lambda one: (one.at, one.what.id)):
        if not one.is_good:
            failing_since.setdefault(one.what.environment, one.at)
            yield one, None
            continue
        yield (
            one,
            _Good(
                took(one.event.occurred_at, one.at) if one.event else None,
                took(_begun_at(one, events, ended), one.at),
                took(failing_since.pop(one.what.environment, None), one.at),
            ),
        )


def _begun_at(one: _Ended, events: Sequence[Noted], ended: Sequence[_Ended]) -> datetime | None:
    """When the first event happened that was not yet delivered there by a deployment for an earlier event."""
    if one.event is None:
        return None
    delivered = [
        other.event.seq
        for other in ended
        if other.event is not None
        and other.is_good
        and other.what.environment == one.what.environment
        and other.at < one.at
        and other.event.about == one.event.about
        and other.event.seq < one.event.seq
    ]
    after = max(delivered, default=0)
    return next(event.occurred_at for event in events if event.about == one.event.about and event.seq > after)
