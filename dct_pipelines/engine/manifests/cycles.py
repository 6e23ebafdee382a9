"""Triggers that would fire each other for ever by what they write.

An edge leads from A to B when an action of A moves a branch of a repository that B watches, B has
`on_own_writes: true`, and a condition of B could fire on that branch. So only triggers with `on_own_writes`
can be part of a cycle. What is a template could be any branch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dct_pipelines import registry
from dct_pipelines.domain.matching import glob_matches
from dct_pipelines.domain.template import is_template
from dct_pipelines.domain.trigger import ActionSpec, ConditionSpec, TriggerSpec
from dct_pipelines.domain.words import Kind
from dct_pipelines.engine.manifests.world import World

BRANCH_EVENTS = frozenset({"branch_created", "head_moved", "force_pushed", "branch_assessed"})


@dataclass(frozen=True)
class Move:
    """A branch that an action moves; None is any: a template, or the repository of the event."""

    repository: str | None
    branch: str | None


def cycles(world: World) -> list[tuple[str, ...]]:
    """Every group of triggers that fire each other in a circle: the names along it; `("a",)` fires itself."""
    eager: Mapping[str, TriggerSpec] = {
        name: spec for name, spec in world.definitions.get(Kind.TRIGGER, {}).items() if spec.on_own_writes
    }
    edges = {
        name: [
            other
            for other, spec in eager.items()
            if _could_fire(list(moves(eager[name], world)), eager[name], spec)
        ]
        for name in eager
    }
    found: dict[frozenset[str], tuple[str, ...]] = {}
    for start in edges:
        if circle := _way_back(start, edges):
            found.setdefault(frozenset(circle), circle)
    return list(found.values())


def moves(spec: TriggerSpec, world: World) -> Iterator[Move]:
    """The branches that a trigger's actions move."""
    for action in spec.actions:
        yield from _moved_by(action, world)


def _moved_by(action: ActionSpec, world: World) -> Iterator[Move]:
    config = action.config
    if action.type == "merge_branches":
        yield Move(_fixed(config.get("repository")), _fixed(config.get("target")))
    elif action.type == "deploy_environment" and config.get("merge") is not None:
        environment = world.find(Kind.ENVIRONMENT, str(config.get("environment")))
        if environment is not None:
            yield Move(environment.repository, environment.branch)
        else:
            yield Move(None, None)


def _fixed(value: Any) -> str | None:
    return value if isinstance(value, str) and value and not is_template(value) else None


def _could_fire(moved: list[Move], mover: TriggerSpec, watcher: TriggerSpec) -> bool:
    for move in moved:
        repositories = {move.repository} if move.repository else set(mover.items)
        if repositories & set(watcher.items) and any(
            _could_match(condition, move.branch) for condition in watcher.conditions
        ):
            return True
    return False


def _could_match(condition: ConditionSpec, branch: str | None) -> bool:
    kind = registry.conditions().get(condition.type)
    if kind is None or not kind.event_kinds & BRANCH_EVENTS:
        return False
    wanted = condition.config.get("branch")
    return branch is None or not isinstance(wanted, str) or glob_matches(wanted, branch)


def _way_back(start: str, edges: Mapping[str, list[str]]) -> tuple[str, ...] | None:
    """The shortest way from `start` to itself, breadth first."""
    came_from: dict[str, str] = {}
    queue = [start]
    for here in queue:
        for following in edges[here]:
            if following == start:
                way = [here]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                return tuple(reversed(way))
            if following not in came_from:
                came_from[following] = here
                queue.append(following)
    return None
