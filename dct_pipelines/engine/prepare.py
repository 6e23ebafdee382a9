"""From what a trigger's author wrote to what an action gets: templates rendered, the result validated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid5

from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from dct_pipelines.domain.action import ActionConfig, ActionType
from dct_pipelines.domain.errors import ActionFailed, TemplateFailed
from dct_pipelines.domain.outcome import Outcome
from dct_pipelines.domain.template import render_config
from dct_pipelines.store.executions.rows import Execution, Result, Step

MAX_OUTPUT_BYTES = 64 * 1024
KEYS_KEPT = 1000
"""Each is asked for several times while its action is done."""


@dataclass(frozen=True)
class Prepared:
    """An action ready to act: `rendered` is the configuration as recorded, `leases` what it must hold.

    `opens_workspace`: it needs the slot of the workspace of its name.
    """

    config: ActionConfig
    rendered: Mapping[str, Any]
    leases: tuple[str, ...]
    opens_workspace: bool


@lru_cache(maxsize=KEYS_KEPT)
def idempotency_key(execution_id: UUID, index: int) -> str:
    """The same for every attempt of that action, and of no other: receivers deduplicate by it."""
    return str(uuid5(execution_id, f"action:{index}"))


def scope_of(execution: Execution, done: Mapping[int, Result], index: int) -> dict[str, Any]:
    """What the templates of the action see: the snapshot of the firing, the execution, steps before it."""
    return {
        "event": {},
        "item": {},
        "trigger": {},
        **execution.context,
        "execution": {
            "id": str(execution.id),
            "attempt": execution.attempt,
            "created_at": execution.created_at.isoformat(),
            "idempotency_key": idempotency_key(execution.id, index),
            "triggered_by": execution.triggered_by.value,
        },
        "steps": {result.name: dict(result.outputs) for at, result in done.items() if at < index},
    }


def prepare(action: ActionType[Any], step: Step, scope: Mapping[str, Any]) -> Prepared:
    """Render and validate; TemplateFailed or ActionFailed name what is wrong with the configuration."""
    try:
        rendered = render_config(step.config, scope)
    except TemplateFailed as error:
        raise TemplateFailed(f"the configuration of {step.name} cannot be filled in: {error}") from error
    try:
        config = action.config.model_validate(rendered)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or step.type}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False)
        )
        raise ActionFailed(
            f"the configuration of {step.name} is not valid once filled in: {faults}"
        ) from None
    return Prepared(config, rendered, action.leases(config), action.opens_workspace(config))


def bounded(outcome: Outcome) -> tuple[dict[str, Any], str]:
    """Outputs as JSON that fits, and the summary, which names what had to be left out."""
    outputs: dict[str, Any] = to_jsonable_python(outcome.outputs, fallback=str, inf_nan_mode="null")
    sizes = {name: len(json.dumps(value).encode()) for name, value in outputs.items()}
    left_out = []
    while sum(sizes.values()) > MAX_OUTPUT_BYTES:
        largest = max(sizes, key=lambda name: sizes[name])
        left_out.append(largest)
        del sizes[largest], outputs[largest]
    if not left_out:
        return outputs, outcome.summary
    return outputs, f"{outcome.summary} (too large to keep: {', '.join(sorted(left_out))})"
