"""Incidents: what is out of order, since when, and when somebody has to hear of it.

Each minute, or as often as the settings say, the rules look at the deployment. What one of them sees of one
subject is a sign; a sign opens an incident, keeps it, and when it stays away, resolves it. Both take a while
where it would flap otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import Field

from dct_pipelines.domain.facts import Fact

UNWATCHED = timedelta(minutes=5)
"""After so long without a look what was suspected before counts no more."""
LEFT_ALONE = timedelta(minutes=10)
"""So long after somebody resolved an incident by hand it stays so: its cause is in the window yet."""
ITSELF = "the rule itself"
"""Subject of the incident that a rule cannot be looked at; the space keeps it apart from all names."""
ALERT_ASSETS = ("dct", "alerts")
"""What the keys of the assets begin with that stand for what rules look at; a rule's name follows."""


class AlertRule(StrEnum):
    """What is looked at."""

    FAILURE_RATE = "failure_rate"
    """Too many of a trigger's executions fail."""
    WAIT = "wait"
    """Executions wait for long, for a reason that nobody chose."""
    UTILIZATION = "utilization"
    """A quota is nearly used up, for minutes."""
    CONNECTION = "connection"
    """A connection is down or told to wait for ever, an item cannot be read, or its credential ends soon."""
    TIMEOUT = "timeout"
    """Executions of a trigger ran longer than they may."""
    LISTENER = "listener"
    """A connection is due for long, and nobody reads it."""
    METRICS = "metrics"
    """Metrics are on and were not computed for hours, or maintenance was not done for days."""


class IncidentState(StrEnum):
    """`suspected` is not an incident yet: it has not lasted long enough, and nobody is told."""

    SUSPECTED = "suspected"
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class Timing:
    """How long a sign has to last before its incident opens, and to be gone before that is resolved."""

    opens_after: timedelta
    settles_after: timedelta


@dataclass(frozen=True)
class Pace:
    """How often the rules look, how far back, and how long what they see has to last."""

    interval: timedelta = timedelta(minutes=1)
    """From one look to the next."""
    window: timedelta = timedelta(minutes=5)
    """How far back failures and timeouts are counted."""
    settles_after: timedelta = timedelta(minutes=2)
    """A sign has to be gone for so long, unless its rule says otherwise."""
    utilization_lasts: timedelta = timedelta(minutes=5)
    """Agents and runs may well be all in use for a minute."""
    metrics_last: timedelta = timedelta(minutes=75)
    """A machine that was off for hours has more than an hour, in which the schedule of metrics comes by."""

    @property
    def second_look(self) -> timedelta:
        """What is still so after it was seen by two looks, also when the second is a little early.

        A machine that was off for hours finds all connections overdue, and what was held back until a moment
        ago has waited for long: neither is so at the second look.
        """
        return self.interval * 0.75

    def of(self, rule: AlertRule, subject: str = "") -> Timing:
        """The timing of a rule; that it cannot be looked at may pass by itself, too."""
        if subject == ITSELF:
            return Timing(self.second_look, self.settles_after)
        match rule:
            case AlertRule.WAIT | AlertRule.LISTENER:
                return Timing(self.second_look, self.settles_after)
            case AlertRule.UTILIZATION:
                return Timing(self.utilization_lasts, self.utilization_lasts)
            case AlertRule.METRICS:
                return Timing(self.metrics_last, timedelta(0))
            case _:
                return Timing(timedelta(0), self.settles_after)


@dataclass(frozen=True)
class Thresholds:
    """From what on a sign is one. 0 switches a rule off."""

    failure_percent: float = 10
    failure_minimum: int = 10
    """So many executions must have ended before a share of them says anything."""
    wait_seconds: float = 300
    utilization_percent: float = 90
    timeouts: int = 1
    listener_seconds: float = 300
    metrics_hours: float = 3
    credential_days: float = 14
    """So long before its end the credential of a connection is an incident of the rule `connection`."""


@dataclass(frozen=True)
class Sign:
    """What a rule sees of one subject. `is_over` False: it would open nothing, but an open incident stays.

    `is_told` False: it never opens anything, and is remembered only until the next look.
    `group` is what incidents of one cause have in common, the connection mostly; empty: nothing. `channels`
    are told of its incident besides those who are told of everything.
    """

    rule: AlertRule
    subject: str
    text: str
    is_over: bool = True
    is_told: bool = True
    group: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    channels: tuple[str, ...] = ()


class Incident(Fact):
    """An incident as it is stored. `well_since`: since when its sign is gone, though it is not resolved yet.

    `resolved_by` None: it ended by itself.
    """

    id: UUID
    rule: AlertRule
    subject: str
    state: IncidentState
    group: str = ""
    text: str
    figures: dict[str, Any] = Field(default_factory=dict)
    first_seen_at: datetime
    last_seen_at: datetime
    well_since: datetime | None = None
    opened_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None


class Step(StrEnum):
    """What becomes of a subject at one evaluation."""

    NOTHING = "nothing"
    SUSPECT = "suspect"
    OPEN = "open"
    KEEP = "keep"
    CALM = "calm"
    """Its sign is gone; if it stays so, the incident is resolved later."""
    RESOLVE = "resolve"
    FORGET = "forget"
    """It was suspected only."""


def judge(timing: Timing, sign: Sign | None, live: Incident | None, now: datetime) -> Step:
    """What becomes of a subject, by what is seen of it now and the incident that it has, if any."""
    if live is None or live.state is IncidentState.SUSPECTED:
        return _before_it_opens(timing, sign, live, now)
    if sign is not None:
        return Step.KEEP
    if timing.settles_after <= timedelta(0):
        return Step.RESOLVE
    if live.well_since is None:
        return Step.CALM
    return Step.RESOLVE if now - live.well_since >= timing.settles_after else Step.NOTHING


def _before_it_opens(timing: Timing, sign: Sign | None, suspected: Incident | None, now: datetime) -> Step:
    if sign is None or not sign.is_over:
        return Step.FORGET if suspected is not None else Step.NOTHING
    if sign.is_told and timing.opens_after <= timedelta(0):
        return Step.OPEN
    if suspected is None or now - suspected.last_seen_at > UNWATCHED:
        return Step.SUSPECT
    has_lasted = now - suspected.first_seen_at >= timing.opens_after
    return Step.OPEN if has_lasted and sign.is_told else Step.KEEP
