"""What applying a set of manifests would change: pure comparison of what is written with what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dct_pipelines.domain.manifest import TriggerManifest, plain
from dct_pipelines.domain.trigger import TriggerSpec
from dct_pipelines.domain.words import Kind, TriggerStatus
from dct_pipelines.engine.manage.stored import Storage
from dct_pipelines.engine.manifests import Manifest
from dct_pipelines.store.definitions.triggers import StoredTrigger


class Verb(StrEnum):
    """What becomes of a definition."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    DELETE = "delete"


@dataclass(frozen=True)
class Change:
    """One definition before and after, as plain data; None: not there. `manifest` None: deleted."""

    kind: Kind
    name: str
    verb: Verb
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    manifest: Manifest | None = None

    def differences(self) -> list[tuple[str, Any, Any]]:
        """Path, old and new value of everything that differs; None where there is nothing."""
        return list(_differences("", self.before or {}, self.after or {}))

    def summary(self) -> dict[str, Any]:
        """The change as plain data, for reports and the audit log."""
        changes = [
            {"path": path, "before": before, "after": after} for path, before, after in self.differences()
        ]
        return {"kind": self.kind.value, "name": self.name, "change": self.verb.value, "differences": changes}


def plan(
    manifests: Sequence[Manifest], storage: Storage, *, applied_set: str, prune: bool
) -> tuple[Change, ...]:
    """What becomes of each manifest, and with `prune` of triggers that the same set made before."""
    changes = [
        _trigger(manifest, storage.triggers.get(manifest.name), applied_set)
        if manifest.kind is Kind.TRIGGER
        else _definition(manifest, storage)
        for manifest in manifests
    ]
    if prune:
        kept = {manifest.name for manifest in manifests if manifest.kind is Kind.TRIGGER}
        changes += [
            Change(Kind.TRIGGER, name, Verb.DELETE, before=trigger_data(stored))
            for name, stored in storage.triggers.items()
            if stored.applied_set == applied_set and name not in kept
        ]
    return tuple(changes)


def trigger_data(stored: StoredTrigger) -> dict[str, Any]:
    """A stored trigger as its manifest has it, with every default."""
    spec = plain(TriggerSpec.model_validate(stored.spec))
    return spec | {"status": stored.status.value, "set": stored.applied_set}


def new_status(manifest: TriggerManifest, stored: StoredTrigger | None) -> TriggerStatus:
    """The status after applying: as written, else as it is; what was broken gets another chance."""
    if manifest.status is not None:
        return TriggerStatus(manifest.status.value)
    if stored is None or stored.status is TriggerStatus.ERROR:
        return TriggerStatus.ACTIVE
    return stored.status


def _trigger(manifest: Manifest, stored: StoredTrigger | None, applied_set: str) -> Change:
    status = new_status(manifest.spec, stored)
    after = plain(manifest.spec.spec) | {"status": status.value, "set": applied_set}
    if stored is None:
        return Change(Kind.TRIGGER, manifest.name, Verb.CREATE, None, after, manifest)
    before = trigger_data(stored)
    verb = Verb.UNCHANGED if before == after else Verb.UPDATE
    return Change(Kind.TRIGGER, manifest.name, verb, before, after, manifest)


def _definition(manifest: Manifest, storage: Storage) -> Change:
    known = storage.world.find(manifest.kind, manifest.name)
    after = plain(manifest.spec)
    if known is None:
        return Change(manifest.kind, manifest.name, Verb.CREATE, None, after, manifest)
    before = plain(known)
    verb = Verb.UNCHANGED if before == after else Verb.UPDATE
    return Change(manifest.kind, manifest.name, verb, before, after, manifest)


def _differences(path: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*before, *after)):
            below = f"{path}.{key}" if path else str(key)
            yield from _differences(below, before.get(key), after.get(key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _differences(f"{path}[{index}]", old, new)
    elif before != after:
        yield path, before, after
