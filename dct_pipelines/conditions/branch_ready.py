"""A branch is ready to be merged: ahead of its target, without conflicts, checked, and quiet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import Field

from dct_pipelines.domain.check_rules import said_of, unpassed_named
from dct_pipelines.domain.condition import AssessmentAsk, ConditionConfig, ConditionType, Finder, expect
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.matching import (
    BranchGlob,
    GlobIndex,
    Name,
    glob_matches,
    same_name,
    shown,
)
from dct_pipelines.domain.payloads import BranchAssessed
from dct_pipelines.domain.snapshot import BranchState, Snapshot
from dct_pipelines.domain.verdict import Verdict, no, yes
from dct_pipelines.domain.words import ItemKind


class BranchReady(ConditionConfig):
    """Which branches, against which target, and what has to be true of their head."""

    branch: BranchGlob = Field(description="short name; * within a part, ** across parts")
    target_branch: Name | None = Field(default=None, description="not given: the default branch")
    require_clean_merge: bool = True
    require_checks: Annotated[tuple[Name, ...], Field(max_length=50)] = ()
    min_quiet_seconds: int = Field(default=0, ge=0, le=30 * 24 * 3600)


def _is_about(config: BranchReady, assessed: BranchAssessed) -> bool:
    if config.target_branch is None:
        return assessed.is_default_target
    return same_name(config.target_branch, assessed.target)


def _judge(config: BranchReady, head: BranchAssessed) -> Verdict:
    branch, target = shown(head.branch), shown(head.target)
    if not glob_matches(config.branch, head.branch):
        return no(f"branch {branch} is not {config.branch!r}")
    if not _is_about(config, head):
        return no(
            f"{branch} was compared with {target}, not with {config.target_branch or 'the default branch'}"
        )
    at = f"{branch} at {head.head[:8]}"
    if head.ahead <= 0:
        return no(f"{at} has nothing that {target} does not have")
    if config.require_clean_merge and not head.merges_cleanly:
        files = ", ".join(map(shown, head.conflicts[:10])) or "no file is named"
        more = f" and {len(head.conflicts) - 10} more" if len(head.conflicts) > 10 else ""
        return no(f"{at} conflicts with {target} in: {files}{more}")
    if fault := unpassed_named(head.checks, config.require_checks):
        return no(f"{at}: {fault}")
    if head.quiet_seconds < config.min_quiet_seconds:
        return no(f"{at} has been quiet for {head.quiet_seconds} s of {config.min_quiet_seconds} s")
    return yes(f"{at} is ready for {target}: {'; '.join(_facts(config, head))}")


def _facts(config: BranchReady, head: BranchAssessed) -> list[str]:
    facts = [f"{head.ahead} {'commit' if head.ahead == 1 else 'commits'} ahead"]
    facts.append("merges cleanly" if head.merges_cleanly else "conflicts, which it may")
    if config.require_checks:
        facts.append(f"passed {said_of(head.checks, config.require_checks)}")
    if config.min_quiet_seconds:
        facts.append(f"quiet for {head.quiet_seconds} s")
    return facts


def _test(config: BranchReady, event: Event) -> Verdict:
    return _judge(config, expect(event.payload, BranchAssessed))


def _is_true(config: BranchReady, snapshot: Snapshot, at: datetime) -> Verdict:
    state = expect(snapshot.state, BranchState)
    target = shown(config.target_branch or "the default branch")
    if not glob_matches(config.branch, state.branch):
        return no(f"branch {shown(state.branch)} is not {config.branch!r}")
    for assessed in state.assessments.values():
        if _is_about(config, assessed) and assessed.head == state.head:
            quiet = max(int((at - state.since).total_seconds()), 0)
            return _judge(
                config, assessed.model_copy(update={"checks": state.checks, "quiet_seconds": quiet})
            )
    return no(f"{shown(state.branch)} at {state.head[:8]} has not been compared with {target} yet")


def _once_key(_config: BranchReady, event: Event) -> str | None:
    assessed = expect(event.payload, BranchAssessed)
    return f"{assessed.branch} {assessed.head} {assessed.target}"


def _asks(config: BranchReady) -> tuple[AssessmentAsk, ...]:
    return (AssessmentAsk(config.branch, config.target_branch, config.min_quiet_seconds),)


def _finder(configs: Sequence[BranchReady]) -> Finder:
    index = GlobIndex((config.branch, place) for place, config in enumerate(configs))
    return lambda event: index.find(expect(event.payload, BranchAssessed).branch)


CONDITION = ConditionType(
    kind="branch_ready",
    summary="the head of a branch is ready for its target",
    config=BranchReady,
    item_kinds=frozenset({ItemKind.GIT_REPOSITORY}),
    event_kinds=frozenset({"branch_assessed"}),
    state_kinds=frozenset({"branch"}),
    test=_test,
    is_true=_is_true,
    example={"branch": "feature/*", "target_branch": "qa", "require_checks": ["unit"]},
    once_key=_once_key,
    asks=_asks,
    finder=_finder,
)
