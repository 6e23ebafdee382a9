"""Whatever happened, the tables say what an independent calculation does: retries, open ends, skews."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dct_pipelines.domain.metrics import Grain, Span
from dct_pipelines.domain.quotas import Quotas
from dct_pipelines.engine.metrics import MetricsService
from dct_pipelines.store.database import Database
from tests.support.measured import Act, Ground, Past, bucket_of, grouped, levels, percentile, spread, took

pytestmark = pytest.mark.integration
QUOTAS = Quotas(executions=5, agents=4, agent_reservation_percent=30, workspaces=3)
AGEING_SECONDS = 300.0
SINCE, UNTIL = datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 3, 30, tzinfo=UTC)
"""On the 29th clocks are set forward in Berlin; New York did so three weeks before."""
ZONES = (UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("Asia/Kathmandu"))
MOMENTS = st.builds(
    lambda minutes, zone: (SINCE + timedelta(minutes=minutes)).astimezone(zone),
    st.one_of(st.integers(-600, 3400), st.sampled_from([0, 60, 1440, 2880, 1500, 1560])),
    st.sampled_from(ZONES),
)
STEPS = st.one_of(st.integers(-90_000, 7_200_000), st.sampled_from([0, 3_600_000, 86_400_000]))
REASONS = st.sampled_from([None, "run_slots", "item_busy"])


def later(at: datetime, milliseconds: int) -> datetime:
    return (at.astimezone(UTC) + timedelta(milliseconds=milliseconds)).astimezone(at.tzinfo)


@st.composite
def pasts(draw: st.DrawFn) -> Past:
    """Any execution that there may be, and some that only clocks that disagree can make."""
    created = draw(MOMENTS)
    status = draw(st.sampled_from(["completed", "completed", "failed", "cancelled", "waiting", "running"]))
    is_over = status in ("completed", "failed", "cancelled")
    dispatched = later(created, draw(STEPS)) if status != "waiting" and draw(st.booleans()) else None
    started = (
        later(dispatched or created, draw(STEPS)) if status != "waiting" and draw(st.booleans()) else None
    )
    completed = later(started or created, draw(STEPS)) if is_over else None
    attempts: list[tuple[datetime | None, datetime | None]] = []
    at = started or created
    for _ in range(draw(st.integers(0, 3))):
        ended = later(at, draw(STEPS))
        attempts.append((draw(st.sampled_from([at, at, None])), draw(st.sampled_from([ended, ended, None]))))
        at = ended
    acts = []
    for name in draw(st.lists(st.sampled_from(["merge_branches", "run_tests"]), max_size=3)):
        state = draw(st.sampled_from(["done", "nothing_to_do", "partly", "failed", "uncertain", "started"]))
        ended_at = later(at, draw(STEPS)) if state != "started" else None
        acts.append(Act(name, state, draw(st.integers(1, 2)), at, ended_at))
    return Past(
        status,
        created,
        trigger=draw(st.sampled_from([None, 0, 1, 2])),
        occurred_at=later(created, -draw(STEPS)),
        observed_at=later(created, -draw(STEPS)),
        dispatched_at=dispatched,
        started_at=started,
        completed_at=completed,
        reason=draw(REASONS),
        agents=draw(st.integers(0, 2)),
        attempts=attempts,
        acts=acts,
    )


def test_every_history_is_measured_as_an_independent_calculation_measures_it(database: Database):
    ground = Ground(database)
    service = MetricsService(database, QUOTAS, AGEING_SECONDS)

    @settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(history=st.lists(pasts(), max_size=12))
    def check(history: list[Past]) -> None:
        ground.keep(history)
        for grain in Grain:
            span = Span(grain, SINCE, UNTIL)
            buckets = [SINCE + n * grain.length for n in range((UNTIL - SINCE) // grain.length)]
            for name, expected in (
                ("execution_metrics", executions(history, buckets, grain.length)),
                ("response_times", responses(history, buckets, grain.length)),
                ("queue_metrics", waits(history, buckets, grain.length)),
                ("resource_utilization", utilization(history, buckets, grain.length)),
            ):
                service.refresh(name, span)
                compare(service.tables[name].keys, service.rows(name, span), expected)
            ended = Counter(ended_in(past, grain.length) for past in history)
            assert service.counted(span) == {at: ended[at] for at in buckets if ended[at]}

    check()


def compare(keys: Sequence[str], rows: Sequence[dict[str, Any]], expected: dict[Any, dict[str, Any]]) -> None:
    found = {(row["bucket"], *(row[key] for key in keys)): row for row in rows}
    assert sorted(found) == sorted(expected)
    for key, wanted in expected.items():
        got = {name: found[key][name] for name in wanted}
        assert got == {name: near(value) for name, value in wanted.items()}, key


def near(value: Any) -> Any:
    return pytest.approx(value, rel=1e-9, abs=2e-6) if isinstance(value, float) else value


def ended_in(past: Past, length: timedelta) -> datetime | None:
    return bucket_of(past.completed_at, length) if past.completed_at and past.is_over else None


def executions(
    history: Sequence[Past], buckets: Sequence[datetime], length: timedelta
) -> dict[Any, dict[str, Any]]:
    def keys(past: Past) -> list[tuple[Any, ...]]:
        at, (trigger, of_type, owner) = ended_in(past, length), past.names
        provider = "jira" if past.trigger is not None else "(none)"
        told = {
            "all": "all",
            "trigger": trigger,
            "trigger_type": of_type,
            "owner": owner,
            "provider": provider,
        }
        return [(at, *pair) for pair in told.items()]

    facts: dict[Any, list[tuple[str, bool, float | None]]] = {(at, "all", "all"): [] for at in buckets}
    for key, some in grouped(history, buckets, keys).items():
        facts[key] = [
            (past.status, len(past.attempts) > 1, took(past.started_at, past.completed_at)) for past in some
        ]
    for past in history:
        for act in past.acts if ended_in(past, length) in buckets else ():
            facts.setdefault((ended_in(past, length), "action", act.type), []).append(
                (came_of(act, past), act.attempt > 1, took(act.started_at, act.ended_at))
            )
    return {key: counted(some) for key, some in facts.items()}


def came_of(act: Act, past: Past) -> str:
    if act.state in ("done", "nothing_to_do", "partly"):
        return "completed"
    return "cancelled" if act.state == "started" and past.status == "cancelled" else "failed"


def counted(facts: Sequence[tuple[str, bool, float | None]]) -> dict[str, Any]:
    by = {
        name: sum(status == name for status, _, _ in facts) for name in ("completed", "failed", "cancelled")
    }
    told = by["completed"] + by["failed"]
    return {
        "executions": len(facts),
        **by,
        "success_percent": 100.0 * by["completed"] / told if told else None,
        "retried": sum(is_retried for _, is_retried, _ in facts),
        **spread([one[2] for one in facts], p50_seconds=0.5, p95_seconds=0.95, p99_seconds=0.99),
    }


def responses(
    history: Sequence[Past], buckets: Sequence[datetime], length: timedelta
) -> dict[Any, dict[str, Any]]:
    def legs(past: Past) -> dict[str, float | None]:
        has_event = past.trigger is not None
        occurred = past.occurred_at if has_event else None
        observed = past.observed_at if has_event else None
        return {
            "change_to_seen": took(occurred, observed),
            "seen_to_decided": took(observed, past.created_at),
            "decided_to_dispatched": took(past.created_at, past.dispatched_at),
            "dispatched_to_started": took(past.dispatched_at, past.started_at),
            "started_to_finished": took(past.started_at, past.completed_at),
            "change_to_finished": took(occurred, past.completed_at),
        }

    names = list(legs(Past("waiting", SINCE)))
    facts: dict[Any, list[float]] = {(at, "all", leg): [] for at in buckets for leg in names}
    for past in history:
        at = ended_in(past, length)
        for leg, value in legs(past).items():
            if at in buckets and value is not None:
                for of_type in ("all", past.names[1]):
                    facts.setdefault((at, of_type, leg), []).append(value)
    return {
        key: {"executions": len(some), **spread(some, p50_seconds=0.5, p95_seconds=0.95)}
        for key, some in facts.items()
    }


def earliest(*moments: datetime | None) -> datetime | None:
    return min((at for at in moments if at is not None), default=None)


def left_at(past: Past) -> datetime | None:
    return earliest(past.dispatched_at, past.started_at, past.completed_at)


def waits(
    history: Sequence[Past], buckets: Sequence[datetime], length: timedelta
) -> dict[Any, dict[str, Any]]:
    def ended(past: Past) -> list[tuple[Any, ...]]:
        stamp = left_at(past)
        at = bucket_of(max(stamp, past.created_at), length) if stamp is not None else None
        return [(at, "all"), (at, past.reason or "(none)")]

    facts: dict[Any, list[Past]] = {(at, "all"): [] for at in buckets}
    facts |= grouped(history, buckets, ended)
    held = [(past.created_at, left_at(past), 1) for past in history]
    found = {}
    for (at, reason), some in facts.items():
        values = [value for past in some if (value := took(past.created_at, left_at(past))) is not None]
        depth = dict(zip(("most", "at_end", "average"), (None,) * 3, strict=True))
        depth = levels(held, at, at + length) if reason == "all" else depth
        found[at, reason] = {
            "waits": len(values),
            **spread(values, p50_seconds=0.5, p95_seconds=0.95),
            "longest_seconds": percentile([max(value, 0.0) for value in values], 1.0),
            "aged": sum(value >= AGEING_SECONDS for value in values),
            "depth_most": depth["most"],
            "depth_at_end": depth["at_end"],
            "depth_average": depth["average"],
        }
    return found


def utilization(
    history: Sequence[Past], buckets: Sequence[datetime], length: timedelta
) -> dict[Any, dict[str, Any]]:
    runs = [
        (past, max(begun, past.created_at), earliest(ended, past.completed_at))
        for past in history
        for begun, ended in past.attempts
        if begun is not None
    ]
    held = {
        "executions": (5, [(begun, ended, 1) for _, begun, ended in runs]),
        "agents": (4, [(begun, ended, past.agents) for past, begun, ended in runs]),
        "workspaces": (3, []),
    }
    found = {}
    for resource, (quota, some) in held.items():
        for at in buckets:
            level = levels(some, at, at + length)
            percents = {"utilization_percent": 100 * level["most"] / quota, "quota": quota}
            found[at, resource] = level | percents | {"average_percent": 100 * level["average"] / quota}
    return found
