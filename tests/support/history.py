"""What happened long ago, written straight into the tables."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Table, insert, select

from dct_pipelines.domain.trigger import ResourceLimits
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from tests.fakes.ports import NOON, FakeClock
from tests.support.world import RELEASE, World


@dataclass
class History:
    """Rows of one item and one trigger."""

    world: World
    trigger_id: UUID
    places: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    def of(cls, database: Database) -> History:
        """In a world of its own, whose trigger is older than all that happened."""
        world = World(database, FakeClock(NOON - timedelta(days=2000)))
        history = cls(world, world.trigger("to-qa"))
        world.clock.time = NOON
        return history

    @property
    def database(self) -> Database:
        return self.world.database

    def put(self, table: Table, **values: Any) -> None:
        """One row."""
        with self.database.begin() as connection:
            connection.execute(insert(table).values(**values))

    def event(self, at: datetime, **values: Any) -> UUID:
        """An event that was seen then, with its key."""
        event_id, key = uuid4(), str(uuid4())
        whose = {"connection_id": self.world.connection_id, "dedup_key": key}
        given: dict[str, Any] = {
            "id": event_id,
            "seq": next(self.places),
            "item_id": self.world.item_id,
            "subject": "refs/heads/feature/x",
            "kind": "branch_created",
            "occurred_at": at,
            "observed_at": at,
            "payload": {"kind": "branch_created", "branch": "feature/x", "head": "a" * 40},
            "release": RELEASE,
        }
        self.put(tables.events, **whose, **given | values)
        self.put(tables.event_keys, **whose, event_id=event_id, created_at=at)
        return event_id

    def decision(self, event_id: UUID, at: datetime, execution_id: UUID | None = None) -> None:
        """That the trigger fired for it."""
        self.put(
            tables.decisions,
            event_id=event_id,
            trigger_id=self.trigger_id,
            trigger_version=1,
            outcome="fired",
            because="it was so",
            once_key=str(event_id),
            execution_id=execution_id,
            release=RELEASE,
            decided_at=at,
        )

    def execution(
        self, event_id: UUID | None, created_at: datetime, ended_at: datetime | None, **values: Any
    ) -> UUID:
        """An execution with an attempt and a result; without an end it waits."""
        execution_id = uuid4()
        given: dict[str, Any] = {
            "id": execution_id,
            "trigger_id": self.trigger_id,
            "event_id": event_id,
            "item_id": self.world.item_id,
            "status": "completed" if ended_at else "waiting",
            "triggered_by": "event",
            "created_by": "trigger",
            "job_name": "notify_users",
            "actions": [],
            "resource_limits": ResourceLimits().model_dump(mode="json"),
            "created_at": created_at,
            "completed_at": ended_at,
        }
        self.put(tables.trigger_executions, **given | values)
        self.put(tables.execution_attempts, execution_id=execution_id, attempt=1, state="succeeded")
        self.put(
            tables.action_results,
            execution_id=execution_id,
            action_index=0,
            action_type="notify_users",
            name="notify_users",
            state="done",
            attempt=1,
            idempotency_key=str(execution_id),
            started_at=created_at,
        )
        return execution_id

    def workspace(self, execution_id: UUID, **values: Any) -> UUID:
        """A workspace that an execution opened."""
        workspace_id = uuid4()
        given: dict[str, Any] = {
            "id": workspace_id,
            "title": "look at it",
            "repository_item_id": self.world.item_id,
            "branch": "ws/1",
            "start_commit": "a" * 40,
            "directory": "/nowhere",
            "state": "open",
            "execution_id": execution_id,
        }
        self.put(tables.workspaces, **given | values)
        return workspace_id

    def deployment(self, execution_id: UUID, environment_id: UUID, ended_at: datetime) -> UUID:
        """A deployment to `qa` that succeeded."""
        deployment_id = uuid4()
        self.put(
            tables.deployments,
            id=deployment_id,
            environment_id=environment_id,
            environment="qa",
            commit="a" * 40,
            branch="qa",
            state="succeeded",
            execution_id=execution_id,
            started_at=ended_at,
            ended_at=ended_at,
        )
        return deployment_id

    def environment(self) -> UUID:
        """The environment `qa`."""
        environment_id = uuid4()
        self.put(tables.environments, id=environment_id, name="qa", branch="qa", created_by="local")
        return environment_id

    def ids(self, table: Table, column: str = "id") -> set[Any]:
        """What is there."""
        with self.database.connect() as connection:
            return set(connection.scalars(select(table.c[column])))
