"""The metrics of an exposition, by what they tell of; `prometheus_client` is loaded when one is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dct_pipelines.domain.execution import FINAL
from dct_pipelines.domain.words import TriggerStatus, WaitReason
from dct_pipelines.engine.quotas import QuotaReport
from dct_pipelines.engine.waiting import Waiting
from dct_pipelines.store import gauges, totals
from dct_pipelines.store.database import Connection

if TYPE_CHECKING:
    from prometheus_client import Metric
    from prometheus_client.core import HistogramMetricFamily

MOST_NAMED = 200
"""Triggers, and connections, with series of their own: a database of names is not what Prometheus is."""
NEXT = "its_turn"
HEALTHS = ("unknown", "ok", "failing", "down", "throttled")


def executions(connection: Connection, open_by_state: Mapping[str, int]) -> Iterator[Metric]:
    """Executions that are not over, those that ended, and how long stages of their way took."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    now = GaugeMetricFamily("dct_executions", "Executions that are not over.", labels=["state"])
    for state, count in open_by_state.items():
        now.add_metric([state], count)
    yield now
    so_far = totals.read(connection)
    ended = CounterMetricFamily("dct_executions_ended", "Executions that ended.", labels=["outcome"])
    for outcome in sorted(FINAL):
        ended.add_metric([outcome], so_far.ended.get(outcome, 0))
    yield ended
    stages = HistogramMetricFamily(
        "dct_response_time",
        "How long each stage of the way of an ended execution took: its change until we had seen it (seen), "
        "its firing until its first dispatch (queued), that until it started (launched), its actions "
        "(worked), and all of it (total).",
        labels=["stage"],
        unit="seconds",
    )
    for stage in ("seen", "queued", "launched", "worked", "total"):
        _add_buckets(stages, stage, so_far)
    yield stages


def _add_buckets(family: HistogramMetricFamily, stage: str, so_far: totals.Totals) -> None:
    found = so_far.buckets.get(stage, {})
    counted, buckets = 0.0, []
    for bound in (*totals.BOUNDS, float("inf")):
        counted += found.get(bound, 0.0)
        buckets.append(("+Inf" if bound == float("inf") else str(bound), counted))
    family.add_metric([stage], buckets, so_far.seconds.get(stage, 0.0))


def moments(connection: Connection) -> Iterator[Metric]:
    """When things happened last, and the database."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    found = gauges.moments(connection)
    yield CounterMetricFamily("dct_events", "Events that were taken in, ever.", found.events)
    last = GaugeMetricFamily(
        "dct_last_timestamp",
        "When the last event was seen, the last execution fired, started and ended, and the last connection "
        "was asked. What never happened has no sample.",
        labels=["what"],
        unit="seconds",
    )
    for what in ("event", "fired", "started", "ended", "polled"):
        if (at := getattr(found, what)) is not None:
            last.add_metric([what], at.timestamp())
    yield last
    yield GaugeMetricFamily("dct_database_size", "Size of the database on disk.", found.bytes, unit="bytes")
    yield GaugeMetricFamily(
        "dct_database_sessions", "Sessions of the database, all processes.", found.sessions
    )


def triggers(connection: Connection) -> Iterator[Metric]:
    """Triggers by status, and their firings and failures."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    counts = gauges.triggers(connection)
    by_status = GaugeMetricFamily("dct_triggers", "Triggers by status.", labels=["status"])
    for status in TriggerStatus:
        by_status.add_metric([status], getattr(counts, status))
    yield by_status
    yield CounterMetricFamily("dct_firings", "Firings of all triggers, ever.", float(counts.fired))
    yield CounterMetricFamily(
        "dct_failures", "Failed executions of all triggers, ever.", float(counts.failed)
    )
    labels = ["trigger", "type"]
    fired = CounterMetricFamily(
        "dct_trigger_firings", f"Firings, of the {MOST_NAMED} triggers that fired most.", labels=labels
    )
    failed = CounterMetricFamily(
        "dct_trigger_failures", "Failed executions, of the same triggers.", labels=labels
    )
    for row in gauges.busiest(connection, MOST_NAMED):
        fired.add_metric([row.name, row.trigger_type], row.execution_count)
        failed.add_metric([row.name, row.trigger_type], row.failure_count)
    yield fired
    yield failed


def connections(connection: Connection, now: datetime) -> Iterator[Metric]:
    """How connections are and how far behind."""
    from prometheus_client.core import GaugeMetricFamily

    labels = ["connection", "kind"]
    health = GaugeMetricFamily(
        "dct_connection_health", "1 for the health that a connection has.", labels=[*labels, "health"]
    )
    failures = GaugeMetricFamily(
        "dct_connection_consecutive_failures", "Reads that failed since the last good one.", labels=labels
    )
    lag = GaugeMetricFamily("dct_connection_lag", "Age of the last good read.", labels=labels, unit="seconds")
    overdue = GaugeMetricFamily(
        "dct_connection_overdue", "How long ago it should have been read.", labels=labels, unit="seconds"
    )
    for row in gauges.connections(connection, MOST_NAMED):
        whose = [row.name, row.kind]
        for one in HEALTHS:
            health.add_metric([*whose, one], one == row.health)
        failures.add_metric(whose, row.consecutive_failures)
        if row.last_ok_at is not None:
            lag.add_metric(whose, _seconds(row.last_ok_at, now))
        due = max((at for at in (row.next_due_at, row.not_before) if at is not None), default=None)
        overdue.add_metric(whose, _seconds(due, now) if due is not None else 0)
    yield from (health, failures, lag, overdue)


def incidents(connection: Connection) -> Metric:
    """What is out of order."""
    from prometheus_client.core import GaugeMetricFamily

    live = GaugeMetricFamily("dct_incidents", "Incidents that are not over.", labels=["rule", "state"])
    for row in gauges.incidents(connection):
        live.add_metric([row.rule, row.state], row._mapping["count"])
    return live


def waits(waits: Sequence[Waiting], age_seconds: float, at: datetime) -> Iterator[Metric]:
    """What waits and why, as it was found out so long ago, at that moment."""
    from prometheus_client.core import GaugeMetricFamily

    count = GaugeMetricFamily(
        "dct_waiting",
        f"Executions that wait, by why; {NEXT}: nothing is in their way. As of dct_waiting_age_seconds ago.",
        labels=["reason"],
    )
    oldest = GaugeMetricFamily(
        "dct_waiting_oldest", "How long the first of them has waited.", labels=["reason"], unit="seconds"
    )
    by_reason: dict[str, Any] = {one.reason or NEXT: one for one in waits}
    for reason in (NEXT, *WaitReason):
        found = by_reason.get(reason)
        count.add_metric([reason], found.count if found else 0)
        oldest.add_metric([reason], _seconds(found.oldest, at) if found else 0)
    yield from (count, oldest)
    yield GaugeMetricFamily(
        "dct_waiting_age",
        "How long ago was found out what dct_waiting tells: while very much waits in very many ways, "
        "a scrape does not wait for it.",
        age_seconds,
        unit="seconds",
    )


def quotas(report: QuotaReport) -> Iterator[Metric]:
    """Quotas and what is in use."""
    from prometheus_client.core import GaugeMetricFamily

    limit = GaugeMetricFamily("dct_quota", "What may be at work at the same time.", labels=["quota"])
    used = GaugeMetricFamily("dct_quota_in_use", "What is at work of it.", labels=["quota"])
    share = GaugeMetricFamily(
        "dct_quota_utilization", "The used part of it, from 0 to 1 and above.", labels=["quota"], unit="ratio"
    )
    yield GaugeMetricFamily("dct_quotas_enabled", "Whether quotas limit anything.", report.is_enabled)
    for one in report.quotas:
        if one.in_use is None:
            continue
        limit.add_metric([one.name], one.value)
        used.add_metric([one.name], one.in_use)
        if one.value:
            share.add_metric([one.name], one.in_use / one.value)
    yield from (limit, used, share)


def _seconds(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())
