"""Merging through a git host, which makes the commit: two branches, or a pull request at a certain head.

The commit is announced by the trailers of its message before the host makes it, and by its id once that is
known (`own_marks`). A host that writes no commit of its own (fast-forward, rebase) leaves only the latter.
"""

from __future__ import annotations

from dataclasses import dataclass

from dct_pipelines.domain.action import ActionContext
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted
from dct_pipelines.domain.git_refs import Oid, branch_ref
from dct_pipelines.domain.hosting.hosted import Hosted
from dct_pipelines.domain.hosting.keys import subject_of
from dct_pipelines.domain.hosting.port import HostedRequest, HostMerge
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.merging import (
    TRIES,
    Merge,
    Merged,
    by_an_earlier_attempt,
    conflict_words,
    head_of,
    trailers,
)
from dct_pipelines.domain.own_marks import mark_of
from dct_pipelines.domain.ports import ActionPorts, Repository

LONGEST_MESSAGE = 1500
"""Listeners read the first 2,000 characters of a message, and the trailers stand at its end."""


@dataclass(frozen=True)
class RequestMerge:
    """A pull request that is to be merged, at `head` if that is given. Empty `message`: its title."""

    repository: Repository
    hosted: Hosted
    number: int
    head: str
    method: str
    message: str


def merge_branches(context: ActionContext, ports: ActionPorts, hosted: Hosted, asked: Merge) -> Merged:
    """Have the host merge one branch into another."""
    repo = asked.repository.ref
    for _ in range(TRIES):
        _unless_cancelled(context, asked.source)
        source, target = (head_of(ports, asked.repository, name) for name in (asked.source, asked.target))
        ports.git.fetch(repo, {branch_ref(asked.source): source, branch_ref(asked.target): target})
        if ports.git.is_ancestor(repo, source, target):
            ours = by_an_earlier_attempt(context, ports, asked.repository, target, source)
            return Merged(ours or target, source, merged=ours is not None)
        marks = _announced(context, ports, hosted)
        result = hosted.host.merge_branches(
            hosted.repository, source=source, target=asked.target, message=_message(context, asked.message)
        )
        _settled(ports, hosted, marks, result, source)
        if result.state == "conflict":
            raise ActionFailed(conflict_words(asked, ports.git.merge_preview(repo, target, source)))
        if result.state == "refused":
            way = f"{shown(asked.source)} into {shown(asked.target)}"
            raise ActionFailed(f"{hosted.kind} did not merge {way}: {shown(result.reason)}")
        if result.state != "moved":
            return _merged(ports, asked.repository, asked.target, source, result)
        context.log(f"{asked.source} has moved meanwhile; looking again")
    raise ActionInterrupted(f"{asked.source} moved {TRIES} times while merging; it is tried again")


def merge_request(
    context: ActionContext, ports: ActionPorts, asked: RequestMerge
) -> tuple[Merged, HostedRequest]:
    """Have the host merge a pull request, and which one that was."""
    hosted = asked.hosted
    for _ in range(TRIES):
        _unless_cancelled(context, f"pull request {asked.number}")
        request = hosted.host.request(hosted.repository, asked.number)
        if request.is_merged:
            return _merged_before(context, ports, asked, request), request
        _unless_out_of_reach(asked, request)
        marks = _announced(context, ports, hosted, f"{subject_of(asked.number)} merged")
        result = hosted.host.merge_request(
            hosted.repository,
            asked.number,
            head=request.head,
            method=asked.method,
            message=_message(context, asked.message or request.title),
        )
        _settled(ports, hosted, marks, result, Oid(request.head))
        if result.state in ("conflict", "refused"):
            raise ActionFailed(_why_not(hosted, request, result))
        if result.state != "moved":
            merged = _merged(ports, asked.repository, request.target, Oid(request.head), result)
            return merged, request
        context.log(f"pull request {asked.number} has moved meanwhile; looking again")
    raise ActionInterrupted(f"pull request {asked.number} moved {TRIES} times; it is tried again")


def _unless_cancelled(context: ActionContext, what: str) -> None:
    if context.is_cancelled():
        raise ActionInterrupted(f"cancelled before {what} was merged")


def _unless_out_of_reach(asked: RequestMerge, request: HostedRequest) -> None:
    if not request.is_open:
        raise ActionFailed(f"pull request {asked.number} is closed; open it again, or open another one")
    if asked.head and request.head != asked.head:
        raise ActionFailed(
            f"the head of pull request {asked.number} is {request.head[:8]}, no longer {asked.head[:8]}: "
            "what was pushed since is not what this is about; let the trigger fire on the new head"
        )


def _announced(context: ActionContext, ports: ActionPorts, hosted: Hosted, *more: str) -> tuple[str, ...]:
    marks = (mark_of(context.execution_id, context.name), *more)
    for mark in marks:
        ports.records.expect_own_write(hosted.item.id, mark)
    return marks


def _settled(
    ports: ActionPorts, hosted: Hosted, marks: tuple[str, ...], result: HostMerge, source: Oid
) -> None:
    """The commit's id instead of the trailers; nothing at all when there was no merge.

    A fast-forward has the source's own id, which is no write of ours wherever else it is a head.
    """
    if result.state != "merged":
        for mark in marks:
            ports.records.settle_own_write(hosted.item.id, mark, None)
    elif result.commit is not None and result.commit != source:
        ports.records.settle_own_write(hosted.item.id, marks[0], result.commit)


def _message(context: ActionContext, message: str) -> str:
    lines = [f"{name}: {value}" for name, value in trailers(context).items()]
    return "\n".join([message.strip()[:LONGEST_MESSAGE].rstrip(), "", *lines])


def _merged(
    ports: ActionPorts, repository: Repository, target: str, source: Oid, result: HostMerge
) -> Merged:
    """Where the target is now."""
    commit = Oid(result.commit) if result.commit else head_of(ports, repository, target)
    return Merged(commit, source, merged=result.state == "merged")


def _merged_before(
    context: ActionContext, ports: ActionPorts, asked: RequestMerge, request: HostedRequest
) -> Merged:
    """By an earlier attempt of ours, which the trailers tell, or by somebody else."""
    target = head_of(ports, asked.repository, request.target)
    ports.git.fetch(asked.repository.ref, {branch_ref(request.target): target})
    ours = by_an_earlier_attempt(context, ports, asked.repository, target)
    return Merged(ours or target, Oid(request.head), merged=ours is not None)


def _why_not(hosted: Hosted, request: HostedRequest, result: HostMerge) -> str:
    if result.state == "conflict":
        return (
            f"pull request {request.number} does not merge into {shown(request.target)}: they conflict; "
            f"merge {shown(request.target)} into {shown(request.source)}, resolve, and push"
        )
    return f"{hosted.kind} did not merge pull request {request.number}: {shown(result.reason)}"
