"""Whether somebody may make a change: the roles' rules, applied to whole plans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dct_pipelines.domain import roles
from dct_pipelines.domain.manifest import Kind
from dct_pipelines.domain.roles import Role
from dct_pipelines.domain.template import is_template
from dct_pipelines.domain.words import TriggerType
from dct_pipelines.engine.manage.plan import Change, Verb
from dct_pipelines.engine.manage.stored import Storage
from dct_pipelines.engine.manifests import Fault, ManifestsNotPermitted

DEPLOYS = "deploy_environment"


def permit(changes: Iterable[Change], storage: Storage, by: str) -> None:
    """Raise `ManifestsNotPermitted` with everything that `by`, or a trigger's owner, may not do."""
    role = storage.role(by)
    faults = [
        _fault(change, path, message)
        for change in changes
        if change.verb is not Verb.UNCHANGED
        for path, message in _refusals(change, storage, role)
    ]
    if faults:
        raise ManifestsNotPermitted(faults)


def _fault(change: Change, path: tuple[str | int, ...], message: str) -> Fault:
    if change.manifest is None:
        return Fault(f"{change.kind} {change.name}", 0, path, message)
    return change.manifest.document.fault(path, message)


def _refusals(change: Change, storage: Storage, role: Role) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if change.kind is not Kind.TRIGGER:
        if message := roles.define_fault(role, change.kind):
            yield ("kind",), message
        return
    for state in (change.before, change.after):
        if state is not None and (message := roles.edit_fault(role, TriggerType(state["type"]))):
            yield ("type",), message
            return
    stored = storage.triggers.get(change.name)
    owner = storage.role(stored.created_by) if stored is not None else role
    for whose in {role, owner}:
        yield from deployments(change.after, whose)


def deployments(spec: Mapping[str, Any] | None, role: Role) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Where in a trigger's actions it deploys to what this role may not, and why."""
    for index, action in enumerate(spec["actions"] if spec is not None else ()):
        if action["type"] != DEPLOYS:
            continue
        name = str(action["config"].get("environment", ""))
        path = ("actions", index, "config", "environment")
        if is_template(name) and role not in roles.EVERYTHING:
            yield path, f"a {role} names the environment itself; a template could lead anywhere"
        elif not is_template(name) and (message := roles.deploy_fault(role, name)):
            yield path, message
