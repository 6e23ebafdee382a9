"""The job of each shape: claim, one step per action in order, close.

Steps are ordered by `Nothing` dependencies: data goes through our tables, so no IO manager writes anything.
All steps run in the run's own process; a process per step would cost seconds and buy nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import dagster as dg

from dct_pipelines.domain import run_tags
from dct_pipelines.domain.action import ActionType
from dct_pipelines.domain.shapes import CLAIM, CLOSE, Shape, built_in, job_name, step_names
from dct_pipelines.jobs.ops import AFTER, SHAPE_TAG, action_op, claim_op, close_op

NO_DAGSTER_RETRIES = {"dagster/max_retries": "0"}
"""Dagster would repeat a run on its own; when an execution tries again is the engine's decision."""


class JobBuilder:
    """Builds jobs that share the ops of `actions`."""

    def __init__(self, actions: Mapping[str, ActionType[Any]]) -> None:
        self._claim, self._close = claim_op(), close_op()
        self._actions = {kind: action_op(action) for kind, action in actions.items()}
        self._untrusted = {kind for kind, action in actions.items() if action.is_untrusted}

    def jobs(self, shapes: Iterable[Shape]) -> list[dg.JobDefinition]:
        """A job for each built-in shape and each of `shapes` whose actions all exist; no name twice."""
        known = (shape for shape in shapes if set(shape) <= set(self._actions))
        distinct = dict.fromkeys((*built_in(self._actions), *known))
        return [self.job(shape) for shape in distinct]

    def job(self, shape: Shape) -> dg.JobDefinition:
        """The job of one shape."""
        steps = step_names(shape)
        ops = (self._claim, *(self._actions[kind] for kind in shape), self._close)
        nodes = [
            dg.NodeInvocation(op.name, alias=name)
            for op, name in zip(ops, (CLAIM, *steps, CLOSE), strict=True)
        ]
        dependencies: dict[dg.NodeInvocation, dict[str, Any]] = {nodes[0]: {}}
        for before, node in pairwise(nodes):
            dependencies[node] = {AFTER: dg.DependencyDefinition(before.alias or before.name)}
        graph = dg.GraphDefinition(
            name=job_name(shape),
            description=f"Claims an execution, then {', then '.join(steps)}, then checks its deliverables.",
            node_defs=list(dict.fromkeys(ops)),
            dependencies=dependencies,
        )
        return graph.to_job(
            executor_def=dg.in_process_executor,
            tags={SHAPE_TAG: ",".join(shape), **NO_DAGSTER_RETRIES, **self._trust(shape)},
        )

    def _trust(self, shape: Shape) -> dict[str, str]:
        return {} if self._untrusted.isdisjoint(shape) else {run_tags.UNTRUSTED: "true"}
