"""GitHub's nodes put together: a pull request with its opinions and comments, a commit with its checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from dct_pipelines.clients.github import queries
from dct_pipelines.clients.github.parts import NotUnderstood, Parts
from dct_pipelines.clients.github.shapes import (
    CheckRunNode,
    CommentNode,
    RenameNode,
    RequestNode,
    ReviewNode,
    StatusNode,
    person_of,
    stamp,
)
from dct_pipelines.clients.github.words import state_of_run, state_of_status, worst
from dct_pipelines.domain.facts import Approval
from dct_pipelines.domain.hosting.opinions import Review, latest_opinions
from dct_pipelines.domain.hosting.reader import HostedCheck, HostedComment, HostedState, Retitling

_OPINIONS: Mapping[str, Any] = {
    "APPROVED": "approved",
    "CHANGES_REQUESTED": "changes_requested",
    "DISMISSED": "dismissed",
    "COMMENTED": "commented",
}
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def state_of(parts: Parts, node: Any) -> HostedState:
    """A pull request, with the rest of each list that was cut."""
    [request] = parts.needed(RequestNode, [node])
    reviews = _reviews(parts, request)
    raw = list(parts.all_of(request.id, request.comments, queries.MORE_COMMENTS))
    for review in reviews:
        raw += parts.all_of(review.id, review.comments, queries.MORE_OF_REVIEW)
    before = len(parts.letters)
    comments = _hosted(parts, [*parts.understood(CommentNode, raw), *_with_text(reviews)])
    renames = parts.needed(
        RenameNode, list(parts.all_of(request.id, request.timeline_items, queries.MORE_RENAMES))
    )
    return HostedState(
        number=request.number,
        title=request.title,
        description=request.body,
        source=request.head_ref_name,
        target=request.base_ref_name,
        head=request.head_ref_oid,
        is_open=request.state == "OPEN",
        is_draft=request.is_draft,
        is_merged=request.state == "MERGED",
        is_from_fork=request.is_cross_repository,
        url=request.url,
        author=person_of(request.author),
        created_at=request.created_at,
        updated=stamp(request.updated_at),
        updated_at=request.updated_at,
        approvals=latest_opinions(map(_opinion, reviews)),
        comments=tuple(comments),
        comments_complete=len(parts.letters) == before,
        retitlings=tuple(map(_retitling, renames)),
        retitled=len(renames),
    )


def _reviews(parts: Parts, request: RequestNode) -> list[ReviewNode]:
    """Those that were given. An opinion that is not understood could take back an approval."""
    reviews = parts.needed(ReviewNode, list(parts.all_of(request.id, request.reviews, queries.MORE_REVIEWS)))
    given = [review for review in reviews if review.state != "PENDING"]
    for review in given:
        if review.state not in _OPINIONS:
            raise NotUnderstood(f"{parts.what}: a review is {review.state!r}, which is not documented")
    return given


def _opinion(review: ReviewNode) -> Review:
    approval = Approval(
        user=person_of(review.author),
        head=review.commit.oid if review.commit else "",
        state=_OPINIONS[review.state],
        may_approve=review.author_can_push_to_repository,
    )
    return Review(approval, review.submitted_at or _LONG_AGO)


def _with_text(reviews: Sequence[ReviewNode]) -> list[CommentNode]:
    return [review for review in reviews if review.body.strip()]


def _hosted(parts: Parts, nodes: Sequence[CommentNode]) -> list[HostedComment]:
    comments = []
    for node in nodes:
        try:
            comments.append(node.hosted())
        except ValueError as fault:
            parts.keep_raw(node.model_dump(mode="json"), str(fault))
    return comments


def _retitling(node: RenameNode) -> Retitling:
    actor = node.actor.person if node.actor else None
    return Retitling(node.id, node.previous_title, node.current_title, node.created_at, actor)


def checks_of(parts: Parts, contexts: Sequence[Any]) -> dict[str, HostedCheck]:
    """By name. Of several runs of one check the last started counts; of several checks the worst.

    `NotUnderstood`: one of them, which may be the one that failed.
    """
    latest: dict[tuple[str, str], tuple[datetime, HostedCheck]] = {}
    for context in contexts:
        kind = context.get("__typename") if isinstance(context, dict) else None
        if kind == "CheckRun":
            [run] = parts.needed(CheckRunNode, [context])
            key, at = (run.name, run.maker), run.started_at or _LONG_AGO
            check = HostedCheck(state_of_run(run.status, run.conclusion), run.details_url)
        elif kind == "StatusContext":
            [status] = parts.needed(StatusNode, [context])
            key, at = (status.context, "status"), _LONG_AGO
            check = HostedCheck(state_of_status(status.state), status.target_url)
        else:
            raise NotUnderstood(f"{parts.what}: {kind!r} is neither a check run nor a status")
        if key not in latest or at >= latest[key][0]:
            latest[key] = (at, check)
    named: dict[str, HostedCheck] = {}
    for (name, _), (_, check) in sorted(latest.items(), key=lambda entry: entry[0]):
        named[name] = worst(named[name], check) if name in named else check
    return named
