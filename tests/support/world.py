"""A small world in a real database: one connection, one repository, triggers, and pages to take in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Table, insert, select, update

from dct_pipelines import registry
from dct_pipelines.domain.event import EventDraft
from dct_pipelines.domain.listener import Page
from dct_pipelines.domain.payloads import BranchAssessed, BranchCreated
from dct_pipelines.domain.shapes import job_name
from dct_pipelines.domain.snapshot import BranchState, Snapshot
from dct_pipelines.domain.trigger import TriggerSpec
from dct_pipelines.engine.decide import Decider
from dct_pipelines.engine.intake import Intake
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.order import advance, lock_order
from tests.fakes.ports import FakeClock

RELEASE = "0.1.0"
READY = {"type": "branch_ready", "config": {"branch": "feature/*", "target_branch": "qa"}}
NOTIFY = {"type": "notify_users", "config": {}}


@dataclass
class World:
    """Writes what tests need straight into the tables, and takes pages in."""

    database: Database
    clock: FakeClock = field(default_factory=FakeClock)
    connection_id: UUID = field(default_factory=uuid4)
    item_id: UUID = field(default_factory=uuid4)

    is_new: bool = True

    @classmethod
    def of(cls, database: Database, connection_id: UUID, item_id: UUID) -> World:
        """The world of an item that is stored already, at the real time."""
        clock = FakeClock(datetime.now(UTC))
        return cls(database, clock, connection_id, item_id, is_new=False)

    def __post_init__(self) -> None:
        self.decider = Decider(registry.conditions(), RELEASE)
        self.intake = Intake(self.database, self.clock, self.decider, RELEASE)
        if not self.is_new:
            return
        self.connection("here", self.connection_id)
        self.item("sample", self.item_id)

    def connection(self, name: str, connection_id: UUID | None = None) -> UUID:
        """Another connection."""
        connection_id = connection_id or uuid4()
        with self.database.begin() as connection:
            connection.execute(
                insert(tables.connections).values(id=connection_id, name=name, kind="git", created_by="local")
            )
        return connection_id

    def item(self, name: str, item_id: UUID | None = None, connection_id: UUID | None = None) -> UUID:
        """Another repository of a connection."""
        item_id = item_id or uuid4()
        with self.database.begin() as connection:
            connection.execute(
                insert(tables.context_library).values(
                    id=item_id,
                    name=name,
                    kind="git_repository",
                    connection_id=connection_id or self.connection_id,
                    location=f"/srv/{name}.git",
                    created_by="local",
                )
            )
        return item_id

    def trigger(
        self,
        name: str,
        *,
        items: Sequence[UUID] = (),
        status: str = "active",
        created_by: str = "local",
        **spec: Any,
    ) -> UUID:
        """A trigger as it is saved: its row and its first version."""
        defaults: dict[str, Any] = {"items": ["sample"], "conditions": [READY], "actions": [NOTIFY]}
        parsed = TriggerSpec.model_validate({"name": name} | defaults | spec)
        trigger_id = uuid4()
        with self.database.begin() as connection:
            connection.execute(
                insert(tables.dynamic_context_triggers).values(
                    id=trigger_id,
                    name=name,
                    status=status,
                    priority=parsed.priority,
                    trigger_type=parsed.type.value,
                    job_name=job_name(parsed.shape),
                    active_since=self.clock.now(),
                    created_by=created_by,
                )
            )
            for place, item_id in enumerate(items or [self.item_id]):
                connection.execute(
                    insert(tables.trigger_items).values(
                        trigger_id=trigger_id, item_id=item_id, order_index=place
                    )
                )
        self.change(trigger_id, parsed, items=items, status=status)
        return trigger_id

    def change(
        self, trigger_id: UUID, spec: TriggerSpec, *, items: Sequence[UUID] = (), status: str = "active"
    ) -> None:
        """A new version, in force from the next event on."""
        versions = tables.trigger_versions
        with self.database.begin() as connection:
            order = lock_order(connection)
            current = (versions.c.trigger_id == trigger_id) & versions.c.to_seq.is_(None)
            version = connection.scalar(select(versions.c.version).where(current)) or 0
            connection.execute(update(versions).where(current).values(to_seq=order.next_seq))
            connection.execute(
                insert(versions).values(
                    trigger_id=trigger_id,
                    version=version + 1,
                    status=status,
                    spec=spec.model_dump(mode="json"),
                    item_ids=list(items) or [self.item_id],
                    from_seq=order.next_seq,
                    active_since=self.clock.now(),
                    created_by="local",
                )
            )
            triggers = tables.dynamic_context_triggers
            connection.execute(update(triggers).where(triggers.c.id == trigger_id).values(status=status))
            advance(connection, generation=True)

    def assessed(self, branch: str, head: str = "a" * 40, **facts: Any) -> EventDraft:
        """An event that says how a branch stands towards `qa`: ready, unless `facts` say otherwise."""
        payload: dict[str, Any] = {
            "branch": branch,
            "head": head,
            "target": "qa",
            "target_head": "b" * 40,
            "is_default_target": False,
            "ahead": 1,
            "behind": 0,
            "merges_cleanly": True,
        }
        return self.draft(branch, f"assessed {branch} {head} {facts}", BranchAssessed(**payload | facts))

    def created(self, branch: str, head: str = "a" * 40) -> EventDraft:
        """An event that a branch appeared."""
        return self.draft(branch, f"created {branch} {head}", BranchCreated(branch=branch, head=head))

    def draft(
        self,
        branch: str,
        key: str,
        payload: Any,
        *,
        external_ids: tuple[str, ...] = (),
        item_id: UUID | None = None,
        occurred_at: datetime | None = None,
    ) -> EventDraft:
        """Any event about a branch."""
        return EventDraft(
            item_id=item_id or self.item_id,
            subject=f"refs/heads/{branch}",
            dedup_key=key,
            occurred_at=occurred_at or self.clock.now(),
            payload=payload,
            external_ids=external_ids,
        )

    def state(self, branch: str, head: str = "a" * 40, **state: Any) -> Snapshot:
        """A branch's state."""
        known = BranchState(branch=branch, head=head, since=self.clock.now(), **state)
        return Snapshot(
            item_id=self.item_id,
            subject=f"refs/heads/{branch}",
            state=known,
            observed_at=self.clock.now(),
        )

    def page(self, *events: EventDraft, token: Mapping[str, Any] | None = None, **rest: Any) -> Page:
        """A page of the repository."""
        return Page(item_id=self.item_id, token=token or {}, events=events, **rest)

    def rows(self, table: Table) -> list[dict[str, Any]]:
        """Everything in a table."""
        with self.database.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(select(table))]
