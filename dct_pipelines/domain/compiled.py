"""A trigger version made ready to be decided on: configurations parsed once, not at every event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from dct_pipelines.domain.condition import AssessmentAsk, ConditionConfig, ConditionType
from dct_pipelines.domain.errors import InvalidInput
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.snapshot import Snapshot
from dct_pipelines.domain.trigger import ConditionSpec, TriggerVersion
from dct_pipelines.domain.verdict import Verdict
from dct_pipelines.domain.words import TriggerStatus

ConditionTypes = Mapping[str, ConditionType[Any]]


@dataclass(frozen=True, eq=False)
class CompiledCondition:
    """One condition of a trigger. Equal `key`s give equal verdicts, whichever trigger they stand in."""

    index: int
    type: ConditionType[Any]
    config: ConditionConfig

    @cached_property
    def key(self) -> tuple[str, str]:
        """Kind and configuration, as text."""
        return (self.type.kind, self.config.model_dump_json())

    def knows(self, event: Event) -> bool:
        """Whether it can be tested on this kind of event."""
        return event.kind in self.type.event_kinds

    def test(self, event: Event) -> Verdict:
        """What it says of an event that it knows."""
        return self.type.test(self.config, event)

    def is_true(self, snapshot: Snapshot, at: datetime) -> Verdict:
        """What it says of a state that it knows."""
        return self.type.is_true(self.config, snapshot, at)

    def once_key(self, event: Event) -> str | None:
        """What it may fire for only once, or None."""
        return self.type.once_key(self.config, event)


@dataclass(frozen=True, eq=False)
class CompiledTrigger:
    """A trigger version, its parsed conditions, and the kinds of events that it could match."""

    version: TriggerVersion
    conditions: tuple[CompiledCondition, ...]
    event_kinds: frozenset[str]

    @property
    def trigger_id(self) -> UUID:
        """The trigger's id."""
        return self.version.trigger_id

    @property
    def asks(self) -> tuple[AssessmentAsk, ...]:
        """What listeners have to derive for it: nothing unless it is active."""
        if self.version.status is not TriggerStatus.ACTIVE:
            return ()
        return tuple(ask for condition in self.conditions for ask in condition.type.asks(condition.config))


def parse_condition(spec: ConditionSpec, types: ConditionTypes, index: int = 0) -> CompiledCondition:
    """The condition with its configuration validated, or `InvalidInput` with every fault in it."""
    found = types.get(spec.type)
    if found is None:
        raise InvalidInput(f"there is no condition {spec.type!r}; known: {', '.join(sorted(types))}")
    try:
        config = found.config.model_validate(spec.config)
    except ValidationError as error:
        faults = (
            f"{'.'.join(map(str, fault['loc'])) or spec.type}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors(include_url=False)
        )
        raise InvalidInput(f"condition {index + 1} ({spec.type}): {'; '.join(faults)}") from error
    return CompiledCondition(index=index, type=found, config=config)


def compile_trigger(version: TriggerVersion, types: ConditionTypes) -> CompiledTrigger:
    """Parse every condition of a version; `InvalidInput` when one is not (or no longer) valid."""
    conditions = tuple(
        parse_condition(spec, types, index) for index, spec in enumerate(version.spec.conditions)
    )
    kinds = frozenset(kind for condition in conditions for kind in condition.type.event_kinds)
    return CompiledTrigger(version=version, conditions=conditions, event_kinds=kinds)
