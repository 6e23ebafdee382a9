"""Levers (`instance/levers.py`) for what Dagster's engine asks in each run and each step, again and again, of
definitions that never change: it is found out once.
"""

from __future__ import annotations

import logging
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache, lru_cache
from inspect import Parameter
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary

from dagster import DagsterEvent, DagsterEventType, JobDefinition, get_dagster_logger
from dagster._config.pythonic_config import IAttachDifferentObjectToOpContext
from dagster._core import decorator_utils, log_manager
from dagster._core.definitions import resource_annotation
from dagster._core.definitions.decorators import op_decorator
from dagster._core.definitions.dependency import Node, NodeHandle
from dagster._core.definitions.scoped_resources_builder import Resources, ScopedResourcesBuilder
from dagster._core.execution import context_creation_job, resources_init
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.instance.methods.event_methods import EventMethods

from dct_pipelines.instance.seams import Undo, replace, together

KEPT = 1000


def event_types_by_value() -> Undo:
    """An event's type is looked up by its value, for which an enumeration takes some twenty times as long."""
    types = {one.value: one for one in DagsterEventType}

    def event_type(self: DagsterEvent) -> DagsterEventType:
        return types.get(self.event_type_value) or DagsterEventType(self.event_type_value)

    return replace(DagsterEvent, "event_type", property(event_type))


def signatures_once() -> Undo:
    """Which parameters a step's function has is found out once, not some twenty times a run."""
    stock = decorator_utils.get_function_params

    found: WeakKeyDictionary[Callable[..., Any], Sequence[Parameter]] = WeakKeyDictionary()

    def get_function_params(function: Callable[..., Any]) -> Sequence[Parameter]:
        if not isinstance(function, FunctionType):
            return stock(function)
        if function not in found:
            found[function] = tuple(stock(function))
        return found[function]

    places = (resource_annotation, op_decorator)
    return together(*(replace(place, "get_function_params", get_function_params) for place in places))


def resource_types_once() -> Undo:
    """The type that holds a step's resources is made once for its names, not anew for each step."""
    stock = ScopedResourcesBuilder.build

    @lru_cache(maxsize=KEPT)
    def made(names: tuple[str, ...]) -> Callable[..., Any]:
        given = namedtuple("_ScopedResources", names)  # type: ignore[misc]  # names known at run time only
        return type("_ScopedResources", (given, Resources), {"original_resource_dict": None})

    def build(self: ScopedResourcesBuilder, required_resource_keys: AbstractSet[str] | None) -> Resources:
        if self.contains_generator:
            return stock(self, required_resource_keys)
        there = self.resource_instance_dict
        held = {key: there[key] for key in required_resource_keys or () if key in there}
        resources: Any = made(tuple(held))(*map(_shown, held.values()))
        resources.original_resource_dict = held
        return resources  # type: ignore[no-any-return]

    return replace(ScopedResourcesBuilder, "build", build)


def _shown(resource: object) -> object:
    if isinstance(resource, IAttachDifferentObjectToOpContext):
        return resource.get_object_to_set_on_execution_context()
    return resource


def logging_set_up_once() -> Undo:
    """Logging is configured once in a process, not in each run, which empties every logger's cache twice."""
    stock = EventMethods.get_yaml_python_handlers
    found: WeakKeyDictionary[EventMethods, Sequence[logging.Handler]] = WeakKeyDictionary()

    def get_yaml_python_handlers(self: EventMethods) -> Sequence[logging.Handler]:
        if self not in found:
            found[self] = stock(self)
        return found[self]

    return together(
        replace(log_manager, "get_dagster_logger", cache(get_dagster_logger)),
        replace(EventMethods, "get_yaml_python_handlers", get_yaml_python_handlers),
    )


def needs_once() -> Undo:
    """Which resources a run needs is found out once for a plan, as long as its job is run by no other."""
    stock = resources_init.get_required_resource_keys_to_init
    found: WeakKeyDictionary[JobDefinition, tuple[ExecutionPlan, AbstractSet[str]]] = WeakKeyDictionary()

    def get_required_resource_keys_to_init(plan: ExecutionPlan, job: JobDefinition) -> AbstractSet[str]:
        known = found.get(job)
        if known is None or known[0] is not plan:
            known = found[job] = plan, stock(plan, job)
        return known[1]

    return replace(
        context_creation_job, "get_required_resource_keys_to_init", get_required_resource_keys_to_init
    )


def nodes_at_hand() -> Undo:
    """A job's own node is looked up by its name, without walking through graphs that it does not lie in."""
    stock = JobDefinition.get_node

    def get_node(self: JobDefinition, handle: NodeHandle) -> Node:
        nodes: Mapping[str, Node] = self._graph_def._node_dict
        found = nodes.get(handle.name) if handle.parent is None else None
        return stock(self, handle) if found is None else found

    return replace(JobDefinition, "get_node", get_node)


LEVERS: Mapping[str, Callable[[], Undo]] = {
    "event types by value": event_types_by_value,
    "signatures once": signatures_once,
    "resource types once": resource_types_once,
    "logging set up once": logging_set_up_once,
    "needs once": needs_once,
    "nodes at hand": nodes_at_hand,
}
