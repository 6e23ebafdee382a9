"""Executions that no event made: what stands in their row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dct_pipelines.domain.execution import TriggeredBy
from dct_pipelines.domain.trigger import ActionSpec, ResourceLimits, step_names_of
from dct_pipelines.engine.needs import needs_of


def manual_values(written: Sequence[Mapping[str, Any]], *, job_name: str, created_by: str) -> dict[str, Any]:
    """The row of an execution of these actions (`type`, `config`, and a `name` if it is to have one)."""
    specs = tuple(ActionSpec.model_validate(action) for action in written)
    actions = [
        {"type": spec.type, "name": name, "config": spec.config}
        for spec, name in zip(specs, step_names_of(specs), strict=True)
    ]
    return {
        "triggered_by": TriggeredBy.MANUAL,
        "created_by": created_by,
        "job_name": job_name,
        "actions": actions,
        "resource_limits": ResourceLimits().model_dump(mode="json"),
        **asdict(needs_of(actions)),
        "context_snapshot": {"event": {}, "item": {}, "trigger": {}},
    }
