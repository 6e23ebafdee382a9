"""Alerts over a real database: what really happens, a receiver that deduplicates, minutes that pass."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, update

from dct_pipelines.clients.alert_webhook import WebhookAlerts
from dct_pipelines.clients.webhook import SignedPost
from dct_pipelines.domain.alerts import AlertPort
from dct_pipelines.domain.errors import ActionFailed
from dct_pipelines.domain.incidents import Incident, Pace, Thresholds
from dct_pipelines.domain.metrics import Grain, Span
from dct_pipelines.domain.ports import ChannelPort
from dct_pipelines.domain.quotas import Quotas
from dct_pipelines.engine.alerts.evaluate import Evaluator
from dct_pipelines.engine.alerts.life import DeadMansSwitch
from dct_pipelines.engine.alerts.rules import Rules
from dct_pipelines.engine.alerts.sending import WEBHOOK, Ways
from dct_pipelines.engine.alerts.service import AlertService, Turned
from dct_pipelines.engine.metrics import MetricsService
from dct_pipelines.engine.waiting import WaitingService
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.tables.metrics import metric_tables as metric_rows
from tests.fakes.ports import FakeClock, FakeSecrets
from tests.support.receiver import Receiver, receiver
from tests.support.stage import QUOTAS, Stage
from tests.support.world import World

SECRET = "env:DCT_ALERT_WEBHOOK_SECRET"
VALUE = "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cy0xMjM0NTY3ODkw"


@dataclass
class Monitor:
    """A sign of life that is written down."""

    beats: list[tuple[str, ...]] = field(default_factory=list)
    error: Exception | None = None

    def beat(self, at: datetime, problems: Sequence[str]) -> None:
        if self.error is not None:
            raise self.error
        self.beats.append(tuple(problems))


@dataclass
class Alarm:
    """The services of alerts, and what it takes to have something for them."""

    world: World
    stage: Stage
    receiver: Receiver
    quotas: Quotas = QUOTAS
    thresholds: Thresholds = field(default_factory=Thresholds)
    pace: Pace = field(default_factory=Pace)
    destinations: tuple[str, ...] = (WEBHOOK,)
    channels: Mapping[str, ChannelPort] = field(default_factory=dict)
    port: AlertPort | None = None
    monitor: Monitor = field(default_factory=Monitor)
    jobs: frozenset[str] = frozenset({"check", "notify_users"})
    watches_metrics: bool = True

    @property
    def clock(self) -> FakeClock:
        return self.world.clock

    @property
    def service(self) -> AlertService:
        """The services as they are wired now."""
        database, clock = self.world.database, self.clock
        waiting = WaitingService(database, clock, self.quotas, 300, lambda: self.jobs)
        rules = Rules(
            waiting, self.quotas, self.thresholds, self.pace, self.watches_metrics, lambda _kind: 60
        )
        evaluator = Evaluator(
            database, clock, rules, lambda: self.destinations, lambda name: [name], timedelta(days=90)
        )
        post = SignedPost(FakeSecrets({SECRET: VALUE}), clock)
        webhook = WebhookAlerts(post, self.receiver.url, SECRET)
        port = self.port or Ways(webhook, lambda: self.channels)
        return AlertService(
            database, clock, evaluator, port, DeadMansSwitch([self.monitor]), lambda: self.destinations
        )

    def look(self, minutes: float = 0) -> Turned:
        """Minutes pass, each with its turn."""
        turned = self.service.turn()
        for _ in range(round(minutes)):
            self.clock.advance(minutes=1)
            turned = self.service.turn()
        return turned

    def told(self) -> list[tuple[str, str]]:
        """What a receiver that deduplicates by key has heard: type and text."""
        heard: dict[str, dict[str, Any]] = {}
        for request in self.receiver.requests:
            heard.setdefault(request.headers["idempotency-key"], json.loads(request.body))
        return [(body["type"], body["text"]) for body in heard.values()]

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.told()]

    def incidents(self, *, with_resolved: bool = False) -> list[Incident]:
        return self.service.latest(with_resolved=with_resolved)

    def trigger(self, name: str, **spec: Any) -> UUID:
        return self.world.trigger(name, **spec)

    def executions(self, trigger_id: UUID, ended: int, failed: int, error: Exception | None = None) -> None:
        """Executions of a trigger that are carried out, of which so many fail."""
        for number in range(ended):
            fails = error or ActionFailed("the branch is gone; push it again")
            self._carry_out(trigger_id, fails if number < failed else None)

    def time_out(self, trigger_id: UUID) -> None:
        """An execution that runs longer than it may."""
        self._carry_out(trigger_id, ActionFailed("the command was killed"), seconds=5)

    def _carry_out(self, trigger_id: UUID, error: Exception | None, seconds: float = 0) -> None:
        about: dict[str, Any] = {"trigger_id": trigger_id, "connection_id": self.world.connection_id}
        _, run = self.stage.claimed("check", **about, limits={"timeout_seconds": 3} if seconds else {})

        def fails(*_: Any) -> Any:
            assert error is not None
            self.clock.advance(seconds=seconds)
            raise error

        if error is not None:
            self.stage.behaviours["check"] = fails
        with contextlib.suppress(ActionFailed):
            self.stage.perform(run)
            self.stage.executor.close(run)
        self.stage.behaviours.clear()

    def connection(self, **columns: Any) -> None:
        """How the world's connection stands."""
        with self.world.database.begin() as connection:
            rows = tables.connections
            connection.execute(update(rows).where(rows.c.id == self.world.connection_id).values(**columns))

    def measured(self, until: datetime, *but: str, grain: Grain = Grain.HOUR, buckets: int = 1) -> None:
        """The metrics of the buckets up to then, but of some tables, as their schedule computes them."""
        span = Span(grain, until - buckets * grain.length, until)
        metrics = MetricsService(self.world.database, self.quotas, 300)
        for name, table in metrics.tables.items():
            if grain in table.grains and name not in but:
                metrics.refresh(name, span)
                rows = metric_rows[name]
                at = func.least(rows.c.bucket + 4 * grain.length, self.clock.now())
                with self.world.database.begin() as connection:
                    connection.execute(update(rows).where(rows.c.bucket >= span.since).values(computed_at=at))

    def messages(self) -> list[dict[str, Any]]:
        return sorted(self.world.rows(tables.alert_messages), key=lambda row: row["created_at"])


@contextmanager
def alarm(database: Database) -> Iterator[Alarm]:
    """An alarm in a world whose connection is read for years to come."""
    world = World(database, FakeClock(datetime.now(UTC)))
    stage = Stage(database, clock=world.clock)
    with receiver() as listening:
        made = Alarm(world, stage, listening)
        made.connection(next_due_at=world.clock.now() + timedelta(days=3650))
        yield made
    stage.stop()
