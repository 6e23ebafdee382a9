"""What a condition plug-in is: one frozen constant `CONDITION` of pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from dct_pipelines.domain.event import Event
from dct_pipelines.domain.facts import Fact
from dct_pipelines.domain.snapshot import Snapshot
from dct_pipelines.domain.verdict import Verdict
from dct_pipelines.domain.words import ItemKind


class ConditionConfig(BaseModel):
    """Base of every condition's configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")


C = TypeVar("C", bound=ConditionConfig)


@dataclass(frozen=True)
class AssessmentAsk:
    """What a condition needs a listener to derive: how branches like `branch_glob` stand towards a target.

    `target_branch` None is the repository's default branch; `quiet_seconds` asks for an assessment
    again once a head has been quiet for so long.
    """

    branch_glob: str
    target_branch: str | None
    quiet_seconds: int = 0


F = TypeVar("F", bound=Fact)


def expect(fact: Fact, kind: type[F]) -> F:
    """The payload or state as what a condition is only ever called with; anything else is our own fault."""
    if not isinstance(fact, kind):
        raise TypeError(f"a condition that knows {kind.__name__} was given {type(fact).__name__}")
    return fact


def _asks_nothing(_config: Any) -> tuple[AssessmentAsk, ...]:
    return ()


def _once_per_event(_config: Any, _event: Event) -> str | None:
    return None


Finder = Callable[[Event], Iterable[int]]
"""The places, among the configurations it was made for, of those that may fire on an event."""


def _finds_all(configs: Sequence[Any]) -> Finder:
    everywhere = range(len(configs))
    return lambda _event: everywhere


@dataclass(frozen=True)
class ConditionType(Generic[C]):
    """A condition type: its configuration and its pure rules.

    `rules_version` grows with every change of meaning: an explanation compares it with the one that
    decided. `test` looks at an event and is only called with `event_kinds`; `is_true` looks at a
    subject's snapshot (for `all`), only with `state_kinds`, and gets the time to judge it at.
    `once_key`, when not None, names what the condition may fire for only once per trigger (a head).
    `example` is a valid configuration, shown in the docs and used by tests.

    `finder` lets very many triggers be decided without testing each: made once for many configurations, it
    may leave out of its answer only those that `test` would not fire for. Every event kind of the type may
    come.
    """

    kind: str
    summary: str
    config: type[C]
    item_kinds: frozenset[ItemKind]
    event_kinds: frozenset[str]
    state_kinds: frozenset[str]
    test: Callable[[C, Event], Verdict]
    is_true: Callable[[C, Snapshot, datetime], Verdict]
    example: Mapping[str, Any]
    rules_version: int = 1
    once_key: Callable[[C, Event], str | None] = field(default=_once_per_event)
    asks: Callable[[C], tuple[AssessmentAsk, ...]] = field(default=_asks_nothing)
    finder: Callable[[Sequence[C]], Finder] = field(default=_finds_all)
