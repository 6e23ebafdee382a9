"""What actions record, in memory."""

from __future__ import annotations

from uuid import UUID, uuid5

from dct_pipelines.domain.errors import NotFound
from dct_pipelines.domain.operations import Check, Deployment, Workspace
from dct_pipelines.domain.words import DeploymentState


class FakeRecords:
    """Records that forget nothing: `deployments`, `checks`, `workspaces`, `own_writes`."""

    def __init__(self) -> None:
        self.deployments: dict[UUID, Deployment] = {}
        self.checks: dict[tuple[UUID, str, str], Check] = {}
        self.workspaces: dict[UUID, Workspace] = {}
        self.own_writes: list[tuple[UUID, str]] = []
        self.own_writes_at: list[tuple[str, str]] = []

    def current_deployment(self, environment: str) -> Deployment | None:
        done = [
            deployment
            for deployment in self.deployments.values()
            if deployment.environment == environment and deployment.state is DeploymentState.SUCCEEDED
        ]
        return max(done, key=lambda deployment: deployment.ended_at or deployment.started_at, default=None)

    def save_deployment(self, deployment: Deployment) -> None:
        self.deployments[deployment.id] = deployment

    def find_deployment(self, execution_id: UUID, environment: str) -> Deployment | None:
        made = [
            deployment
            for deployment in self.deployments.values()
            if (deployment.execution_id, deployment.environment) == (execution_id, environment)
        ]
        return max(made, key=lambda deployment: deployment.started_at, default=None)

    def find_check(self, repository_item_id: UUID, commit: str, name: str) -> Check | None:
        return self.checks.get((repository_item_id, commit, name))

    def report_check(self, check: Check) -> None:
        known = self.find_check(check.repository_item_id, check.commit, check.name)
        if known is None or known.reported_at <= check.reported_at:
            self.checks[check.repository_item_id, check.commit, check.name] = check

    def save_workspace(self, workspace: Workspace) -> None:
        self.workspaces[workspace.id] = workspace

    def find_workspace(self, execution_id: UUID, name: str) -> Workspace | None:
        return self.workspaces.get(uuid5(execution_id, name))

    def get_workspace(self, workspace_id: UUID) -> Workspace:
        if workspace_id not in self.workspaces:
            raise NotFound(f"there is no workspace {workspace_id}; see `dct workspace list`")
        return self.workspaces[workspace_id]

    def expect_own_write(self, item_id: UUID, external_id: str) -> None:
        self.own_writes.append((item_id, external_id))

    def expect_own_write_at(self, connection: str, external_id: str) -> None:
        self.own_writes_at.append((connection, external_id))

    def settle_own_write(self, item_id: UUID, announced: str, external_id: str | None) -> None:
        self.own_writes = [write for write in self.own_writes if write != (item_id, announced)]
        if external_id is not None:
            self.own_writes.append((item_id, external_id))
