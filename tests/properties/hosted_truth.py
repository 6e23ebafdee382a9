"""What of a pull request is told, and how events say it: in words that can be compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from dct_pipelines.domain.event import EventDraft
from dct_pipelines.domain.facts import Approval
from dct_pipelines.domain.snapshot import PullRequestState
from dct_pipelines.domain.words import CheckState
from tests.fakes.hosted_world import HostedWorld, WorldRequest, Written

STATES = {
    "success": CheckState.SUCCESS,
    "failed": CheckState.FAILURE,
    "failure": CheckState.FAILURE,
    "pending": CheckState.PENDING,
}
Facts = tuple[Any, ...]


@dataclass(frozen=True)
class Rules:
    """In what hosts differ. `comment_id` names a comment; `title` is the title as it is read."""

    comment_id: Callable[[Written], str]
    title: Callable[[WorldRequest], str]
    failure: str
    keeps_titles: bool
    approval_is_single: bool
    on_retitled: Callable[[HostedWorld, WorldRequest, str], None] = lambda _world, _request, _before: None
    on_review: Callable[[HostedWorld, WorldRequest, str], None] = lambda _world, _request, _user: None


@dataclass
class Look:
    """What was to be seen of a pull request at one time, and what happened since."""

    texts: dict[str, str]
    title: str
    description: str
    facts: Facts
    is_known: bool
    """Whether it was ever read."""


def facts_of(world: HostedWorld, rules: Rules, request: WorldRequest) -> Facts:
    """What the derived event says of a pull request."""
    checks = {one.name: STATES[one.state] for one in world.latest(world.head(request))}
    is_merged = world.is_merged(request)
    opinions = {}
    for one in request.opinions:
        state = "dismissed" if one.is_dismissed else one.state
        if rules.approval_is_single:
            if one.is_dismissed:
                continue
            head = world.head(request) if state == "changes_requested" else one.head
        else:
            head = one.head
        opinions[one.user] = (one.user, head, state)
    flags = (world.is_open(request), request.is_draft, is_merged)
    return (world.head(request), frozenset(opinions.values()), frozenset(checks.items()), *flags)


def told_of(event: EventDraft) -> tuple[object, ...]:
    """An event in words that can be compared."""
    payload: Any = event.payload
    number = int(event.subject.removeprefix("pull/"))
    match payload.kind:
        case "comment_added":
            return (payload.kind, number, payload.comment_id, payload.text)
        case "comment_edited":
            return (payload.kind, number, payload.comment_id, payload.before, payload.after)
        case "comment_deleted":
            return (payload.kind, number, payload.comment_id, payload.before)
        case _:
            return (payload.kind, number, payload.field, payload.before, payload.after)


def facts_told(event: EventDraft) -> Facts:
    payload: Any = event.payload
    return _as_facts(payload.head, payload.approvals, payload.checks, payload)


def facts_stored(state: PullRequestState) -> Facts:
    return _as_facts(state.head, state.approvals, state.checks, state)


def _as_facts(
    head: str, approvals: tuple[Approval, ...], checks: Mapping[str, CheckState], flags: Any
) -> Facts:
    opinions = frozenset((one.user.id, one.head, one.state) for one in approvals)
    return (head, opinions, frozenset(checks.items()), flags.is_open, flags.is_draft, flags.is_merged)


def stories_of(events: list[EventDraft]) -> dict[str, list[tuple[Any, ...]]]:
    """What was told of each comment, in order: kind, text before, text after."""
    stories: dict[str, list[tuple[Any, ...]]] = {}
    for event in events:
        payload: Any = event.payload
        if payload.kind in ("comment_added", "comment_edited", "comment_deleted"):
            before = getattr(payload, "before", None)
            after = {"comment_added": "text", "comment_edited": "after"}.get(payload.kind)
            text = getattr(payload, after) if after else None
            stories.setdefault(payload.comment_id, []).append((payload.kind, before, text))
    return stories


def check_story(story: list[tuple[Any, ...]]) -> None:
    """Added once and first, deleted once and last, and each edit begins where the one before ended."""
    kinds = [kind for kind, _, _ in story]
    assert "comment_added" not in kinds[1:]
    assert "comment_deleted" not in kinds[:-1]
    for (_, _, after), (_, before, _) in pairwise(story):
        assert before == after
