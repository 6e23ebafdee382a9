"""Dry runs: the ports of an action with every write replaced by a sentence about it.

Reads pass, and see what the same dry run would have written, so that one action can be tried after another.
Commits that only exist in our git cache are no writes: nobody sees them before they are pushed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from uuid import UUID

from dct_pipelines.clients.dry_connections import DryConnections
from dct_pipelines.clients.dry_records import DryRunRecords
from dct_pipelines.domain.action import ActionConfig, ActionContext, ActionType
from dct_pipelines.domain.git import GitPort, PushResult, PushStatus, RefUpdate, RepositoryRef
from dct_pipelines.domain.git_refs import Oid
from dct_pipelines.domain.operations import Notification
from dct_pipelines.domain.outcome import Outcome, done, nothing_to_do
from dct_pipelines.domain.ports import (
    ActionPorts,
    Archive,
    BundleFile,
    DeployRequest,
    DeployResult,
    Receipt,
    Repository,
    SuiteRequest,
    WorkspaceFilesPort,
)
from dct_pipelines.domain.process import Command, ProcessPort

A = TypeVar("A", bound=ActionConfig)


class _OnlyRunningTells(Exception):
    """The action cannot be tried any further: what comes next depends on what a command does."""


class DryRun:
    """Tries actions one after the other. `would` are the sentences of all of them."""

    def __init__(self, ports: ActionPorts) -> None:
        self.would: list[str] = []
        self._opened: dict[Path, Oid] = {}
        self.ports = replace(
            ports,
            git=_Git(ports.git, self.would, self._opened),
            processes=_Processes(ports.processes, self.would),
            records=DryRunRecords(ports.records, self.would),
            deployers={name: _Deployer(name, self.would) for name in ports.deployers},
            suites=_Suites(self.would),
            workspaces=_Workspaces(ports.workspaces, self.would, self._opened),
            channels={name: _Channel(name, self.would) for name in ports.channels},
            connections=DryConnections(ports.connections, self.would),
        )

    def rehearse(self, action: ActionType[A], context: ActionContext, config: A) -> Outcome:
        """What the action would do. Its own errors come through: a conflict now is a conflict then.

        Outputs that only running can tell are given as `<name>`.
        """
        before = len(self.would)
        outputs: Mapping[str, Any] = {name: f"<{name}>" for name in action.outputs}
        try:
            outcome = action.run(context, config, self.ports)
        except _OnlyRunningTells:
            pass
        else:
            outputs = {**outputs, **outcome.outputs}
            if len(self.would) == before:
                return nothing_to_do(f"would do nothing: {outcome.summary}", **outputs)
        return done("would " + "; ".join(self.would[before:]), **outputs)


class _Git:
    """Reads pass; a push is remembered, so that the branch is read as moved."""

    def __init__(self, inner: GitPort, would: list[str], opened: Mapping[Path, Oid]) -> None:
        self._inner = inner
        self._would = would
        self._opened = opened
        self._moved: dict[tuple[str, str], Oid | None] = {}
        self.list_refs = inner.list_refs
        self.fetch = inner.fetch
        self.commits_between = inner.commits_between
        self.is_ancestor = inner.is_ancestor
        self.contains = inner.contains
        self.ahead_behind = inner.ahead_behind
        self.merge_preview = inner.merge_preview
        self.assess = inner.assess
        self.create_merge_commit = inner.create_merge_commit

    def resolve(self, repo: RepositoryRef, ref: str) -> Oid | None:
        if (repo.url, ref) in self._moved:
            return self._moved[repo.url, ref]
        return self._inner.resolve(repo, ref)

    def push(self, repo: RepositoryRef, updates: Mapping[str, RefUpdate]) -> dict[str, PushResult]:
        for ref, update in updates.items():
            self._moved[repo.url, ref] = update.new
            self._would.append(
                f"move {ref} from {(update.expected or 'nothing')[:8]} to {(update.new or 'nothing')[:8]}"
            )
        return dict.fromkeys(updates, PushResult(PushStatus.DONE))

    def checkout_to(self, repo: RepositoryRef, oid: Oid, directory: Path) -> None:
        self._would.append(f"write the files of {oid[:8]} to {directory}")

    def add_worktree(self, repo: RepositoryRef, branch: str, start: Oid, directory: Path) -> None:
        self._would.append(f"open {directory} on a new branch {branch}")

    def collect_worktree(self, repo: RepositoryRef, branch: str, directory: Path) -> Oid:
        if directory in self._opened:
            return self._opened[directory]
        return self._inner.collect_worktree(repo, branch, directory)

    def remove_worktree(self, repo: RepositoryRef, directory: Path) -> None:
        self._would.append(f"remove {directory}")


class _Processes:
    """Runs nothing."""

    def __init__(self, inner: ProcessPort, would: list[str]) -> None:
        self._would = would
        self.isolation_status = inner.isolation_status

    def run(self, command: Command) -> NoReturn:
        self._would.append(f"run {' '.join(command.argv)}")
        raise _OnlyRunningTells


class _Deployer:
    """Deploys nothing."""

    def __init__(self, name: str, would: list[str]) -> None:
        self._name = name
        self._would = would

    def deploy(self, request: DeployRequest) -> DeployResult:
        self._would.append(
            f"deploy {request.commit[:8]} to {request.environment.name} by its deployer {self._name}"
        )
        return DeployResult(True, "not deployed: this is a dry run")


class _Suites:
    """Runs no suite; whether it would pass, nobody knows."""

    def __init__(self, would: list[str]) -> None:
        self._would = would

    def run(self, request: SuiteRequest) -> NoReturn:
        where = request.environment or ("the workspace" if request.workspace_id else "a fresh export")
        self._would.append(f"run the suite {request.suite.name} on {request.commit[:8]} in {where}")
        raise _OnlyRunningTells


class _Workspaces:
    """Makes, writes and packs nothing."""

    def __init__(self, inner: WorkspaceFilesPort, would: list[str], opened: dict[Path, Oid]) -> None:
        self._would = would
        self._opened = opened
        self.directory_for = inner.directory_for
        self.touched_at = inner.touched_at
        self.code = inner.code

    def open(self, workspace_id: UUID, repository: Repository, branch: str, start_commit: str) -> Path:
        directory = self.directory_for(workspace_id)
        self._opened[directory] = Oid(start_commit)
        self._would.append(f"open a workspace at {directory} on a new branch {branch}")
        return directory

    def write(self, workspace_id: UUID, files: Sequence[BundleFile]) -> None:
        self._would.append(f"write {', '.join(file.path for file in files)}")

    def archive(self, workspace_id: UUID, repository: Repository, manifest: Mapping[str, Any]) -> Archive:
        directory = self.directory_for(workspace_id)
        self._would.append(f"pack {directory} into one file and remove it")
        return Archive(Path(f"<archive of {workspace_id}>"), "<sha256>", 0)


class _Channel:
    """Tells nobody."""

    def __init__(self, name: str, would: list[str]) -> None:
        self._name = name
        self._would = would

    def send(self, notification: Notification) -> Receipt:
        self._would.append(f"tell {notification.receiver} over {self._name}: {notification.subject!r}")
        return Receipt("sent", "not sent: this is a dry run")
