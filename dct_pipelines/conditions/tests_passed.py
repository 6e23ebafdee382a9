"""Every check that counts passed on the current head of a branch or a pull request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

from pydantic import Field

from dct_pipelines.domain.check_rules import said_of, unpassed
from dct_pipelines.domain.condition import ConditionConfig, ConditionType, Finder, expect
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.matching import (
    BranchGlob,
    GlobIndex,
    Name,
    glob_matches,
    same_name,
    shown,
)
from dct_pipelines.domain.payloads import CheckReported, PullRequestAssessed
from dct_pipelines.domain.snapshot import BranchState, PullRequestState, Snapshot
from dct_pipelines.domain.verdict import Verdict, no, yes
from dct_pipelines.domain.words import CheckState, ItemKind


class PassedTests(ConditionConfig):
    """Of which branches (a pull request's is its source), and which checks."""

    branch: BranchGlob | None = Field(default=None, description="not given: any")
    checks: Annotated[tuple[Name, ...], Field(max_length=50)] = Field(
        default=(), description="not given: all that reported, at least one"
    )
    allow_forks: bool = Field(default=False, description="pull requests from other repositories count too")


def _judge(
    config: PassedTests, branch: str, head: str, checks: Mapping[str, CheckState], what: str = ""
) -> Verdict:
    if config.branch is not None and not glob_matches(config.branch, branch):
        return no(f"branch {shown(branch)} is not {config.branch!r}")
    at = f"{what or shown(branch)} at {head[:8]}"
    if fault := unpassed(checks, config.checks):
        return no(f"{at}: {fault}")
    return yes(f"{at} passed {said_of(checks, config.checks)}")


def _judge_request(config: PassedTests, request: PullRequestAssessed | PullRequestState) -> Verdict:
    what = f"pull request {request.number}"
    if not request.is_open:
        return no(f"{what} is closed")
    if request.is_from_fork and not config.allow_forks:
        return no(f"{what} is from a fork, which allow_forks would let count")
    return _judge(config, request.source, request.head, request.checks, what)


def _test(config: PassedTests, event: Event) -> Verdict:
    if isinstance(event.payload, PullRequestAssessed):
        return _judge_request(config, event.payload)
    report = expect(event.payload, CheckReported)
    verdict = _judge(config, report.branch, report.head, report.checks)
    if verdict.fired and config.checks and not any(same_name(report.name, name) for name in config.checks):
        return no(f"check {shown(report.name)!r} is none of {', '.join(map(repr, config.checks))}")
    return verdict


def _is_true(config: PassedTests, snapshot: Snapshot, _at: datetime) -> Verdict:
    if isinstance(snapshot.state, PullRequestState):
        return _judge_request(config, snapshot.state)
    branch = expect(snapshot.state, BranchState)
    return _judge(config, branch.branch, branch.head, branch.checks)


def _once_key(_config: PassedTests, event: Event) -> str | None:
    if isinstance(event.payload, PullRequestAssessed):
        return f"#{event.payload.number} {event.payload.head}"
    report = expect(event.payload, CheckReported)
    return f"{report.branch} {report.head}"


def _finder(configs: Sequence[PassedTests]) -> Finder:
    index = GlobIndex((config.branch or "**", place) for place, config in enumerate(configs))

    def find(event: Event) -> list[int]:
        if isinstance(event.payload, PullRequestAssessed):
            return index.find(event.payload.source)
        return index.find(expect(event.payload, CheckReported).branch)

    return find


CONDITION = ConditionType(
    kind="tests_passed",
    summary="every check passed on the current head",
    config=PassedTests,
    item_kinds=frozenset({ItemKind.GIT_REPOSITORY, ItemKind.PULL_REQUEST}),
    event_kinds=frozenset({"check_reported", "pull_request_assessed"}),
    state_kinds=frozenset({"branch", "pull_request"}),
    test=_test,
    is_true=_is_true,
    example={"branch": "qa", "checks": ["unit", "end-to-end"]},
    once_key=_once_key,
    finder=_finder,
)
