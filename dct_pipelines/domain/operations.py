"""What operators define, and what actions record of it: environments, suites, drafts, workspaces.

Commands are named by operators, never by triggers: a trigger names an environment or a suite.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from dct_pipelines.domain.facts import Fact
from dct_pipelines.domain.pipelines import GithubActionsDeployer, GitlabCiDeployer
from dct_pipelines.domain.trigger import Definition, Name
from dct_pipelines.domain.words import CheckState, DeploymentState, WorkspaceState

Argv = Annotated[tuple[str, ...], Field(min_length=1)]
SecretRef = Annotated[str, Field(pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.+|command:\s*\S.*)$")]
"""Where a secret is read when used: `env:NAME`, `file:/path`, `command:PROGRAM ...`. Never the secret."""


class ProcessLimits(Definition):
    """Bounds of an operator's command."""

    timeout_seconds: int = Field(default=900, ge=1, le=24 * 3600)
    memory_mb: int | None = Field(default=None, ge=16)
    max_processes: int | None = Field(default=None, ge=1)
    output_limit_kb: int = Field(default=1024, ge=1, le=64 * 1024)


class HealthCheck(Definition):
    """How to tell that a deployment works: a URL that answers 2xx, or a command that ends with 0."""

    url: str | None = None
    command: Argv | None = None
    attempts: int = Field(default=10, ge=1, le=100)
    interval_seconds: float = Field(default=1, gt=0, le=60)


class LocalDeployer(Definition):
    """Exports the commit into a fresh directory under the environment's home and runs a command there.

    The command gets DCT_ENVIRONMENT, DCT_COMMIT, DCT_BRANCH, DCT_IDEMPOTENCY_KEY and DCT_RELEASE_DIR.
    """

    type: Literal["local"] = "local"
    command: Argv
    working_directory: str = "."
    """Within the exported tree."""
    environment_variables: dict[str, str] = Field(default_factory=dict)
    secrets: dict[str, SecretRef] = Field(default_factory=dict)
    """Variables whose values are read from a reference when the command starts."""
    writable: tuple[str, ...] = ()
    """Directories outside the release that the command may write to when it runs isolated."""


class WebhookDeployer(Definition):
    """Asks another system to deploy, by one signed POST that carries our idempotency key."""

    type: Literal["webhook"] = "webhook"
    url: str
    secret: SecretRef | None = None
    allow_private_network: bool = False


Deployer = Annotated[
    LocalDeployer | WebhookDeployer | GithubActionsDeployer | GitlabCiDeployer, Field(discriminator="type")
]


class EnvironmentSpec(Definition):
    """A deploy target: which repository and branch it runs and how a commit gets there."""

    name: Name
    description: str = ""
    repository: Name
    branch: str
    deployer: Deployer
    health_check: HealthCheck | None = None
    limits: ProcessLimits = ProcessLimits()
    report_deployment: bool = False
    """Also record each deployment at the repository's git host, by its interface of deployments."""


class SuiteSpec(Definition):
    """A test suite: a command and where its JUnit XML is found afterwards."""

    name: Name
    description: str = ""
    command: Argv
    working_directory: str = "."
    junit: str | None = "**/junit*.xml"
    """Glob within the working directory; None when the command writes none (its exit code decides)."""
    environment_variables: dict[str, str] = Field(default_factory=dict)
    secrets: dict[str, SecretRef] = Field(default_factory=dict)
    limits: ProcessLimits = ProcessLimits()


class DraftSpec(Definition):
    """The template of a workspace. `title` and `branch` may be templates over the event."""

    name: Name
    title: str
    repository: Name
    base: str = ""
    """Branch to start from; empty is the repository's default branch."""
    branch: str = "ws/{{ workspace.short_id }}"
    context: tuple[Name, ...] = ()
    """Context items to include besides the one that fired."""
    suites: tuple[Name, ...] = ()
    instructions: str = ""
    retention_days: int = Field(default=14, ge=0, le=3650)


class Deployment(Fact):
    """One deployment of one commit to one environment."""

    id: UUID
    environment: str
    commit: str
    branch: str
    merged_from: str | None = None
    state: DeploymentState
    execution_id: UUID
    started_at: datetime
    ended_at: datetime | None = None
    summary: str = ""


class Check(Fact):
    """The result of a named check on a commit, reported by us or by a CI."""

    repository_item_id: UUID
    commit: str
    name: str
    state: CheckState
    summary: str = ""
    url: str | None = None
    reported_at: datetime


class Workspace(Fact):
    """A working directory with its own branch and context bundle. `directory` is an absolute path."""

    id: UUID
    title: str
    draft: str | None
    repository_item_id: UUID
    branch: str
    start_commit: str
    directory: str
    state: WorkspaceState
    execution_id: UUID
    suites: tuple[str, ...] = ()
    deliverables: tuple[str, ...] = ()
    context_digest: str = ""
    archive_path: str | None = None
    archive_sha256: str | None = None
    created_at: datetime
    retain_until: datetime | None = None


class Notification(Fact):
    """A message to people over one channel; its key is unique per execution, action, channel and receiver."""

    channel: str
    receiver: str
    subject: str
    text: str
    idempotency_key: str
    facts: dict[str, Any] = Field(default_factory=dict)
    """Machine-readable facts for webhook receivers."""
    thread: str | None = None
    """Answer in this thread, where the channel has threads."""
    update_key: str | None = None
    """Replace the earlier message of this key, where the channel can."""
    is_repeat: bool = False
    """An earlier attempt may have sent it."""
