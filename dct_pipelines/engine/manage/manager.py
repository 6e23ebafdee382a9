"""The manager: changes definitions as a whole or not at all.

Applying goes in two steps, each one transaction under the order's lock. First everything but triggers; then
each item that the triggers watch is read, so that what happened until now is recorded before the triggers
exist, and the triggers are written. All is checked before the first step. Stopped in between, the definitions
are there and the triggers are not: applying again completes it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from dct_pipelines.domain.errors import InvalidInput, NotPermitted
from dct_pipelines.domain.ownership import deployments
from dct_pipelines.domain.ports import Clock, SecretsPort
from dct_pipelines.domain.roles import Role, edit_fault
from dct_pipelines.domain.trigger import TriggerSpec
from dct_pipelines.domain.words import Kind, TriggerStatus
from dct_pipelines.engine.manage.permits import permit
from dct_pipelines.engine.manage.plan import Change, Verb, plan
from dct_pipelines.engine.manage.probe import Probe, look
from dct_pipelines.engine.manage.report import ApplyReport
from dct_pipelines.engine.manage.secrets import look_for_secrets
from dct_pipelines.engine.manage.stored import Storage, load
from dct_pipelines.engine.manage.write import Writer
from dct_pipelines.engine.manifests import Document, check
from dct_pipelines.engine.manifests.check import EVERY_KIND, Checked
from dct_pipelines.store.database import Database
from dct_pipelines.store.definitions import triggers
from dct_pipelines.store.definitions.triggers import StoredTrigger
from dct_pipelines.store.order import advance, lock_order

DEFAULT_SET = "default"


class Seen(Protocol):
    """What a reading of items says: `problems` are sentences about what could not be read."""

    @property
    def problems(self) -> Sequence[str]:
        """Empty is well."""


@dataclass(frozen=True)
class _Nothing:
    problems: tuple[str, ...] = ()


_NOTHING_READ = _Nothing()
Recorded = Callable[[Sequence[UUID]], AbstractContextManager[Seen]]


@dataclass(frozen=True)
class Wanted:
    """A set of manifests that somebody wants applied. Pruning keeps to triggers of the same `applied_set`."""

    documents: Sequence[Document]
    by: str
    only: Collection[Kind] = EVERY_KIND
    prune: bool = False
    applied_set: str = DEFAULT_SET


@dataclass(frozen=True)
class Manager:
    """Applies, pauses, resumes, deletes.

    `recorded` reads items and lets nobody else read them for a block; `probe` looks before one is stored,
    and `secrets` whether those that definitions name are there.
    """

    database: Database
    clock: Clock
    recorded: Recorded
    probe: Probe
    secrets: SecretsPort

    def apply(self, wanted: Wanted, *, dry_run: bool = False) -> ApplyReport:
        """Bring what is stored to what is written. `InvalidManifests`, `NotPermitted`: nothing was stored."""
        with self.database.connect() as connection:
            storage = load(connection)
        checked, changes = _planned(wanted, storage)
        warnings = look(changes, checked.world, self.probe) + look_for_secrets(changes, self.secrets)
        report = ApplyReport(changes, tuple(warnings), is_dry_run=dry_run)
        if dry_run or not report.changed:
            return report
        if any(change.kind is not Kind.TRIGGER for change in report.changed):
            with self._writing(wanted.by) as writer:
                writer.definitions(_planned(wanted, writer.storage)[1])
        if not any(change.kind is Kind.TRIGGER for change in report.changed):
            return report
        with self._past_recorded(_watched(report.changed)) as unread:
            warnings += unread
            with self._writing(wanted.by) as writer:
                new_jobs = writer.triggers(_planned(wanted, writer.storage)[1], wanted.applied_set)
        return ApplyReport(changes, tuple(dict.fromkeys(warnings)), new_jobs)

    def check(self, wanted: Wanted) -> Checked:
        """What the manifests say, checked like by `apply`; nothing is looked at outside or stored."""
        with self.database.connect() as connection:
            storage = load(connection)
        return check(wanted.documents, storage.world, wanted.only)

    def set_status(self, names: Sequence[str], status: TriggerStatus, by: str, reason: str) -> list[str]:
        """Pause, resume or disable triggers; returns the names of those that were in another state.

        A resumed trigger fires on nothing that happened while it was not active.
        """
        if status is not TriggerStatus.ACTIVE:
            return self._set_status(names, status, by, reason)
        with self.database.connect() as connection:
            storage = load(connection)
        watched = {item for name in names for item in storage.trigger(name).spec["items"]}
        with self._past_recorded(watched):
            return self._set_status(names, status, by, reason)

    def _set_status(self, names: Sequence[str], status: TriggerStatus, by: str, reason: str) -> list[str]:
        with self._writing(by) as writer:
            found = [writer.storage.trigger(name) for name in names]
            _may_edit(found, writer.storage, by)
            changed = [stored for stored in found if stored.status is not status]
            for stored in changed:
                spec = TriggerSpec.model_validate(stored.spec)
                version = writer.version(spec, status, stored, stored.applied_set, reason)
                triggers.change(writer.connection, stored, version)
                detail = {"before": stored.status.value, "after": status.value, "reason": reason}
                writer.audit("status", Kind.TRIGGER, stored.name, detail)
        return [stored.name for stored in changed]

    def delete(self, names: Sequence[str], by: str) -> list[str]:
        """Delete triggers. Their history stays, and executions that they have started go on."""
        with self._writing(by) as writer:
            found = [writer.storage.trigger(name) for name in dict.fromkeys(names)]
            _may_edit(found, writer.storage, by)
            for stored in found:
                writer.delete(stored)
                writer.audit("delete", Kind.TRIGGER, stored.name, dict(stored.spec))
        return [stored.name for stored in found]

    @contextmanager
    def _writing(self, by: str) -> Iterator[Writer]:
        """A transaction that holds the order's lock; what is cached of triggers is stale once it commits."""
        with self.database.begin() as connection:
            order = lock_order(connection)
            yield Writer(connection, order, load(connection), by, self.clock.now())
            advance(connection, generation=True)

    @contextmanager
    def _past_recorded(self, item_names: Iterable[str]) -> Iterator[list[str]]:
        """Read the items now, and keep them from being read until the triggers are written.

        Yields what could not be read, as warnings: it is read later, as a change of then.
        """
        with self.database.connect() as connection:
            items = load(connection).shelves[Kind.ITEM]
        ids = [items[name].id for name in sorted(set(item_names)) if name in items]
        with self.recorded(ids) if ids else nullcontext(_NOTHING_READ) as seen:
            yield list(seen.problems)


def _planned(wanted: Wanted, storage: Storage) -> tuple[Checked, tuple[Change, ...]]:
    checked = check(wanted.documents, storage.world, wanted.only)
    prune = wanted.prune and Kind.TRIGGER in wanted.only
    if prune and not any(manifest.kind is Kind.TRIGGER for manifest in checked.manifests):
        raise InvalidInput(
            "the set holds no trigger, so --prune would delete all of its; delete them by name"
        )
    changes = plan(checked.manifests, storage, applied_set=wanted.applied_set, prune=prune)
    permit(changes, storage, wanted.by)
    return checked, changes


def _watched(changes: Iterable[Change]) -> set[str]:
    """Names of the items that new and changed triggers watch."""
    return {
        name
        for change in changes
        if change.kind is Kind.TRIGGER and change.verb is not Verb.DELETE and change.after is not None
        for name in change.after["items"]
    }


def _may_edit(found: Iterable[StoredTrigger], storage: Storage, by: str) -> None:
    role: Role = storage.role(by)
    for stored in found:
        spec = TriggerSpec.model_validate(stored.spec)
        message = edit_fault(role, spec.type)
        if message is None:
            message = next((text for _, text in deployments(stored.spec, role)), None)
        if message is not None:
            raise NotPermitted(f"trigger {stored.name!r}: {message}")
