"""What executions will take of the quotas, as their actions say it. Kept in columns: admission reads many."""

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
    """How many slots of each kind; the names are those of the columns of `trigger_executions`."""

    agents: int = 0
    workspaces: int = 0


def needs_of(actions: Iterable[Mapping[str, Any]]) -> Needs:
    """The slots that these actions (`type` and `config`, as they were written) will take together.

    An action that this release cannot read takes none: it will fail before it takes anything.
    """
    taken = [{"type": action["type"], "config": action["config"]} for action in actions]
    return _needs(json.dumps(taken, sort_keys=True))


@lru_cache(maxsize=10_000)
def _needs(actions: str) -> Needs:
    agents = workspaces = 0
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
    return Needs(agents, workspaces)
