"""A pull request's current head has its approvals."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from pydantic import Field, model_validator

from dct_pipelines.domain.condition import ConditionConfig, ConditionType, expect
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.facts import Approval
from dct_pipelines.domain.matching import Name, is_called, same_name, same_person, shown
from dct_pipelines.domain.payloads import PullRequestAssessed
from dct_pipelines.domain.snapshot import PullRequestState, Snapshot
from dct_pipelines.domain.verdict import Verdict, no, yes
from dct_pipelines.domain.words import ItemKind


class PrApproved(ConditionConfig):
    """How many approvals, by whom, for which target."""

    target_branch: Name | None = Field(default=None, description="not given: any")
    min_approvals: int = Field(default=1, ge=1, le=100)
    approvers: Annotated[tuple[Name, ...], Field(max_length=100)] = Field(
        default=(), description="only these count (ids, names or addresses); not given: anybody's"
    )
    allow_bots: bool = False
    allow_forks: bool = Field(default=False, description="pull requests from other repositories count too")

    @model_validator(mode="after")
    def _can_be_reached(self) -> PrApproved:
        if self.approvers and len(self.approvers) < self.min_approvals:
            raise ValueError(f"{len(self.approvers)} approvers can never give {self.min_approvals} approvals")
        return self


def _latest(approvals: Iterable[Approval]) -> list[Approval]:
    """The last opinion of each reviewer; a mere comment does not take back an approval."""
    latest: list[Approval] = []
    for approval in approvals:
        if approval.state != "commented":
            latest = [other for other in latest if not same_person(other.user, approval.user)]
            latest.append(approval)
    return latest


def _judge(config: PrApproved, request: PullRequestAssessed | PullRequestState) -> Verdict:
    title = f"pull request {request.number}"
    if not request.is_open:
        return no(f"{title} is closed")
    if request.is_draft:
        return no(f"{title} is a draft")
    if request.is_from_fork and not config.allow_forks:
        return no(f"{title} is from a fork, which allow_forks would let count")
    if config.target_branch is not None and not same_name(config.target_branch, request.target):
        return no(f"{title} goes to {shown(request.target)}, not to {config.target_branch!r}")
    opinions = [
        a for a in _latest(request.approvals) if a.may_approve and (config.allow_bots or not a.user.is_bot)
    ]
    for opinion in opinions:
        if opinion.state == "changes_requested":
            return no(f"{shown(str(opinion.user))} asks for changes in {title}")
    approvals = [
        a for a in opinions if a.state == "approved" and a.head == request.head and _counts(config, a)
    ]
    who = ", ".join(shown(str(a.user)) for a in approvals)
    at = f"{title} at {request.head[:8]}"
    if len(approvals) < config.min_approvals:
        return no(f"{at} has {len(approvals)} of {config.min_approvals} approvals{who and f': {who}'}")
    return yes(f"{at} is approved by {who}")


def _counts(config: PrApproved, approval: Approval) -> bool:
    return not config.approvers or any(is_called(approval.user, name) for name in config.approvers)


def _test(config: PrApproved, event: Event) -> Verdict:
    return _judge(config, expect(event.payload, PullRequestAssessed))


def _is_true(config: PrApproved, snapshot: Snapshot, _at: datetime) -> Verdict:
    return _judge(config, expect(snapshot.state, PullRequestState))


def _once_key(_config: PrApproved, event: Event) -> str | None:
    request = expect(event.payload, PullRequestAssessed)
    return f"#{request.number} {request.head}"


CONDITION = ConditionType(
    kind="pr_approved",
    summary="the current head of a pull request has its approvals",
    config=PrApproved,
    item_kinds=frozenset({ItemKind.PULL_REQUEST, ItemKind.GIT_REPOSITORY}),
    event_kinds=frozenset({"pull_request_assessed"}),
    state_kinds=frozenset({"pull_request"}),
    test=_test,
    is_true=_is_true,
    example={"target_branch": "main", "min_approvals": 2},
    once_key=_once_key,
)
