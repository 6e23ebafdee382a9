"""`execution_metrics` and `response_times`: how executions ended, and how long each leg took."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from dct_pipelines.domain.metrics import Span
from tests.support.measured import Act, Past, Row
from tests.support.reckoning.figures import Rows, buckets, ended_in, grouped, spread, took

Told = tuple[str, bool, float | None]
"""How it ended, whether it was tried again, and the seconds that it took."""
LEGS = (
    "change_to_seen",
    "seen_to_decided",
    "decided_to_dispatched",
    "dispatched_to_started",
    "started_to_finished",
)


def executions(history: Sequence[Past], span: Span) -> Rows:
    """The rows of `execution_metrics`."""

    def keys(past: Past) -> list[tuple[Any, ...]]:
        trigger, of_type, owner = past.names
        told = {"all": "all", "trigger": trigger, "trigger_type": of_type, "owner": owner}
        told["provider"] = "jira" if past.trigger is not None else "(none)"
        return [(ended_in(past, span), *pair) for pair in told.items()]

    facts: dict[Any, list[Told]] = {(at, "all", "all"): [] for at in buckets(span)}
    for key, some in grouped(history, keys).items():
        facts[key] = [
            (past.status, len(past.attempts) > 1, took(past.started_at, past.completed_at)) for past in some
        ]
    for past in history:
        for act in past.acts if ended_in(past, span) else ():
            facts.setdefault((ended_in(past, span), "action", act.type), []).append(
                (_came_of(act, past), act.attempt > 1, took(act.started_at, act.ended_at))
            )
    return {key: _counted(some) for key, some in facts.items()}


def _came_of(act: Act, past: Past) -> str:
    if act.state in ("done", "nothing_to_do", "partly"):
        return "completed"
    return "cancelled" if act.state == "started" and past.status == "cancelled" else "failed"


def _counted(facts: Sequence[Told]) -> Row:
    by = Counter(status for status, _, _ in facts)
    told = by["completed"] + by["failed"]
    return {
        "executions": len(facts),
        **{name: by[name] for name in ("completed", "failed", "cancelled")},
        "success_percent": 100.0 * by["completed"] / told if told else None,
        "retried": sum(is_retried for _, is_retried, _ in facts),
        **spread([one[2] for one in facts], p50_seconds=0.5, p95_seconds=0.95, p99_seconds=0.99),
    }


def responses(history: Sequence[Past], span: Span) -> Rows:
    """The rows of `response_times`."""
    every = {(at, "all", leg): list[float]() for at in buckets(span) for leg in (*LEGS, "change_to_finished")}
    facts: dict[Any, list[float]] = defaultdict(list, every)
    for past in history:
        way = (None, None) if past.trigger is None else (past.occurred_at, past.observed_at)
        stops = (*way, past.created_at, past.dispatched_at, past.started_at, past.completed_at)
        legs = dict(zip(LEGS, map(took, stops, stops[1:]), strict=True))
        legs["change_to_finished"] = took(stops[0], stops[-1])
        for leg, value in legs.items():
            if (at := ended_in(past, span)) and value is not None:
                for of_type in ("all", past.names[1]):
                    facts[at, of_type, leg].append(value)
    return {
        key: {"executions": len(some), **spread(some, p50_seconds=0.5, p95_seconds=0.95)}
        for key, some in facts.items()
    }
