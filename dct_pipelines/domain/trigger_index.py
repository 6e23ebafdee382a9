"""Finds, among very many triggers, those that an event could match, and decides them.

A trigger that does not match costs nothing: equal conditions are tested once for all triggers that have
them, and those that its type's `finder` leaves out are not tested at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

from dct_pipelines.domain.compiled import CompiledCondition, CompiledTrigger
from dct_pipelines.domain.condition import AssessmentAsk, ConditionType, Finder
from dct_pipelines.domain.decision import Ruling
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.ruling import MAX_CHAIN_DEPTH, SnapshotView, rule
from dct_pipelines.domain.verdict import Verdict
from dct_pipelines.domain.words import DecisionOutcome


@dataclass
class _Group:
    """Equal conditions and the triggers (by their place in the order) that have them."""

    condition: CompiledCondition
    triggers: list[int] = field(default_factory=list)


@dataclass
class _Shelf:
    """The conditions of one type that watch one item, equal ones once."""

    type: ConditionType[Any]
    groups: dict[tuple[str, str], _Group] = field(default_factory=dict)

    def add(self, condition: CompiledCondition, trigger: int) -> None:
        self.groups.setdefault(condition.key, _Group(condition)).triggers.append(trigger)

    def candidates(self, event: Event) -> Iterator[_Group]:
        groups, find = self._found
        return (groups[place] for place in find(event))

    @cached_property
    def _found(self) -> tuple[tuple[_Group, ...], Finder]:
        groups = tuple(self.groups.values())
        return groups, self.type.finder([group.condition.config for group in groups])


class TriggerIndex:
    """The trigger versions in force at one moment. Triggers are decided in the order they were given."""

    def __init__(self, triggers: Iterable[CompiledTrigger]) -> None:
        self.triggers = tuple(triggers)
        self._shelves: dict[UUID, dict[str, _Shelf]] = {}
        self._watching: dict[UUID, list[int]] = {}
        for place, trigger in enumerate(self.triggers):
            for item_id in dict.fromkeys(trigger.version.item_ids):
                self._watching.setdefault(item_id, []).append(place)
                for condition in trigger.conditions:
                    self._put(item_id, condition, place)

    def _put(self, item_id: UUID, condition: CompiledCondition, place: int) -> None:
        shelves = self._shelves.setdefault(item_id, {})
        shelves.setdefault(condition.type.kind, _Shelf(condition.type)).add(condition, place)

    def watching(self, item_id: UUID) -> tuple[CompiledTrigger, ...]:
        """Every trigger that watches the item."""
        return tuple(self.triggers[place] for place in self._watching.get(item_id, ()))

    def decide(
        self, event: Event, view: SnapshotView, *, max_chain_depth: int = MAX_CHAIN_DEPTH
    ) -> list[tuple[CompiledTrigger, Ruling]]:
        """The triggers that matched and their rulings (`fired` or `ignored`); the others said a plain no."""
        verdicts: dict[tuple[str, str], Verdict] = {}
        matched: set[int] = set()
        shelves = self._shelves.get(event.item_id, {}).values()
        for shelf in (shelf for shelf in shelves if event.kind in shelf.type.event_kinds):
            for group in shelf.candidates(event):
                verdict = verdicts[group.condition.key] = group.condition.test(event)
                if verdict.fired:
                    matched.update(group.triggers)

        def remembered(condition: CompiledCondition, event: Event) -> Verdict:
            if condition.key not in verdicts:
                verdicts[condition.key] = condition.test(event)
            return verdicts[condition.key]

        rulings = (
            (trigger, rule(event, trigger, view, max_chain_depth=max_chain_depth, test=remembered))
            for trigger in (self.triggers[place] for place in sorted(matched))
        )
        return [entry for entry in rulings if entry[1].outcome is not DecisionOutcome.NOT_MATCHED]

    def asks_for(self, item_id: UUID) -> tuple[AssessmentAsk, ...]:
        """What the active triggers that watch the item need derived, each once, in a stable order."""
        asks = {ask for trigger in self.watching(item_id) for ask in trigger.asks}
        return tuple(sorted(asks, key=_ask_order))


def _ask_order(ask: AssessmentAsk) -> tuple[str, str, int]:
    return (ask.branch_glob, ask.target_branch or "", ask.quiet_seconds)


def digest_of_asks(asks: Iterable[AssessmentAsk]) -> str:
    """Changes when the asks change, whatever their order; the same in every process."""
    listed = sorted({(ask.branch_glob, ask.target_branch, ask.quiet_seconds) for ask in asks}, key=repr)
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()
