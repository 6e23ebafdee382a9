"""A trigger as it is defined: which items, which conditions, which actions, within which limits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from dct_pipelines.domain.words import Coalesce, Match, TriggerStatus, TriggerType

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
"""How manifests, the CLI and URLs name a thing: lower-case letters, digits, `-` and `_`."""
DEFAULT_TIMEOUT_SECONDS = 3600
HOUR_MS = 3_600_000


class Definition(BaseModel):
    """Base of what people write: strict and frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ConditionSpec(Definition):
    """One condition of a trigger; `config` is validated by its type's own model."""

    type: str
    config: dict[str, Any] = Field(default_factory=dict)


class ActionSpec(Definition):
    """One action of a trigger. `name` defaults to the type (numbered when it repeats); templates use it."""

    type: str
    name: Name | None = None
    config: dict[str, Any] = Field(default_factory=dict)


def step_names_of(actions: Iterable[ActionSpec]) -> tuple[str, ...]:
    """The name of each action: its own, or its type, numbered from the second on."""
    seen: dict[str, int] = {}
    names = []
    for action in actions:
        base = action.name or action.type
        seen[base] = seen.get(base, 0) + 1
        names.append(base if seen[base] == 1 else f"{base}_{seen[base]}")
    return tuple(names)


class RetryPolicy(Definition):
    """How often an execution tries again by itself after a passing failure or a lost run."""

    max_attempts: int = Field(default=5, ge=1, le=100)
    backoff_seconds: float = Field(default=5, ge=0, le=3600)


class ResourceLimits(Definition):
    """Limits of one trigger; None is no limit of its own."""

    min_trigger_interval_ms: int | None = Field(default=None, ge=0)
    max_concurrent_executions: int | None = Field(default=None, ge=1)
    max_concurrent_per_item: int = Field(default=1, ge=1)
    """At the same time for one subject (a branch, a ticket). 1 keeps the provider's order."""
    max_executions_per_hour: int | None = Field(default=None, ge=1)
    max_executions_per_day: int | None = Field(default=None, ge=1)
    debounce_ms: int | None = Field(default=None, ge=1, le=HOUR_MS)
    """A firing waits until the last one for its subject is so long ago."""
    coalesce: Coalesce = Coalesce.ALL
    timeout_seconds: int = Field(default=DEFAULT_TIMEOUT_SECONDS, ge=1, le=7 * 24 * 3600)
    retry: RetryPolicy = RetryPolicy()

    @property
    def has_rate(self) -> bool:
        """Whether how often it started lately matters."""
        rates = (self.min_trigger_interval_ms, self.max_executions_per_hour, self.max_executions_per_day)
        return any(rate is not None for rate in rates)


class AlertChannel(Definition):
    """Where a trigger's trouble is told too; without `to` every receiver that the channel names."""

    channel: Name
    to: tuple[str, ...] = Field(default=(), max_length=20)


class TriggerAlerts(Definition):
    """When people are told of this trigger's trouble; None is what holds for the whole deployment."""

    enabled: bool = True
    """False: neither failures nor timeouts nor waits of it are told."""
    failure_percent: float | None = Field(default=None, gt=0, le=100)
    failure_minimum: int | None = Field(default=None, ge=1)
    """So many executions must have ended within the window of alerts, five minutes mostly."""
    timeouts: int | None = Field(default=None, ge=1)
    """So many of them ran longer than they may."""
    wait_seconds: float | None = Field(default=None, gt=0)
    channels: tuple[AlertChannel, ...] = Field(default=(), max_length=20)
    """Who is told of its failures and timeouts, besides those who are told of everything."""

    @property
    def destinations(self) -> tuple[str, ...]:
        """These channels as alerts name them: `name`, or `name:receiver` for each."""
        return tuple(
            name
            for one in self.channels
            for name in ([f"{one.channel}:{to}" for to in one.to] or [one.channel])
        )


class TriggerSpec(Definition):
    """The versioned part of a trigger: everything that decides what it does."""

    name: Name
    description: str = ""
    type: TriggerType = TriggerType.DEVELOPMENT
    priority: int = Field(default=5, ge=1, le=10)
    items: tuple[Name, ...] = Field(min_length=1)
    match: Match = Match.ANY
    conditions: tuple[ConditionSpec, ...] = Field(min_length=1)
    actions: tuple[ActionSpec, ...] = Field(min_length=1, max_length=20)
    limits: ResourceLimits = ResourceLimits()
    alerts: TriggerAlerts = TriggerAlerts()
    on_own_writes: bool = False
    deliverables: tuple[str, ...] = ()
    """What must exist at the end, as `<step>.<output>`, e.g. `create_workspace.path`."""

    @property
    def step_names(self) -> tuple[str, ...]:
        """The name of each action (`step_names_of`)."""
        return step_names_of(self.actions)

    @property
    def shape(self) -> tuple[str, ...]:
        """The ordered types of its actions: each shape is one Dagster job."""
        return tuple(action.type for action in self.actions)


class TriggerVersion(BaseModel):
    """A trigger as it was in force for the events with `from_seq <= seq < to_seq`.

    `active_since` is when the trigger last became active: nothing that happened before fires it.
    """

    model_config = ConfigDict(frozen=True)

    trigger_id: UUID
    version: int
    status: TriggerStatus
    spec: TriggerSpec
    item_ids: tuple[UUID, ...]
    from_seq: int
    to_seq: int | None = None
    active_since: datetime
