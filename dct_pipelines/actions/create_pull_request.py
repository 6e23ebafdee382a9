"""Opens a pull (merge) request at the git host of a repository, or finds the open one."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from dct_pipelines.domain.action import ActionConfig, ActionContext, ActionType, Recovery
from dct_pipelines.domain.errors import ActionFailed, InvalidInput
from dct_pipelines.domain.git_refs import branch_ref
from dct_pipelines.domain.hosting.hosted import Hosted, needed_host
from dct_pipelines.domain.hosting.keys import opened_id
from dct_pipelines.domain.hosting.port import HostedRequest, NewRequest
from dct_pipelines.domain.hosting.texts import body_of, name_fault, title_of
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.merging import head_of
from dct_pipelines.domain.outcome import Link, Outcome, done, nothing_to_do
from dct_pipelines.domain.ports import ActionPorts

Names = Annotated[tuple[str, ...], Field(max_length=50)]


class CreatePullRequestConfig(ActionConfig):
    """`repository` is the name of a context item at a git host; the branches are both of it."""

    repository: str
    source: str
    target: str
    title: str = ""
    """Empty is "Merge <source> into <target>"."""
    body: str = ""
    draft: bool = False
    labels: Names = ()
    reviewers: Names = ()


def run(context: ActionContext, config: CreatePullRequestConfig, ports: ActionPorts) -> Outcome:
    """Open it, unless one is open from that branch to that one, or there is nothing to ask for."""
    hosted = needed_host(ports.library, ports.connections, config.repository, "a pull request")
    wanted = _wanted(context, config, hosted)
    way = f"from {shown(config.source)} to {shown(config.target)}"
    known = hosted.host.find_open_request(hosted.repository, wanted.source, wanted.target)
    if known is not None:
        is_ours = context.started_before and known.title == wanted.title
        if is_ours:
            _settle(context, hosted, known, ports)
        return _told(known, is_new=is_ours, way=way)
    head, is_contained = _looked_at(config, ports)
    if is_contained:
        empty: dict[str, Any] = {"number": 0, "url": "", "head": head, "created": False}
        return nothing_to_do(f"{shown(config.target)} contains {shown(config.source)} already", **empty)
    ports.records.expect_own_write(hosted.item.id, context.idempotency_key)
    opened = hosted.host.open_request(replace(wanted, head=head))
    _settle(context, hosted, opened, ports)
    return _told(opened, is_new=True, way=way)


def _settle(context: ActionContext, hosted: Hosted, opened: HostedRequest, ports: ActionPorts) -> None:
    """Its number in place of the mark in its text: who copies that, now that it can be read, is not us."""
    ports.records.settle_own_write(hosted.item.id, context.idempotency_key, opened_id(opened.number))


def _wanted(context: ActionContext, config: CreatePullRequestConfig, hosted: Hosted) -> NewRequest:
    try:
        for branch in (config.source, config.target):
            branch_ref(branch)
    except InvalidInput as fault:
        raise ActionFailed(str(fault)) from fault
    if config.source == config.target:
        raise ActionFailed(f"{shown(config.source)} cannot be merged into itself; name two branches")
    for name in (*config.labels, *config.reviewers):
        if why := name_fault(name):
            raise ActionFailed(f"{shown(name)!r} cannot be a label or a reviewer: {why}")
    return NewRequest(
        repository=hosted.repository,
        source=config.source,
        target=config.target,
        title=title_of(config.title, f"Merge {config.source} into {config.target}"),
        body=body_of(config.body, context.idempotency_key),
        is_draft=config.draft,
        labels=config.labels,
        reviewers=config.reviewers,
    )


def _looked_at(config: CreatePullRequestConfig, ports: ActionPorts) -> tuple[str, bool]:
    """The head of the source, and whether the target contains it."""
    repository = ports.library.repository(config.repository)
    source, target = (head_of(ports, repository, branch) for branch in (config.source, config.target))
    ports.git.fetch(repository.ref, {branch_ref(config.source): source, branch_ref(config.target): target})
    return source, ports.git.is_ancestor(repository.ref, source, target)


def _told(request: HostedRequest, *, is_new: bool, way: str) -> Outcome:
    outputs: dict[str, Any] = {
        "number": request.number,
        "url": request.url,
        "head": request.head,
        "created": is_new,
    }
    links = (Link(title=f"#{request.number}", url=request.url),) if request.url else ()
    if is_new:
        return done(f"opened pull request {request.number} {way}", links=links, **outputs)
    return nothing_to_do(f"pull request {request.number} {way} is open already", links=links, **outputs)


ACTION = ActionType(
    kind="create_pull_request",
    summary="Opens a pull request at the git host, or finds the open one.",
    config=CreatePullRequestConfig,
    recovery=Recovery.CHECK,
    run=run,
    outputs=frozenset({"number", "url", "head", "created"}),
    example={
        "repository": "shop",
        "source": "{{ event.branch }}",
        "target": "main",
        "title": "{{ event.branch }} is ready",
    },
)
