"""Records of a dry run: what would be stored is only remembered, and read again within the same dry run."""

from __future__ import annotations

from uuid import UUID, uuid5

from dct_pipelines.domain.operations import Check, Deployment, Workspace
from dct_pipelines.domain.ports import RecordsPort
from dct_pipelines.domain.words import DeploymentState


class DryRunRecords:
    """Lies over the real records. A sentence is left for what somebody outside would see."""

    def __init__(self, inner: RecordsPort, would: list[str]) -> None:
        self._inner = inner
        self._would = would
        self._deployments: dict[UUID, Deployment] = {}
        self._checks: dict[tuple[UUID, str, str], Check] = {}
        self._workspaces: dict[UUID, Workspace] = {}

    def current_deployment(self, environment: str) -> Deployment | None:
        """The last that succeeded, here or there."""
        ours = [
            deployment
            for deployment in self._deployments.values()
            if deployment.environment == environment and deployment.state is DeploymentState.SUCCEEDED
        ]
        return ours[-1] if ours else self._inner.current_deployment(environment)

    def save_deployment(self, deployment: Deployment) -> None:
        """Remembered; the deployer speaks of it."""
        self._deployments.pop(deployment.id, None)
        self._deployments[deployment.id] = deployment

    def find_deployment(self, execution_id: UUID, environment: str) -> Deployment | None:
        """The deployment that this execution made there."""
        for deployment in self._deployments.values():
            if (deployment.execution_id, deployment.environment) == (execution_id, environment):
                return deployment
        return self._inner.find_deployment(execution_id, environment)

    def find_check(self, repository_item_id: UUID, commit: str, name: str) -> Check | None:
        """The latest result."""
        key = (repository_item_id, commit, name)
        return self._checks.get(key) or self._inner.find_check(*key)

    def report_check(self, check: Check) -> None:
        """Remembered, and said: a check can fire triggers."""
        self._checks[check.repository_item_id, check.commit, check.name] = check
        self._would.append(f"report the check {check.name} on {check.commit[:8]} as {check.state}")

    def save_workspace(self, workspace: Workspace) -> None:
        """Remembered; the port of their files speaks of it."""
        self._workspaces[workspace.id] = workspace

    def find_workspace(self, execution_id: UUID, name: str) -> Workspace | None:
        """The workspace that this action made."""
        return self._workspaces.get(uuid5(execution_id, name)) or self._inner.find_workspace(
            execution_id, name
        )

    def get_workspace(self, workspace_id: UUID) -> Workspace:
        """The workspace, or NotFound."""
        return self._workspaces.get(workspace_id) or self._inner.get_workspace(workspace_id)

    def expect_own_write(self, item_id: UUID, external_id: str) -> None:
        """Nothing is written, so nothing is expected."""

    def expect_own_write_at(self, connection: str, external_id: str) -> None:
        """Nothing is written, so nothing is expected."""

    def settle_own_write(self, item_id: UUID, announced: str, external_id: str | None) -> None:
        """Nothing was announced."""
