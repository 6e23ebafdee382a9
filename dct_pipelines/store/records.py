"""What actions record and look up, for one attempt of one execution: the domain's `RecordsPort`.

Each write is a transaction of its own, fenced: an attempt that was overtaken cannot write any more.
A database that is away is waited for, so that what was done is not lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Row, Select, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from dct_pipelines.domain.errors import NotFound
from dct_pipelines.domain.opening import workspace_id_of
from dct_pipelines.domain.operations import Check, Deployment, Workspace
from dct_pipelines.domain.quotas import SlotKind
from dct_pipelines.domain.words import DeploymentState, WorkspaceState
from dct_pipelines.store import slots
from dct_pipelines.store.database import Database
from dct_pipelines.store.executions import reading
from dct_pipelines.store.executions.rows import Execution
from dct_pipelines.store.patience import patiently
from dct_pipelines.store.tables import (
    checks,
    connections,
    context_library,
    deployments,
    environments,
    own_writes,
    trigger_executions,
    workspaces,
)
from dct_pipelines.store.watching import checks as stored_checks

PATIENCE_SECONDS = 120
T = TypeVar("T")


@dataclass(frozen=True)
class Records:
    """The records of one attempt."""

    database: Database
    execution: Execution
    patience_seconds: float = PATIENCE_SECONDS

    def current_deployment(self, environment: str) -> Deployment | None:
        """The last deployment of that environment that succeeded."""
        when = func.coalesce(deployments.c.ended_at, deployments.c.started_at)
        statement = select(deployments).where(
            deployments.c.environment == environment, deployments.c.state == DeploymentState.SUCCEEDED
        )
        row = self._first(statement.order_by(when.desc(), deployments.c.id))
        return _to_deployment(row) if row is not None else None

    def save_deployment(self, deployment: Deployment) -> None:
        """Insert or update by id; one that succeeded is what the environment runs from then on."""

        def write(connection: Connection) -> None:
            name = environments.c.name
            found = select(environments.c.id).where(name == deployment.environment)
            environment_id = connection.scalar(found)
            if environment_id is None:
                raise NotFound(
                    f"there is no environment {deployment.environment!r}; it was deleted meanwhile"
                )
            values = deployment.model_dump() | {"environment_id": environment_id}
            connection.execute(_upsert(deployments, values))
            if deployment.state is DeploymentState.SUCCEEDED:
                connection.execute(
                    update(environments)
                    .where(environments.c.id == environment_id)
                    .values(
                        current_commit=deployment.commit,
                        merged_from=deployment.merged_from,
                        running_since=deployment.ended_at or deployment.started_at,
                    )
                )

        self._write(write)

    def find_deployment(self, execution_id: UUID, environment: str) -> Deployment | None:
        """The latest deployment that this execution made there, in any state."""
        statement = select(deployments).where(
            deployments.c.execution_id == execution_id, deployments.c.environment == environment
        )
        row = self._first(statement.order_by(deployments.c.started_at.desc()))
        return _to_deployment(row) if row is not None else None

    def find_check(self, repository_item_id: UUID, commit: str, name: str) -> Check | None:
        """The latest result of that check on that commit."""
        row = self._first(
            select(checks).where(
                checks.c.repository_item_id == repository_item_id,
                checks.c.commit == commit,
                checks.c.name == name,
            )
        )
        return Check.model_validate(_fields(row, Check)) if row is not None else None

    def report_check(self, check: Check) -> None:
        """Store it, unless a later result is known; the next read of the repository makes an event of it."""
        self._write(lambda connection: stored_checks.report(connection, check))

    def save_workspace(self, workspace: Workspace) -> None:
        """Insert or update by id; the execution that made it refers to it from then on.

        With an archived one its slot is free.
        """

        def write(connection: Connection) -> None:
            values = workspace.model_dump() | {"updated_at": func.clock_timestamp()}
            connection.execute(_upsert(workspaces, values))
            if workspace.state is WorkspaceState.ARCHIVED:
                slots.give_back(connection, SlotKind.WORKSPACE, workspace.id)
            connection.execute(
                update(trigger_executions)
                .where(
                    trigger_executions.c.id == workspace.execution_id,
                    trigger_executions.c.workspace_id.is_(None),
                )
                .values(workspace_id=workspace.id)
            )

        self._write(write)

    def find_workspace(self, execution_id: UUID, name: str) -> Workspace | None:
        """The workspace that this execution's action `name` made."""
        wanted = workspace_id_of(execution_id, name)
        row = self._first(select(workspaces).where(workspaces.c.id == wanted))
        return Workspace.model_validate(_fields(row, Workspace)) if row is not None else None

    def get_workspace(self, workspace_id: UUID) -> Workspace:
        """The workspace, or NotFound."""
        row = self._first(select(workspaces).where(workspaces.c.id == workspace_id))
        if row is None:
            raise NotFound(f"there is no workspace {workspace_id}; list them with `dct workspace list`")
        return Workspace.model_validate(_fields(row, Workspace))

    def expect_own_write(self, item_id: UUID, external_id: str) -> None:
        """Say before a write (a commit, a comment) that it is ours, so that its event gets its cause."""
        self._write(lambda connection: connection.execute(self._own_write(item_id, external_id)))

    def expect_own_write_at(self, connection: str, external_id: str) -> None:
        """The same of any item of that connection; where nothing is watched, there is nothing to say."""
        of_connection = select(connections.c.id).where(connections.c.name == connection).scalar_subquery()
        item = select(context_library.c.id).where(context_library.c.connection_id == of_connection)

        def write(session: Connection) -> None:
            item_id = session.scalar(item.order_by(context_library.c.id).limit(1))
            if item_id is not None:
                statement = insert(own_writes).values(**self._written(item_id, external_id))
                session.execute(
                    statement.on_conflict_do_update(
                        index_elements=["item_id", "external_id"],
                        set_={"execution_id": self.execution.id, "chain": list(self.chain)},
                    )
                )

        self._write(write)

    def settle_own_write(self, item_id: UUID, announced: str, external_id: str | None) -> None:
        """Let the id that a write turned out to have take the place of what was announced; None: no write."""
        gone = delete(own_writes).where(
            own_writes.c.item_id == item_id,
            own_writes.c.external_id == announced,
            own_writes.c.execution_id == self.execution.id,
        )

        def write(connection: Connection) -> None:
            if external_id is not None:
                connection.execute(self._own_write(item_id, external_id))
            connection.execute(gone)

        self._write(write)

    def _own_write(self, item_id: UUID, external_id: str) -> Any:
        return insert(own_writes).values(**self._written(item_id, external_id)).on_conflict_do_nothing()

    def _written(self, item_id: UUID, external_id: str) -> dict[str, Any]:
        return {
            "item_id": item_id,
            "external_id": external_id,
            "execution_id": self.execution.id,
            "chain": list(self.chain),
        }

    @property
    def chain(self) -> tuple[UUID, ...]:
        """The triggers in whose wake this execution writes, its own last."""
        before, own = self.execution.cause_chain, self.execution.trigger_id
        return before if own is None or own in before[-1:] else (*before, own)

    def _write(self, write: Callable[[Connection], object]) -> None:
        def fenced() -> None:
            with self.database.begin() as connection:
                reading.fence(connection, self.execution.id, self.execution.attempt)
                write(connection)

        patiently(fenced, self.patience_seconds)

    def _first(self, statement: Select[Any]) -> Row[Any] | None:
        def read() -> Row[Any] | None:
            with self.database.connect() as connection:
                return connection.execute(statement.limit(1)).one_or_none()

        return patiently(read, self.patience_seconds)


def _upsert(table: Any, values: dict[str, Any]) -> Any:
    statement = insert(table).values(**values)
    kept = {"id", "execution_id", "created_at"}
    changes = {name: value for name, value in values.items() if name not in kept}
    return statement.on_conflict_do_update(index_elements=["id"], set_=changes)


def _fields(row: Row[Any], model: Any) -> dict[str, Any]:
    return {name: value for name, value in row._mapping.items() if name in model.model_fields}


def _to_deployment(row: Row[Any]) -> Deployment:
    return Deployment.model_validate(_fields(row, Deployment))
