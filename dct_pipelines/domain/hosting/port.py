"""What actions ask of a git host.

Errors: `ActionFailed` where trying again is no use, else transient ones (`ConnectionDown`, `Throttled`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from dct_pipelines.domain.words import CheckState


@dataclass(frozen=True)
class HostedRequest:
    """A pull (merge) request as it is now. `repository` is `owner/name` (with groups on GitLab)."""

    repository: str
    number: int
    title: str
    source: str
    target: str
    head: str
    is_open: bool
    is_draft: bool
    is_merged: bool
    url: str


@dataclass(frozen=True)
class NewRequest:
    """A pull request that is to be opened. Branches are of the same repository."""

    repository: str
    source: str
    target: str
    title: str
    body: str
    is_draft: bool = False
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    head: str = ""
    """Where the source was when it was looked at; a host takes the branch as it is."""


@dataclass(frozen=True)
class HostMerge:
    """What a merge through the host gave."""

    state: Literal["merged", "contained", "conflict", "moved", "refused"]
    """`moved`: the head is no longer the one that was asked for."""
    commit: str | None = None
    reason: str = ""


@dataclass(frozen=True)
class PipelineRun:
    """A workflow run or pipeline. `state` pending means that it is not over."""

    id: str
    state: CheckState
    url: str


class CodeHostPort(Protocol):
    """Reads and changes a git host."""

    def find_open_request(self, repository: str, source: str, target: str) -> HostedRequest | None:
        """The open pull request from that branch to that one."""

    def request(self, repository: str, number: int) -> HostedRequest:
        """One pull request."""

    def open_request(self, wanted: NewRequest) -> HostedRequest:
        """Open one; when the host says that one is open already, that one."""

    def merge_request(
        self, repository: str, number: int, *, head: str, method: str, message: str
    ) -> HostMerge:
        """Merge a pull request if its head is still `head`. `method`: merge, squash or rebase."""

    def merge_branches(self, repository: str, *, source: str, target: str, message: str) -> HostMerge:
        """Merge a branch or commit into a branch; `refused` where the host cannot do that."""

    def dispatch(
        self, repository: str, *, workflow: str, ref: str, inputs: Mapping[str, str], key: str
    ) -> PipelineRun | None:
        """Start a workflow or pipeline; None when the host does not say which run that became."""

    def find_run(self, repository: str, *, workflow: str, ref: str, key: str) -> PipelineRun | None:
        """The run that was started with this key, if it can be found."""

    def run(self, repository: str, run_id: str) -> PipelineRun:
        """A run as it is now."""

    def create_deployment(
        self, repository: str, *, commit: str, environment: str, description: str, key: str
    ) -> str:
        """Record a deployment of a commit at the host; its id. One with the same key is reused."""

    def deployment_status(
        self,
        repository: str,
        deployment: str,
        *,
        state: Literal["in_progress", "success", "failure"],
        url: str,
    ) -> None:
        """Report how the deployment stands."""

    def report_check(
        self, repository: str, *, commit: str, name: str, state: CheckState, summary: str, url: str
    ) -> None:
        """Show a check on a commit; repeating it replaces it."""
