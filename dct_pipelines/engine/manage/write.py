"""Writes a plan under the order's lock: rows, versions, shapes, and the audit log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from dct_pipelines import registry
from dct_pipelines.domain.shapes import built_in, job_name
from dct_pipelines.domain.template import is_template
from dct_pipelines.domain.trigger import TriggerSpec
from dct_pipelines.domain.words import Kind, TriggerStatus
from dct_pipelines.engine.manage.plan import Change, Verb
from dct_pipelines.engine.manage.stored import Storage
from dct_pipelines.store.definitions import Connection, people, shapes, triggers, watching
from dct_pipelines.store.definitions.shelves import SHELVES
from dct_pipelines.store.definitions.triggers import NewVersion, StoredTrigger
from dct_pipelines.store.order import Order


@dataclass(frozen=True)
class Writer:
    """One transaction's writing. The caller holds the order's lock and advances its generation."""

    connection: Connection
    order: Order
    storage: Storage
    by: str
    now: datetime

    def definitions(self, changes: Iterable[Change]) -> None:
        """Write everything that is not a trigger, in the order of dependence."""
        for change in changes:
            if change.kind is Kind.TRIGGER or change.after is None or change.verb is Verb.UNCHANGED:
                continue
            shelf = SHELVES[change.kind]
            stored = self.storage.shelves[change.kind].get(change.name)
            if stored is None:
                shelf.insert(self.connection, change.after, self.by)
            else:
                shelf.update(self.connection, stored, change.after)
                if change.kind is Kind.ITEM and _is_elsewhere(change):
                    watching.forget_place(self.connection, stored.id, self.order.next_seq)
            self._audit(change)

    def triggers(self, changes: Iterable[Change], applied_set: str) -> tuple[str, ...]:
        """Write triggers as new versions; returns the names of jobs that have to be loaded."""
        new_jobs: dict[str, None] = {}
        for change in changes:
            if change.kind is not Kind.TRIGGER or change.verb is Verb.UNCHANGED:
                continue
            stored = self.storage.triggers.get(change.name)
            if change.verb is Verb.DELETE and stored is not None:
                self.delete(stored)
            elif change.after is not None:
                spec = TriggerSpec.model_validate(
                    {key: value for key, value in change.after.items() if key in TriggerSpec.model_fields}
                )
                status = TriggerStatus(change.after["status"])
                version = self.version(spec, status, stored, applied_set, "applied from manifests")
                is_new = shapes.ensure(self.connection, version.job_name, spec.shape)
                if is_new and spec.shape not in built_in(registry.actions()):
                    new_jobs[version.job_name] = None
                if stored is None:
                    triggers.create(self.connection, version)
                else:
                    triggers.change(self.connection, stored, version)
            self._audit(change)
        return tuple(new_jobs)

    def delete(self, stored: StoredTrigger) -> None:
        """End a trigger; what it has started goes on."""
        triggers.remove(self.connection, stored, self.order.next_seq, self.now)

    def version(
        self,
        spec: TriggerSpec,
        status: TriggerStatus,
        stored: StoredTrigger | None,
        applied_set: str | None,
        reason: str,
    ) -> NewVersion:
        """The next version. A trigger that becomes active fires on nothing that happened before."""
        was_active = stored is not None and stored.status is TriggerStatus.ACTIVE
        since = stored.active_since if stored is not None and was_active else self.now
        items = self.storage.shelves[Kind.ITEM]
        return NewVersion(
            spec=spec,
            status=status,
            item_ids=tuple(dict.fromkeys(items[name].id for name in spec.items)),
            draft_id=self._draft(spec),
            job_name=job_name(spec.shape),
            applied_set=applied_set,
            active_since=since,
            from_seq=self.order.next_seq,
            reason=reason,
            by=self.by,
        )

    def audit(self, verb: str, kind: Kind, name: str, detail: dict[str, Any]) -> None:
        """Note who changed what."""
        people.audit(self.connection, self.by, verb, kind.value, name, detail)

    def _audit(self, change: Change) -> None:
        self.audit(change.verb.value, change.kind, change.name, change.summary())

    def _draft(self, spec: TriggerSpec) -> UUID | None:
        """The draft of the first action that names one."""
        drafts = self.storage.shelves[Kind.DRAFT]
        for action in spec.actions:
            name = action.config.get("draft")
            if isinstance(name, str) and not is_template(name) and name in drafts:
                return drafts[name].id
        return None


def _is_elsewhere(change: Change) -> bool:
    before, after = change.before or {}, change.after or {}
    return any(before.get(key) != after.get(key) for key in ("location", "connection"))
