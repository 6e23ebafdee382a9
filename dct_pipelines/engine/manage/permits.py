"""Whether somebody may make a change: the roles' rules, applied to whole plans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dct_pipelines.domain import roles
from dct_pipelines.domain.ownership import deployments
from dct_pipelines.domain.roles import Role
from dct_pipelines.domain.words import Kind, TriggerType
from dct_pipelines.engine.manage.plan import Change, Verb
from dct_pipelines.engine.manage.stored import Storage
from dct_pipelines.engine.manifests import Fault, ManifestsNotPermitted


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
