"""What a trigger may do is what its owner may do: looked at when it is saved, and again when it fires."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dct_pipelines.domain.roles import EVERYTHING, Role, deploy_fault, edit_fault
from dct_pipelines.domain.template import is_template
from dct_pipelines.domain.trigger import TriggerSpec

DEPLOYS = "deploy_environment"
Place = tuple[str | int, ...]


def deployments(spec: Mapping[str, Any] | None, role: Role) -> Iterator[tuple[Place, str]]:
    """Where in a trigger's actions it deploys to what this role may not, and why."""
    for index, action in enumerate(spec["actions"] if spec is not None else ()):
        if action["type"] != DEPLOYS:
            continue
        name = str(action["config"].get("environment", ""))
        path = ("actions", index, "config", "environment")
        if is_template(name) and role not in EVERYTHING:
            yield path, f"a {role} names the environment itself; a template could lead anywhere"
        elif not is_template(name) and (message := deploy_fault(role, name)):
            yield path, message


def owner_fault(spec: TriggerSpec, owner: str, role: Role | None) -> str | None:
    """Why a trigger of this owner must not act, or None. `role` is None when the user is gone or inactive."""
    if role is None:
        return f"its owner {owner} is no active user any more"
    message = edit_fault(role, spec.type)
    if message is None:
        message = next((text for _, text in deployments(spec.model_dump(mode="json"), role)), None)
    return f"its owner {owner} may not do that any more: {message}" if message is not None else None
