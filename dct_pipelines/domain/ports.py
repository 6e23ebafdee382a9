"""Ports: what the core asks of the outside, as Protocols. Each has a real, a dry-run and a fake form.

Only the real ones catch the exceptions of drivers and turn them into our errors. Git and processes have
modules of their own (`domain.git`, `domain.process`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol
from uuid import UUID

from dct_pipelines.domain.connected import ConnectionsPort, ItemFacts
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.git import GitPort, RepositoryRef
from dct_pipelines.domain.operations import (
    Check,
    Deployment,
    DraftSpec,
    EnvironmentSpec,
    Notification,
    SuiteSpec,
    Workspace,
)
from dct_pipelines.domain.process import ProcessPort, ProcessResult
from dct_pipelines.domain.words import WorkspaceCode


class Clock(Protocol):
    """The time, UTC and aware."""

    def now(self) -> datetime:
        """The current time."""


class SecretsPort(Protocol):
    """Reads a secret by its reference when it is needed."""

    def read(self, reference: str) -> str:
        """The secret; CredentialRefused with the reference's name (never its value) when it is not there."""

    def forget(self, reference: str) -> None:
        """Say that the secret was refused: the next read asks where it comes from, not a memory."""


@dataclass(frozen=True)
class Repository:
    """A git repository of the context library and how to reach it."""

    item_id: UUID
    name: str
    ref: RepositoryRef


class LibraryPort(Protocol):
    """What operators and teams have defined, by name. Each raises NotFound with the nearest valid name."""

    def repository(self, name: str) -> Repository:
        """The repository of that item name."""

    def repository_by_id(self, item_id: UUID) -> Repository:
        """The repository of that context item; NotFound when it was removed."""

    def item(self, name: str) -> ItemFacts:
        """The context item of that name, of any kind."""

    def item_by_id(self, item_id: UUID) -> ItemFacts:
        """The context item of that id; NotFound when it was removed."""

    def connection_kind(self, name: str) -> str:
        """What the connection of that name speaks to, e.g. `jira`."""

    def connection_root(self, name: str) -> str:
        """The path of its address below which everything of that connection lies; mostly empty."""

    def environment(self, name: str) -> EnvironmentSpec:
        """The environment of that name."""

    def suite(self, name: str) -> SuiteSpec:
        """The test suite of that name."""

    def draft(self, name: str) -> DraftSpec:
        """The workspace draft of that name."""

    def context_item(self, name: str) -> Mapping[str, Any]:
        """A context item as plain data for a context bundle: name, kind, location, latest states."""


class RecordsPort(Protocol):
    """What actions record and look up: durable when the method returns."""

    def current_deployment(self, environment: str) -> Deployment | None:
        """The last deployment of that environment that succeeded."""

    def save_deployment(self, deployment: Deployment) -> None:
        """Insert or update by id."""

    def find_deployment(self, execution_id: UUID, environment: str) -> Deployment | None:
        """The deployment that this execution made there, in any state."""

    def find_check(self, repository_item_id: UUID, commit: str, name: str) -> Check | None:
        """The latest result of that check on that commit."""

    def report_check(self, check: Check) -> None:
        """Store it; the next read of the repository turns it into an event."""

    def save_workspace(self, workspace: Workspace) -> None:
        """Insert or update by id."""

    def find_workspace(self, execution_id: UUID, name: str) -> Workspace | None:
        """The workspace that this execution's action `name` made (its id derives from both)."""

    def get_workspace(self, workspace_id: UUID) -> Workspace:
        """The workspace, or NotFound."""

    def expect_own_write(self, item_id: UUID, external_id: str) -> None:
        """Say before a write (a commit, a comment) that it is ours, so that its event gets its cause."""

    def expect_own_write_at(self, connection: str, external_id: str) -> None:
        """The same for something that any item of that connection may see; the last who says so counts."""

    def settle_own_write(self, item_id: UUID, announced: str, external_id: str | None) -> None:
        """Let the id that a write turned out to have take the place of what was announced.

        None: it did not come to the write, so that somebody else's is not taken for ours.
        """


@dataclass(frozen=True)
class DeployRequest:
    """What a deployer is asked: one commit to one environment. `key` is the idempotency key."""

    environment: EnvironmentSpec
    repository: Repository
    commit: str
    key: str
    execution_id: UUID
    log: Callable[[str], None]
    is_cancelled: Callable[[], bool]
    is_repeat: bool = False
    """Whether an earlier attempt may have asked for the same."""


@dataclass(frozen=True)
class DeployResult:
    """How a deployment went; `summary` is for people, `url` where to look."""

    succeeded: bool
    summary: str
    url: str | None = None


class DeployerPort(Protocol):
    """Brings a commit to an environment and waits until its health check passes."""

    def deploy(self, request: DeployRequest) -> DeployResult:
        """Deploy. Repeating a call with the same key must not deploy twice where that can be helped."""


@dataclass(frozen=True)
class SuiteRequest:
    """A test suite on one commit: in a workspace, in an environment's release, else in a fresh export."""

    suite: SuiteSpec
    repository: Repository
    commit: str
    key: str
    log: Callable[[str], None]
    is_cancelled: Callable[[], bool]
    workspace_id: UUID | None = None
    environment: str | None = None


@dataclass(frozen=True)
class SuiteRun:
    """How the command ended, and the JUnit files that it wrote, each as it is and bounded in size."""

    process: ProcessResult
    reports: tuple[bytes, ...]


class SuiteRunnerPort(Protocol):
    """Runs the command of a test suite and collects what it reported."""

    def run(self, request: SuiteRequest) -> SuiteRun:
        """Run to the end, however it ends; ActionFailed when there is no place to run in."""


@dataclass(frozen=True)
class BundleFile:
    """A file of a context bundle, relative to the workspace."""

    path: str
    content: str


@dataclass(frozen=True)
class Archive:
    """A workspace packed into one file."""

    path: Path
    sha256: str
    size_bytes: int


class WorkspaceFilesPort(Protocol):
    """The files of workspaces: git worktrees on their own branches, and their context bundles."""

    def directory_for(self, workspace_id: UUID) -> Path:
        """Where that workspace lives (whether or not it exists yet)."""

    def open(self, workspace_id: UUID, repository: Repository, branch: str, start_commit: str) -> Path:
        """Make the worktree on its own branch, or find it as an earlier attempt left it.

        Where its directory is there and its code is not, the code comes back and what is there stays.
        """

    def code(self, workspace_id: UUID) -> WorkspaceCode:
        """Whether the code of that workspace is here."""

    def write(self, workspace_id: UUID, files: Sequence[BundleFile]) -> None:
        """Write bundle files atomically, each replaced as a whole."""

    def archive(self, workspace_id: UUID, repository: Repository, manifest: Mapping[str, Any]) -> Archive:
        """Pack directory and manifest, checksum it, then remove the worktree. Repeatable at any point."""

    def touched_at(self, workspace_id: UUID) -> datetime | None:
        """When somebody last changed a file in it; None when it is not there."""


@dataclass(frozen=True)
class Receipt:
    """What a channel says of a message.

    `duplicate`: the receiver had it already. `uncertain`: it may have arrived, and is not sent again.
    """

    state: Literal["sent", "duplicate", "uncertain"]
    detail: str
    message_id: str | None = None
    """What the channel calls the message, where later actions can refer to it."""


class ChannelPort(Protocol):
    """Sends a notification over one channel: mail, a signed webhook, a file outbox."""

    def send(self, notification: Notification) -> Receipt:
        """Deliver or raise; the same idempotency key must not reach people twice where that can be helped."""


FindEvent = Callable[[], Event | None]


@dataclass(frozen=True)
class ActionPorts:
    """Everything an action may touch."""

    clock: Clock
    secrets: SecretsPort
    git: GitPort
    processes: ProcessPort
    library: LibraryPort
    records: RecordsPort
    deployers: Mapping[str, DeployerPort]
    suites: SuiteRunnerPort
    workspaces: WorkspaceFilesPort
    channels: Mapping[str, ChannelPort]
    connections: ConnectionsPort
    find_event: FindEvent = lambda: None
    """Few actions look at the event, so it is read when the first of them does."""

    @cached_property
    def event(self) -> Event | None:
        """The event that fired, for context bundles; None in a manual execution."""
        return self.find_event()
