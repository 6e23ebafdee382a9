"""What Prometheus scrapes: how the whole deployment is, read from the database that all processes share.

A scrape costs some short statements; answers are kept for a while, so that many scrapers, and one that is
impatient, cost no more than one. https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dct_pipelines.domain.errors import DctError
from dct_pipelines.domain.execution import FINAL
from dct_pipelines.domain.facts import Fact
from dct_pipelines.domain.gateway import Daemons
from dct_pipelines.domain.words import TriggerStatus, WaitReason
from dct_pipelines.engine.quotas import QuotaReport, QuotaService
from dct_pipelines.engine.waiting import Waiting, WaitingService
from dct_pipelines.store import gauges, totals
from dct_pipelines.store.database import Connection, Database

if TYPE_CHECKING:
    from prometheus_client import Metric
    from prometheus_client.core import HistogramMetricFamily

    from dct_pipelines.domain.ports import Clock

KEPT_SECONDS = 5.0
"""An answer is given again for at least so long."""
KEPT_TIMES = 20
"""And for so many times what it took: whatever there is to read, scrapes take at most 5 % of one core."""
MOST_NAMED = 200
"""Triggers, and connections, with series of their own: a database of names is not what Prometheus is."""
MOST_COUNTS = 4
"""So many times some thousand endings are added up in one scrape; what is more is left for the next one."""
NEXT = "its_turn"
HEALTHS = ("unknown", "ok", "failing", "down", "throttled")
_log = logging.getLogger(__name__)


class Sample(Fact):
    """One sample, as JSON shows it."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass
class Exposition:
    """Answers scrapes, from several threads. `daemons` says which of Dagster's daemons are alive.

    A database that is away is an answer, too: `dct_up 0`, and nothing that would only be guessed.
    """

    database: Database
    clock: Clock
    quotas: QuotaService
    waiting: WaitingService
    daemons: Daemons | None
    version: str
    release: str
    monotonic: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _kept: list[Metric] = field(default_factory=list)
    _kept_until: float = float("-inf")
    _is_away: bool = False

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition and its content type, in the newest format that `accept` asks for."""
        from prometheus_client.exposition import choose_encoder

        encode, content_type = choose_encoder(accept)
        return encode(_Kept(self.families())), content_type

    def samples(self) -> list[Sample]:
        """The same as data."""
        return [
            Sample(name=sample.name, labels=dict(sample.labels), value=float(sample.value))
            for family in self.families()
            for sample in family.samples
        ]

    def families(self) -> Sequence[Metric]:
        """All metrics, read now or a short while ago."""
        with self._lock:
            begun = self.monotonic()
            if begun >= self._kept_until:
                self._kept = list(self._read())
                over = self.monotonic()
                self._kept_until = over + max(KEPT_SECONDS, KEPT_TIMES * (over - begun))
            return self._kept

    def _read(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

        yield InfoMetricFamily(
            "dct_build", "The release at work.", {"version": self.version, "rules": self.release}
        )
        try:
            found = list(self._found())
        except DctError as error:
            if not self._is_away:
                _log.warning("metrics cannot be read: %s", error)
            self._is_away, found = True, []
        else:
            self._is_away = False
        yield GaugeMetricFamily("dct_up", "Whether the database answered this scrape.", not self._is_away)
        yield from found

    def _found(self) -> Iterator[Metric]:
        with self.database.begin() as connection:
            for _ in range(MOST_COUNTS):
                if not totals.count_endings(connection):
                    break
        with self.database.connect() as connection:
            yield from _executions(connection)
            yield from _moments(connection)
            yield from _triggers(connection)
            yield from _connections(connection, self.clock.now())
        yield from _waits(self.waiting.by_reason(), self.clock.now())
        yield from _quotas(self.quotas.show())
        yield from self._daemons()

    def _daemons(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        up = GaugeMetricFamily("dct_daemon_up", "Whether a daemon of Dagster's is alive.", labels=["daemon"])
        for one in self.daemons.daemons() if self.daemons is not None else ():
            up.add_metric([one.name], one.is_healthy)
        yield up


def _executions(connection: Connection) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    now = GaugeMetricFamily("dct_executions", "Executions that are not over.", labels=["state"])
    for state, count in gauges.open_by_state(connection).items():
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


def _moments(connection: Connection) -> Iterator[Metric]:
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


def _triggers(connection: Connection) -> Iterator[Metric]:
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


def _connections(connection: Connection, now: datetime) -> Iterator[Metric]:
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


def _waits(waits: Sequence[Waiting], now: datetime) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    count = GaugeMetricFamily(
        "dct_waiting", f"Executions that wait, by why; {NEXT}: nothing is in their way.", labels=["reason"]
    )
    oldest = GaugeMetricFamily(
        "dct_waiting_oldest", "How long the first of them has waited.", labels=["reason"], unit="seconds"
    )
    by_reason: dict[str, Any] = {one.reason or NEXT: one for one in waits}
    for reason in (NEXT, *WaitReason):
        found = by_reason.get(reason)
        count.add_metric([reason], found.count if found else 0)
        oldest.add_metric([reason], _seconds(found.oldest, now) if found else 0)
    yield from (count, oldest)


def _quotas(report: QuotaReport) -> Iterator[Metric]:
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


@dataclass(frozen=True)
class _Kept:
    """What is already read, as the library's encoders take it."""

    families: Sequence[Metric]

    def collect(self) -> Sequence[Metric]:
        return self.families
