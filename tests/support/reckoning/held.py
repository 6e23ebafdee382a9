"""`queue_metrics` and `resource_utilization`: what waited and what was in use, at the same time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dct_pipelines.domain.metrics import Span
from tests.support.measured import Past
from tests.support.reckoning.figures import (
    Rows,
    bucket_of,
    buckets,
    earliest,
    grouped,
    levels,
    sound,
    spread,
    took,
)

Held = list[tuple[datetime, datetime | None, int]]


def _left_at(past: Past) -> datetime | None:
    return earliest(past.dispatched_at, past.started_at, past.completed_at)


def waits(history: Sequence[Past], span: Span, ageing_seconds: float) -> Rows:
    """The rows of `queue_metrics`."""

    def keys(past: Past) -> list[tuple[Any, ...]]:
        stamp = _left_at(past)
        at = bucket_of(max(stamp, past.created_at), span) if stamp is not None else None
        return [(at, "all"), (at, past.reason or "(none)")]

    facts: dict[Any, list[Past]] = {(at, "all"): [] for at in buckets(span)} | grouped(history, keys)
    held: Held = [(past.created_at, _left_at(past), 1) for past in history]
    found: Rows = {}
    for (at, reason), some in facts.items():
        waited = [took(past.created_at, _left_at(past)) for past in some]
        depth = levels(held, at, at + span.grain.length) if reason == "all" else {}
        found[at, reason] = {
            "waits": len(some),
            **spread(waited, p50_seconds=0.5, p95_seconds=0.95),
            "longest_seconds": max(sound(waited), default=None),
            "aged": sum(value >= ageing_seconds for value in sound(waited)),
            **{f"depth_{name}": depth.get(name) for name in ("most", "at_end", "average")},
        }
    return found


def utilization(history: Sequence[Past], span: Span, quotas: Mapping[str, int | None]) -> Rows:
    """The rows of `resource_utilization`; `quotas` by resource, None where none counts."""
    runs = [
        (past, max(begun, past.created_at), earliest(ended, past.completed_at))
        for past in history
        for begun, ended in past.attempts
        if begun is not None
    ]
    held: dict[str, Held] = {
        "executions": [(begun, ended, 1) for _, begun, ended in runs],
        "agents": [(begun, ended, past.agents) for past, begun, ended in runs],
        "workspaces": [(*past.workspace, 1) for past in history if past.workspace is not None],
    }
    found: Rows = {}
    for resource, quota in quotas.items():
        for at in buckets(span):
            level = levels(held[resource], at, at + span.grain.length)
            found[at, resource] = level | {
                "quota": quota,
                "utilization_percent": 100.0 * level["most"] / quota if quota else None,
                "average_percent": 100.0 * level["average"] / quota if quota else None,
            }
    return found
