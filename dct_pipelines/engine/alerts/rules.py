"""What each rule sees: signs, read from the tables by the store, weighed by the thresholds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from dct_pipelines.domain.counting import counted, length_of
from dct_pipelines.domain.incidents import UNWATCHED, AlertRule, Incident, Pace, Sign, Thresholds
from dct_pipelines.domain.quotas import Quotas
from dct_pipelines.domain.restored import PAUSED
from dct_pipelines.domain.words import WaitReason
from dct_pipelines.engine import expiring
from dct_pipelines.engine.alerts.connections import (
    Silence,
    connection_signs,
    listener_signs,
    overdue,
    unreadable_signs,
)
from dct_pipelines.engine.alerts.credentials import expiring_signs
from dct_pipelines.engine.alerts.failures import alerts_of, failure_signs
from dct_pipelines.engine.alerts.looking import Look
from dct_pipelines.engine.alerts.metrics import stale_signs
from dct_pipelines.engine.alerts.neglect import maintenance_signs
from dct_pipelines.engine.alerts.waits import DISPATCH, LongWait, long_waits
from dct_pipelines.engine.waiting import WaitingService
from dct_pipelines.store import alerting, incidents, quotas, restoring, slots
from dct_pipelines.store.database import Connection, Row

STUCK_SECONDS = 120.0
"""What nothing is in the way of starts within a second or two; after so long the dispatcher does not work."""
HANDOVER = "handover"
"""Subject of what is remembered of waits from one look to the next; no incident has it."""
REMEMBERED = 50
NAMED = 5


@dataclass(frozen=True)
class Rules:
    """Looks at the deployment by every rule. `defaults` are the quotas of the settings.

    `usual_seconds` is from one read to the next of a kind of connections, unless a connection says it itself.
    """

    waiting: WaitingService
    defaults: Quotas
    thresholds: Thresholds
    pace: Pace
    watches_metrics: bool
    usual_seconds: Callable[[str], float]

    def look(self, connection: Connection, now: datetime) -> Look:
        """What is out of order now.

        In a restored deployment that is paused nothing works because somebody wants it so: only whether it
        can be read is looked at, and for how long it has been paused.
        """
        look = Look(connection)
        restored = restoring.state(connection)
        paused_at = restored.at if restored is not None else None
        names = self._connections(look, paused_at, now)
        if paused_at is not None:
            look.ask(lambda: self._paused(paused_at, now), AlertRule.WAIT)
            return look
        look.ask(lambda: self._failures(connection, names, now), AlertRule.FAILURE_RATE, AlertRule.TIMEOUT)
        look.ask(lambda: self._waits(look, now), AlertRule.WAIT)
        look.ask(lambda: self._utilization(connection), AlertRule.UTILIZATION)
        look.ask(lambda: self._metrics(connection, now), AlertRule.METRICS)
        if self.thresholds.metrics_hours:
            look.ask(lambda: maintenance_signs(connection, now), AlertRule.METRICS)
        return look

    def _connections(self, look: Look, paused_at: datetime | None, now: datetime) -> Mapping[UUID, str]:
        """Whether they can be read, and are; returns their names."""
        found: list[Row[Any]] = []
        told = self.thresholds.listener_seconds
        limit = told or Thresholds().listener_seconds
        silence = Silence(self.usual_seconds, paused_at, now)

        def down() -> Iterator[Sign]:
            found.extend(alerting.connections(look.connection))
            return connection_signs(found, silence)

        def late() -> Iterator[Sign]:
            late = overdue(found, limit, silence)
            if late:
                look.stuck.append(f"nobody reads {', '.join(row.name for row in late[:NAMED])}")
            return listener_signs(late if told else (), limit, now)

        look.ask(down, AlertRule.CONNECTION, AlertRule.LISTENER)
        look.ask(lambda: unreadable_signs(alerting.unreadable(look.connection)), AlertRule.CONNECTION)
        look.ask(late, AlertRule.LISTENER)
        look.ask(lambda: self._credentials(look.connection, now), AlertRule.CONNECTION)
        return {row.id: row.name for row in found}

    def _credentials(self, connection: Connection, now: datetime) -> Iterator[Sign]:
        return expiring_signs(expiring.credentials(connection, now, self.thresholds.credential_days))

    def _paused(self, since: datetime, now: datetime) -> Iterator[Sign]:
        """One thing, instead of all that stands still: a pause that nobody ends is an outage."""
        limit = self.thresholds.wait_seconds
        if limit and now - since > timedelta(seconds=limit):
            yield Sign(
                AlertRule.WAIT,
                WaitReason.RESTORED.value,
                f"{PAUSED[0].upper()}{PAUSED[1:]}. It has been so for {length_of(now - since)}",
                figures={"since": since.isoformat()},
            )

    def _failures(self, connection: Connection, names: Mapping[UUID, str], now: datetime) -> Iterator[Sign]:
        """Failures and timeouts within the window."""
        ended = alerting.ended(connection, now - self.pace.window)
        told = alerting.triggers(connection, {row.trigger_id for row in ended if row.failed})
        return failure_signs(ended, told, names, self.thresholds, self.pace.window)

    def _waits(self, look: Look, now: datetime) -> Iterator[Sign]:
        """What waits for long, and whether nobody starts it.

        Looked at is everything that waits for as long as any trigger may say is long.
        """
        short = timedelta(seconds=1)
        waits = long_waits(self.waiting, look.connection, lambda _, since: now - since > short)
        ids = {wait.trigger_id for wait in waits if wait.trigger_id is not None}
        told = alerting.triggers(look.connection, ids)
        free = _free_for_long(waits, now)
        if still := self._still_free(free, incidents.live(look.connection), now):
            look.stuck.append(f"nobody starts what waits for {length_of(now - still[0].since)}")
        yield from self._wait_signs(waits, told, now)
        yield from _remembered(free)

    def _wait_signs(
        self, waits: list[LongWait], told: Mapping[UUID, Row[Any]], now: datetime
    ) -> Iterator[Sign]:
        """One sign a reason: a thousand triggers that wait for a slot have one thing wrong in common."""
        by_reason: dict[str, list[tuple[LongWait, bool]]] = {}
        for wait in waits:
            own = alerts_of(told.get(wait.trigger_id) if wait.trigger_id is not None else None)
            limit = own.wait_seconds or self.thresholds.wait_seconds
            waited = (now - wait.since).total_seconds()
            if own.enabled and limit and waited > limit / 2:
                by_reason.setdefault(wait.waits_for, []).append((wait, waited > limit))
        for reason, found in by_reason.items():
            first = found[0][0]
            names = list(dict.fromkeys(wait.trigger for wait, _ in found))
            whose = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if names[NAMED:] else "")
            waits_for = "the dispatcher" if reason == DISPATCH else reason
            yield Sign(
                AlertRule.WAIT,
                reason,
                f"Executions of {whose} wait for {waits_for}, the first for {length_of(now - first.since)}: "
                f"{first.detail}",
                is_over=any(is_over for _, is_over in found),
                figures={"since": first.since.isoformat(), "triggers": names[:50]},
            )

    def _utilization(self, connection: Connection) -> Iterator[Sign]:
        most, limit = quotas.in_force(connection, self.defaults), self.thresholds.utilization_percent
        if not limit or not most.enabled:
            return
        usage = slots.usage(connection)
        for what in ("executions", "agents", "workspaces"):
            used, quota = getattr(usage, what), getattr(most, what)
            percent = 100 * used / quota if quota else 0.0
            if percent > limit - 10:
                yield Sign(
                    AlertRule.UTILIZATION,
                    what,
                    f"{used} of {counted(quota, what.removesuffix('s'))} in use "
                    f"({percent:.0f} %); `dct quota set {what}` raises the quota",
                    is_over=percent > limit,
                    figures={"used": used, "quota": quota, "percent": round(percent, 1)},
                )

    def _metrics(self, connection: Connection, now: datetime) -> Iterator[Sign]:
        limit = self.thresholds.metrics_hours
        if self.watches_metrics and limit:
            yield from stale_signs(connection, limit, now)

    def _still_free(
        self, free: Sequence[LongWait], live: Sequence[Incident], now: datetime
    ) -> list[LongWait]:
        """What could start at the look before already, and waits still."""
        for before in live:
            if (before.rule, before.subject) == (AlertRule.WAIT, HANDOVER):
                is_recent = now - before.last_seen_at <= UNWATCHED
                has_lasted = now - before.first_seen_at >= self.pace.second_look
                marks = before.figures["waits"] if is_recent and has_lasted else ()
                return [wait for wait in free if _mark(wait) in marks]
        return []


def _free_for_long(waits: Sequence[LongWait], now: datetime) -> list[LongWait]:
    """What waits for long and could start now. Until a moment ago it may have been held back."""
    stuck = timedelta(seconds=STUCK_SECONDS)
    return [wait for wait in waits if wait.waits_for == DISPATCH and now - wait.since > stuck][:REMEMBERED]


def _remembered(free: Sequence[LongWait]) -> Iterator[Sign]:
    """What the next look has to know of this one."""
    if free:
        figures = {"waits": [_mark(wait) for wait in free]}
        yield Sign(AlertRule.WAIT, HANDOVER, "could start", is_told=False, figures=figures)


def _mark(wait: LongWait) -> str:
    return f"{wait.trigger_id} {wait.since.isoformat()}"
