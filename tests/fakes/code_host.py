"""`FakeCodeHost`: a git host in memory, over the repositories of a `FakeGit`.

Held to the same contract as the real clients by tests/contracts/test_code_hosts.py.

    host = FakeCodeHost(git, {"acme/shop": shop})
    host.outage = ConnectionDown("the host is away")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from dct_pipelines.domain.errors import ActionFailed, DctError
from dct_pipelines.domain.git import RepositoryRef, Signature
from dct_pipelines.domain.git_refs import HEADS, Oid
from dct_pipelines.domain.hosting.port import HostedRequest, HostMerge, NewRequest, PipelineRun
from dct_pipelines.domain.words import CheckState
from tests.fakes.git import FakeGit
from tests.fakes.git_repository import A_MOMENT, FakeRepository


@dataclass
class FakeRun:
    """A run of a pipeline, and what it was started with."""

    run: PipelineRun
    workflow: str
    ref: str
    inputs: dict[str, str]
    key: str


@dataclass
class FakeDeployment:
    """A recorded deployment and every status that it had."""

    commit: str
    environment: str
    key: str
    states: list[str] = field(default_factory=list)


@dataclass
class FakeCodeHost:
    """A `CodeHostPort`. Everything that it was told is in its fields; `outage` is what every call raises."""

    git: FakeGit
    repositories: dict[str, FakeRepository]
    opened: dict[int, NewRequest] = field(default_factory=dict)
    merged: dict[int, Oid] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)
    runs: dict[str, FakeRun] = field(default_factory=dict)
    deployments: dict[str, FakeDeployment] = field(default_factory=dict)
    checks: dict[tuple[str, str], tuple[CheckState, str]] = field(default_factory=dict)
    outage: DctError | None = None
    refusal: str = ""
    """Why no merge is allowed, if none is."""
    tells_runs: bool = True
    """Whether starting a pipeline says which run that became."""
    before_merge: Callable[[], None] = lambda: None
    """What somebody else does just before a merge."""

    def find_open_request(self, repository: str, source: str, target: str) -> HostedRequest | None:
        self._reach(repository)
        for number, asked in self.opened.items():
            there = (asked.repository, asked.source, asked.target)
            if there == (repository, source, target) and self._hosted(number).is_open:
                return self._hosted(number)
        return None

    def request(self, repository: str, number: int) -> HostedRequest:
        self._reach(repository)
        if number not in self.opened or self.opened[number].repository != repository:
            raise ActionFailed(f"{repository} has no pull request {number}; correct the number")
        return self._hosted(number)

    def open_request(self, wanted: NewRequest) -> HostedRequest:
        there = self._reach(wanted.repository)
        known = self.find_open_request(wanted.repository, wanted.source, wanted.target)
        if known is not None:
            return known
        heads = [there.head(branch) for branch in (wanted.source, wanted.target)]
        if None in heads:
            raise ActionFailed("the host knows no such branch; push it, or correct the name")
        number = len(self.opened) + 1
        self.opened[number] = wanted
        return self._hosted(number)

    def merge_request(
        self, repository: str, number: int, *, head: str, method: str, message: str
    ) -> HostMerge:
        there = self._reach(repository)
        self.before_merge()
        request = self.request(repository, number)
        if request.is_merged:
            return HostMerge("contained", self.merged[number])
        if not request.is_open or request.is_draft or self.refusal:
            return HostMerge("refused", reason=self.refusal or "it is closed or a draft")
        if request.head != head:
            return HostMerge("moved", reason=f"the head is {request.head[:8]}")
        result = self._merge(there, Oid(head), request.target, message, has_two=method == "merge")
        if result.state == "merged" and result.commit:
            self.merged[number] = Oid(result.commit)
        return result

    def merge_branches(self, repository: str, *, source: str, target: str, message: str) -> HostMerge:
        there = self._reach(repository)
        self.before_merge()
        if self.refusal:
            return HostMerge("refused", reason=self.refusal)
        head = there.head(source) or Oid(source)
        return self._merge(there, head, target, message, has_two=True)

    def dispatch(
        self, repository: str, *, workflow: str, ref: str, inputs: Mapping[str, str], key: str
    ) -> PipelineRun | None:
        there = self._reach(repository)
        if there.head(ref) is None:
            raise ActionFailed(f"{repository} has no branch {ref!r}; correct the ref")
        run_id = str(len(self.runs) + 1)
        run = PipelineRun(run_id, CheckState.PENDING, f"https://host.example.org/runs/{run_id}")
        self.runs[run_id] = FakeRun(run, workflow, ref, dict(inputs), key)
        return run if self.tells_runs else None

    def find_run(self, repository: str, *, workflow: str, ref: str, key: str) -> PipelineRun | None:
        self._reach(repository)
        found = (
            one for one in self.runs.values() if (one.workflow, one.ref, one.key) == (workflow, ref, key)
        )
        return next((one.run for one in found), None)

    def run(self, repository: str, run_id: str) -> PipelineRun:
        self._reach(repository)
        if run_id not in self.runs:
            raise ActionFailed(f"{repository} has no run {run_id}")
        return self.runs[run_id].run

    def finish(self, run_id: str, state: CheckState = CheckState.SUCCESS) -> None:
        """The run ends."""
        self.runs[run_id].run = replace(self.runs[run_id].run, state=state)

    def create_deployment(
        self, repository: str, *, commit: str, environment: str, description: str, key: str
    ) -> str:
        self._reach(repository)
        for name, known in self.deployments.items():
            if known.key == key:
                return name
        name = str(len(self.deployments) + 1)
        self.deployments[name] = FakeDeployment(commit, environment, key)
        return name

    def deployment_status(
        self,
        repository: str,
        deployment: str,
        *,
        state: Literal["in_progress", "success", "failure"],
        url: str,
    ) -> None:
        self._reach(repository)
        self.deployments[deployment].states.append(state)

    def report_check(
        self, repository: str, *, commit: str, name: str, state: CheckState, summary: str, url: str
    ) -> None:
        self._reach(repository)
        self.checks[commit, name] = (state, summary)

    def _reach(self, repository: str) -> FakeRepository:
        if self.outage is not None:
            raise self.outage
        if repository not in self.repositories:
            raise ActionFailed(f"there is no repository {repository}, or it is hidden; correct the location")
        return self.repositories[repository]

    def _hosted(self, number: int) -> HostedRequest:
        asked = self.opened[number]
        head = self.repositories[asked.repository].head(asked.source)
        return HostedRequest(
            repository=asked.repository,
            number=number,
            title=asked.title,
            source=asked.source,
            target=asked.target,
            head=head or "0" * 40,
            is_open=number not in self.merged and number not in self.closed,
            is_draft=asked.is_draft,
            is_merged=number in self.merged,
            url=f"https://host.example.org/{asked.repository}/pull/{number}",
        )

    def _merge(
        self, there: FakeRepository, head: Oid, target: str, message: str, *, has_two: bool
    ) -> HostMerge:
        into, repo = there.head(target), RepositoryRef(there.url)
        if into is None:
            return HostMerge("refused", reason=f"there is no branch {target!r}")
        if self.git.is_ancestor(repo, head, into):
            return HostMerge("contained", into)
        preview = self.git.merge_preview(repo, into, head)
        if preview.tree is None:
            return HostMerge("conflict", reason=preview.explanation)
        who = Signature(name="Host", email="host@example.invalid", at=A_MOMENT)
        parents = (into, head) if has_two else (into,)
        commit = self.git.objects.keep_commit(preview.tree, parents, message, who)
        there.refs[HEADS + target] = commit
        return HostMerge("merged", commit)
