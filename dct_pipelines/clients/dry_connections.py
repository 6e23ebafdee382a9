"""Connections of a dry run: reads pass, every write becomes a sentence about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from dct_pipelines.clients.dry_tracker import DryTracker
from dct_pipelines.domain.connected import ConnectionsPort
from dct_pipelines.domain.hosting.port import (
    CodeHostPort,
    HostedRequest,
    HostMerge,
    NewRequest,
    PipelineRun,
)
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.tracking.port import TrackerPort
from dct_pipelines.domain.words import CheckState

NOT_OPENED = 999_999_999
"""Stands for the number that a pull request would get."""
UNKNOWN_COMMIT = "<commit>"


class DryConnections:
    """The connections as a dry run uses them; what one action would have written, the next one sees."""

    def __init__(self, inner: ConnectionsPort, would: list[str]) -> None:
        self._inner = inner
        self._would = would
        self._hosts: dict[str, DryCodeHost] = {}
        self._trackers: dict[str, DryTracker] = {}

    def tracker(self, connection: str) -> TrackerPort:
        """The ticket tracker of that connection, which changes nothing."""
        if connection not in self._trackers:
            self._trackers[connection] = DryTracker(self._inner.tracker(connection), self._would)
        return self._trackers[connection]

    def code_host(self, connection: str) -> CodeHostPort:
        """The git host of that connection, which changes nothing."""
        if connection not in self._hosts:
            self._hosts[connection] = DryCodeHost(self._inner.code_host(connection), self._would)
        return self._hosts[connection]


class DryCodeHost:
    """Opens, merges, starts and reports nothing."""

    def __init__(self, inner: CodeHostPort, would: list[str]) -> None:
        self._inner = inner
        self._would = would
        self._opened: list[HostedRequest] = []
        self.run = inner.run
        self.find_run = inner.find_run

    def find_open_request(self, repository: str, source: str, target: str) -> HostedRequest | None:
        """The open one, here or there."""
        for request in self._opened:
            there = (request.repository, request.source, request.target)
            if request.is_open and there == (repository, source, target):
                return request
        return self._inner.find_open_request(repository, source, target)

    def request(self, repository: str, number: int) -> HostedRequest:
        """One pull request, here or there."""
        for request in self._opened:
            if (request.repository, request.number) == (repository, number):
                return request
        return self._inner.request(repository, number)

    def open_request(self, wanted: NewRequest) -> HostedRequest:
        """Remembered, and said."""
        self._would.append(
            f"open a pull request from {shown(wanted.source)} to {shown(wanted.target)}: "
            f"{shown(wanted.title)!r}"
        )
        request = HostedRequest(
            repository=wanted.repository,
            number=NOT_OPENED - len(self._opened),
            title=wanted.title,
            source=wanted.source,
            target=wanted.target,
            head=wanted.head,
            is_open=True,
            is_draft=wanted.is_draft,
            is_merged=False,
            url="",
        )
        self._opened.append(request)
        return request

    def merge_request(
        self, repository: str, number: int, *, head: str, method: str, message: str
    ) -> HostMerge:
        """Said; whether the host would refuse, only asking it tells."""
        request = self.request(repository, number)
        which = f"pull request {number}"
        if request in self._opened:
            which = "that pull request"
            self._opened.remove(request)
            self._opened.append(replace(request, is_open=False, is_merged=True))
        self._would.append(f"merge {which} into {shown(request.target)} at the host, by {method}")
        return HostMerge("merged", UNKNOWN_COMMIT)

    def merge_branches(self, repository: str, *, source: str, target: str, message: str) -> HostMerge:
        """Said."""
        self._would.append(f"merge {shown(source)[:8]} into {shown(target)} at the host")
        return HostMerge("merged", UNKNOWN_COMMIT)

    def dispatch(
        self, repository: str, *, workflow: str, ref: str, inputs: Mapping[str, str], key: str
    ) -> PipelineRun | None:
        """Said, and taken for successful."""
        self._would.append(f"start {shown(workflow) or 'the pipeline'} of {repository} on {shown(ref)}")
        return PipelineRun("<run>", CheckState.SUCCESS, "")

    def create_deployment(
        self, repository: str, *, commit: str, environment: str, description: str, key: str
    ) -> str:
        """Said."""
        self._would.append(f"record at the host that {commit[:8]} is deployed to {environment}")
        return "<deployment>"

    def deployment_status(
        self,
        repository: str,
        deployment: str,
        *,
        state: Literal["in_progress", "success", "failure"],
        url: str,
    ) -> None:
        """Part of what `create_deployment` said."""

    def report_check(
        self, repository: str, *, commit: str, name: str, state: CheckState, summary: str, url: str
    ) -> None:
        """Said."""
        self._would.append(f"show the check {name} on {commit[:8]} at the host as {state}")
