"""What is wrong with a trigger: each condition, action, template, reference and deliverable is looked at.

Works on the document, not on the model: a trigger whose priority is wrong has its actions checked as well.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dct_pipelines import registry
from dct_pipelines.domain import template
from dct_pipelines.domain.action import ActionType
from dct_pipelines.domain.condition import ConditionType
from dct_pipelines.domain.manifest import ItemSpec
from dct_pipelines.domain.scope import known_names
from dct_pipelines.domain.words import Kind
from dct_pipelines.engine.manifests.faults import Fault, Path
from dct_pipelines.engine.manifests.later import comes_later
from dct_pipelines.engine.manifests.models import hint, validated
from dct_pipelines.engine.manifests.references import DEPLOY_REFERS, REFERS, broken
from dct_pipelines.engine.manifests.source import Document
from dct_pipelines.engine.manifests.world import World


@dataclass
class _Steps:
    """Names and outputs of the actions so far; None: not known, because its type is not."""

    outputs: dict[str, frozenset[str] | None] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    def name_of(self, entry: Mapping[str, Any]) -> str:
        """The step's name, as `TriggerSpec.step_names` gives it."""
        base = str(entry.get("name") or entry.get("type"))
        self.seen[base] = self.seen.get(base, 0) + 1
        return base if self.seen[base] == 1 else f"{base}_{self.seen[base]}"


def faults_of(document: Document, world: World) -> Iterator[Fault]:
    """Everything that is wrong with the trigger of the document, except what its model says itself."""
    data = document.data
    told = {key: data[key] for key in ("items", "alerts") if key in data}
    yield from broken(document, told, (), world)
    event_kinds = yield from _conditions(document, _entries(data, "conditions"), _items(data, world))
    steps = _Steps()
    for index, entry in _entries(data, "actions"):
        yield from _action(document, index, entry, steps, event_kinds, world)
    yield from _deliverables(document, steps)


def _entries(data: Mapping[str, Any], key: str) -> list[tuple[int, Mapping[str, Any]]]:
    listed = data.get(key)
    if not isinstance(listed, list):
        return []
    return [
        (index, entry)
        for index, entry in enumerate(listed)
        if isinstance(entry, Mapping) and isinstance(entry.get("type"), str)
    ]


def _items(data: Mapping[str, Any], world: World) -> dict[str, ItemSpec]:
    """The watched items that are known."""
    names = data.get("items")
    found = {
        name: world.find(Kind.ITEM, name)
        for name in (names if isinstance(names, list) else ())
        if isinstance(name, str)
    }
    return {name: item for name, item in found.items() if item is not None}


def _conditions(
    document: Document, entries: list[tuple[int, Mapping[str, Any]]], items: dict[str, ItemSpec]
) -> Generator[Fault, None, frozenset[str] | None]:
    """Yields faults; returns the kinds of events that can fire the trigger, None when that is not known."""
    types: list[tuple[int, ConditionType[Any]]] = []
    for index, entry in entries:
        path: Path = ("conditions", index)
        condition = registry.conditions().get(entry["type"])
        if condition is None:
            known = hint(entry["type"], registry.conditions())
            yield document.fault((*path, "type"), f"there is no condition {entry['type']!r}; {known}")
            continue
        types.append((index, condition))
        yield from validated(document, (*path, "config"), condition.config, entry.get("config", {}))[1]
    yield from _fitting(document, types, items)
    if len(types) < len(entries) or not types:
        return None
    return frozenset(kind for _, condition in types for kind in condition.event_kinds)


def _fitting(
    document: Document, types: list[tuple[int, ConditionType[Any]]], items: dict[str, ItemSpec]
) -> Iterator[Fault]:
    """Each condition must be able to look at an item; with `all`, at every one."""
    needs_all = document.data.get("match") == "all"
    for index, condition in types:
        unfit = [item for item in items.values() if item.type not in condition.item_kinds]
        if unfit and (needs_all or len(unfit) == len(items)):
            fitting = ", ".join(
                kind for kind, other in registry.conditions().items() if unfit[0].type in other.item_kinds
            )
            yield document.fault(
                ("conditions", index, "type"),
                f"{condition.kind} cannot look at {unfit[0].name!r}, which is a {unfit[0].type}; "
                f"it looks at {', '.join(sorted(condition.item_kinds))}. For a {unfit[0].type}: {fitting}",
            )
    places = document.data.get("items")
    for item in items.values():
        if types and all(item.type not in condition.item_kinds for _, condition in types) and len(items) > 1:
            place: Path = ("items", places.index(item.name)) if isinstance(places, list) else ("items",)
            yield document.fault(place, f"no condition of this trigger looks at a {item.type}")


def _action(
    document: Document,
    index: int,
    entry: Mapping[str, Any],
    steps: _Steps,
    event_kinds: frozenset[str] | None,
    world: World,
) -> Iterator[Fault]:
    path: Path = ("actions", index)
    kind, config = entry["type"], entry.get("config", {})
    name = steps.name_of(entry)
    action: ActionType[Any] | None = registry.actions().get(kind)
    if name in steps.places:
        yield document.fault(
            path, f"the name {name!r} is taken by actions[{steps.places[name]}]; name it anew"
        )
    if action is None:
        known = hint(kind, registry.actions())
        yield document.fault((*path, "type"), f"there is no action {kind!r}; {known}")
    else:
        model, faults = validated(document, (*path, "config"), action.config, config)
        yield from faults
        if model is not None and action.agents(model) > 0:
            yield document.fault((*path, "config"), comes_later("work by agents"))
        refers = DEPLOY_REFERS if kind == "deploy_environment" else REFERS
        yield from broken(document, config, (*path, "config"), world, refers)
        yield from _templates(document, (*path, "config"), config, steps, event_kinds)
    steps.places[name] = index
    steps.outputs[name] = action.outputs if action is not None else None


def _templates(
    document: Document, path: Path, config: Any, steps: _Steps, event_kinds: frozenset[str] | None
) -> Iterator[Fault]:
    names = dict(known_names({name: outputs or () for name, outputs in steps.outputs.items()}, event_kinds))
    unknown = {name: None for name, outputs in steps.outputs.items() if outputs is None}
    names["steps"] = {**names["steps"], **unknown}
    for below, fault in template.check_config(config, names):
        yield document.fault((*path, *below), fault)


def _deliverables(document: Document, steps: _Steps) -> Iterator[Fault]:
    listed = document.data.get("deliverables", [])
    for index, text in enumerate(listed if isinstance(listed, list) else ()):
        step, dot, output = str(text).partition(".")
        place: Path = ("deliverables", index)
        if not dot:
            yield document.fault(place, f"{text!r} is not of the form <step>.<output>")
        elif step not in steps.outputs:
            yield document.fault(place, f"there is no step {step!r}; {hint(step, steps.outputs)}")
        elif (outputs := steps.outputs[step]) is not None and output not in outputs:
            yield document.fault(place, f"{step} has no output {output!r}; {hint(output, outputs)}")
