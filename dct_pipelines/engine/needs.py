"""What executions will take, as their actions say it. Kept in columns: admission reads many."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from dct_pipelines import registry


@dataclass(frozen=True)
class Needs:
    """How many slots of each kind, and which exclusive keys, e.g. `environment:qa`, in their order.

    The names are those of the columns of `trigger_executions`. A key that a template names is not known yet.
    """

    agents: int = 0
    workspaces: int = 0
    lease_keys: tuple[str, ...] = ()


def needs_of(actions: Iterable[Mapping[str, Any]]) -> Needs:
    """What these actions (`type` and `config`, as they were written) will take together.

    An action that this release cannot read takes none: it will fail before it takes anything.
    """
    taken = [{"type": action["type"], "config": action["config"]} for action in actions]
    return _needs(json.dumps(taken, sort_keys=True))


@lru_cache(maxsize=10_000)
def _needs(actions: str) -> Needs:
    agents = workspaces = 0
    keys: set[str] = set()
    for action in json.loads(actions):
        kind = registry.actions().get(action["type"])
        if kind is None:
            continue
        try:
            config = kind.config.model_validate(action["config"])
        except ValidationError:
            continue
        agents += kind.agents(config)
        workspaces += kind.opens_workspace(config)
        keys.update(key for key in kind.leases(config) if "{{" not in key)
    return Needs(agents, workspaces, tuple(sorted(keys)))
