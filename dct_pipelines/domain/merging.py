"""Merging one branch into another at the repository itself, without a work tree; for several actions.

The merge commit is a function of its two parents, the message and the execution: a second attempt makes the
same commit, so that announcing it before the push (`expect_own_write`) is right whoever gets through.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import datetime

from dct_pipelines.domain.action import ActionContext
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted
from dct_pipelines.domain.git import MergePreview, PushStatus, RefUpdate, Signature
from dct_pipelines.domain.git_refs import Oid, branch_ref
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.own_marks import trailers_of
from dct_pipelines.domain.ports import ActionPorts, Repository

TRIES = 5
SHOWN_CONFLICTS = 20
AUTHOR_NAME = "Dynamic Context Triggers"
AUTHOR_EMAIL = "dct@localhost"
_SEARCHED_COMMITS = 200


@dataclass(frozen=True)
class Merge:
    """What is asked: the short names of two branches of a repository, and the message of the commit."""

    repository: Repository
    source: str
    target: str
    message: str


@dataclass(frozen=True)
class Merged:
    """`commit` is where the target is now; `merged` is false when it contained the source before."""

    commit: Oid
    source_commit: Oid
    merged: bool


def head_of(ports: ActionPorts, repository: Repository, branch: str) -> Oid:
    """Where the branch is now; `ActionFailed` with the nearest name when there is none."""
    found = ports.git.resolve(repository.ref, branch_ref(branch))
    if found is not None:
        return found
    close = difflib.get_close_matches(branch, ports.git.list_refs(repository.ref).branches, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else "push it, or correct the name"
    raise ActionFailed(f"{repository.name} has no branch {branch!r}; {hint}")


def merge(context: ActionContext, ports: ActionPorts, asked: Merge) -> Merged:
    """Merge and push; when the target moves meanwhile, look again, `TRIES` times in all."""
    for _ in range(TRIES):
        if context.is_cancelled():
            raise ActionInterrupted(f"cancelled before {asked.source} was merged")
        if merged := _merge_once(context, ports, asked):
            return merged
        context.log(f"{asked.target} has moved meanwhile; looking again")
    raise ActionInterrupted(f"{asked.target} moved {TRIES} times while merging; it is tried again")


def _merge_once(context: ActionContext, ports: ActionPorts, asked: Merge) -> Merged | None:
    """None when the target moved between looking and pushing."""
    repo = asked.repository.ref
    source, target = (head_of(ports, asked.repository, name) for name in (asked.source, asked.target))
    ports.git.fetch(repo, {branch_ref(asked.source): source, branch_ref(asked.target): target})
    if ports.git.is_ancestor(repo, source, target):
        ours = by_an_earlier_attempt(context, ports, asked.repository, target, source)
        return Merged(ours or target, source, merged=ours is not None)
    preview = ports.git.merge_preview(repo, target, source)
    if not preview.clean or preview.tree is None:
        raise ActionFailed(conflict_words(asked, preview))
    author = Signature(name=AUTHOR_NAME, email=AUTHOR_EMAIL, at=_time_of_merge(ports, asked, source, target))
    commit = ports.git.create_merge_commit(
        repo, preview.tree, (target, source), asked.message, author, trailers(context)
    )
    ports.records.expect_own_write(asked.repository.item_id, commit)
    ref = branch_ref(asked.target)
    result = ports.git.push(repo, {ref: RefUpdate(new=commit, expected=target)})[ref]
    if result.status is PushStatus.REJECTED:
        raise ActionFailed(f"{asked.repository.name} refused the push to {asked.target}: {result.reason}")
    if result.status is PushStatus.STALE:
        return None
    return Merged(commit, source, merged=True)


def by_an_earlier_attempt(
    context: ActionContext,
    ports: ActionPorts,
    repository: Repository,
    target: Oid,
    source: Oid | None = None,
) -> Oid | None:
    """The merge (of `source`) that an attempt of this action made before it died."""
    if not context.started_before:
        return None
    found = ports.git.commits_between(repository.ref, source, target, _SEARCHED_COMMITS)
    marks = [f"{name}: {value}" for name, value in trailers(context).items()]
    for commit in found.commits:
        is_of_source = source is None or source in commit.parents[1:]
        if is_of_source and all(mark in commit.body.splitlines() for mark in marks):
            return commit.oid
    return None


def trailers(context: ActionContext) -> dict[str, str]:
    """What the commits of this action end with."""
    return trailers_of(context.execution_id, context.name)


def _time_of_merge(ports: ActionPorts, asked: Merge, source: Oid, target: Oid) -> datetime:
    """The latest of the parents' times and the event's: equal in every attempt, never before a parent."""
    times = [
        ports.git.commits_between(asked.repository.ref, None, oid, 1).commits[0].committed_at
        for oid in (source, target)
    ]
    return max(*times, ports.event.occurred_at) if ports.event else max(times)


def conflict_words(asked: Merge, preview: MergePreview) -> str:
    """Which files stand in the way, and what to do."""
    names = ", ".join(map(shown, preview.conflicts[:SHOWN_CONFLICTS]))
    if more := len(preview.conflicts) - SHOWN_CONFLICTS:
        names += f" and {more} more" if more > 0 else ""
    where = f"conflicts in {names}" if names else preview.explanation or "git names no file"
    return (
        f"{asked.source} does not merge into {asked.target}: {where}; "
        f"merge {asked.target} into {asked.source}, resolve, and push"
    )
