"""What must be told of a `GitHubWorld`, by the table of docs/reference/listeners.md.

Phase by phase: people act, then the world stands still until everything has been read. What a poll must tell
is the difference between the two ends of a phase, but for titles, of which GitHub keeps every change. What a
delivery must tell is what was done.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dct_pipelines.domain.event import EventDraft
from dct_pipelines.domain.payloads import (
    CommentAdded,
    CommentDeleted,
    CommentEdited,
    PullRequestAssessed,
    TextChanged,
)
from tests.fakes.github_world import Comment, GitHubWorld, Pull

Facts = tuple[Hashable, ...]
Told = tuple[Hashable, ...]
_WORST = ("FAILURE", "CANCELLED", "PENDING", "SUCCESS", "NEUTRAL", "SKIPPED")


def checks_of(world: GitHubWorld, commit: str) -> dict[str, str]:
    """The checks of a commit by name, of several with one name the worst, in our words."""
    named: dict[str, str] = {}
    for check in world.checks.get(commit, ()):
        said = check.status if check.is_status else check.conclusion or "PENDING"
        word = {"ERROR": "FAILURE", "EXPECTED": "PENDING", "TIMED_OUT": "FAILURE"}.get(said, said)
        named[check.name] = min(named.get(check.name, word), word, key=_WORST.index)
    return {name: word.lower() for name, word in named.items()}


def facts_of(world: GitHubWorld, pull: Pull) -> Facts:
    """What a condition could ask for."""
    opinions: dict[str, tuple[str, str, str, bool]] = {}
    for review in sorted(pull.reviews, key=lambda one: one.created_at):
        if review.state != "COMMENTED":
            who = review.author
            opinions.pop(who.login, None)
            opinions[who.login] = (who.login, review.state.lower(), review.commit, who.can_push)
    head = world.head(pull)
    flags = (pull.state == "OPEN", pull.is_draft, pull.state == "MERGED")
    return (
        head,
        pull.target,
        *flags,
        tuple(opinions.values()),
        tuple(sorted(checks_of(world, head).items())),
    )


@dataclass
class Known:
    """Of one pull request, as it was last looked at."""

    facts: Facts | None
    renames: int
    body: str
    updated_at: datetime


@dataclass
class Story:
    """`told` are all events that there must be. `begin` when the first read begins and the world stands."""

    world: GitHubWorld
    epoch: datetime
    is_single: bool = False
    """An item of its own is read whole at every read, also when it is closed."""
    known: dict[int, Known] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    """Comments that were read, or told of by a delivery, and their text."""
    told: Counter[Told] = field(default_factory=Counter)

    def begin(self, pulls: list[Pull]) -> None:
        """These are taken as they are."""
        for pull in pulls:
            self._know(pull)
            self.texts |= {comment.anchor: comment.body for comment in pull.all_comments()}

    def polled(self, pulls: list[Pull]) -> None:
        """These were read again: the open ones, and those that were updated."""
        for pull in pulls:
            known = self.known.get(pull.number)
            since = known.updated_at if known else self.epoch
            if self.is_single or pull.state == "OPEN" or pull.updated_at > since:
                self._titles(pull, known)
                self._body(pull, known)
                self._comments(pull)
                self._assessed(pull, known)
                self._know(pull)

    def delivered(self, action: str, pull: Pull, comment: Comment, before: str) -> None:
        """A webhook has just told of a comment."""
        if action == "created":
            self.told["comment_added", comment.anchor, comment.body] += 1
        elif action == "edited":
            self.told["comment_edited", comment.anchor, before, comment.body] += 1
        elif comment.anchor in self.texts or comment.created_at >= self.epoch:
            self.told["comment_deleted", comment.anchor, self.texts.get(comment.anchor, comment.body)] += 1
        self.texts[comment.anchor] = comment.body
        if action == "deleted":
            del self.texts[comment.anchor]

    def _know(self, pull: Pull) -> None:
        facts = facts_of(self.world, pull)
        self.known[pull.number] = Known(facts, len(pull.renames), pull.body, pull.updated_at)

    def _titles(self, pull: Pull, known: Known | None) -> None:
        news = pull.renames[known.renames :] if known else [r for r in pull.renames if r[1] >= self.epoch]
        if known is None and pull.created_at >= self.epoch:
            first = pull.renames[0][2] if pull.renames else pull.title
            self.told["title", pull.number, None, first] += 1
        for _, _, before, after, _ in news:
            self.told["title", pull.number, before, after] += 1

    def _body(self, pull: Pull, known: Known | None) -> None:
        is_new = known is None and pull.created_at >= self.epoch and pull.body
        if is_new or (known is not None and known.body != pull.body):
            self.told["description", pull.number, known.body if known else None, pull.body] += 1

    def _comments(self, pull: Pull) -> None:
        there = {comment.anchor: comment for comment in pull.all_comments()}
        for anchor, comment in there.items():
            before = self.texts.get(anchor)
            if before is None and comment.created_at >= self.epoch:
                self.told["comment_added", anchor, comment.body] += 1
            elif before is not None and before != comment.body:
                self.told["comment_edited", anchor, before, comment.body] += 1
            elif before is None and comment.edited_at and comment.edited_at >= self.epoch:
                self.told["comment_edited", anchor, None, comment.body] += 1
            self.texts[anchor] = comment.body
        for anchor in [one for one in self.of.get(pull.number, ()) if one in self.texts]:
            if anchor not in there:
                self.told["comment_deleted", anchor, self.texts.pop(anchor)] += 1

    of: dict[int, list[str]] = field(default_factory=dict)
    """Every comment that there ever was, by its pull request."""

    def _assessed(self, pull: Pull, known: Known | None) -> None:
        facts = facts_of(self.world, pull)
        is_old = known is None and pull.created_at < self.epoch and pull.state != "OPEN"
        if not is_old and (known is None or known.facts != facts):
            self.told["assessed", pull.number, facts] += 1


def said(events: list[EventDraft]) -> Counter[Told]:
    """What was told of pull requests."""
    found: Counter[Told] = Counter()
    for event in events:
        match event.payload:
            case CommentAdded() as comment:
                found["comment_added", comment.comment_id, comment.text] += 1
            case CommentEdited() as comment:
                found["comment_edited", comment.comment_id, comment.before, comment.after] += 1
            case CommentDeleted() as comment:
                found["comment_deleted", comment.comment_id, comment.before] += 1
            case TextChanged() as text:
                assert text.pull_request is not None
                found[text.field, text.pull_request.number, text.before, text.after] += 1
            case PullRequestAssessed() as request:
                found["assessed", request.number, _facts(request)] += 1
    return found


def _facts(request: PullRequestAssessed) -> Facts:
    opinions = tuple(
        (opinion.user.name, opinion.state, opinion.head, opinion.may_approve) for opinion in request.approvals
    )
    checks = tuple(sorted((name, state.value) for name, state in request.checks.items()))
    flags = (request.is_open, request.is_draft, request.is_merged)
    return (request.head, request.target, *flags, opinions, checks)


def delivered(
    world: GitHubWorld, action: str, pull: Pull, comment: Comment, before: str
) -> tuple[str, bytes]:
    """A delivery in the documented shape, cut to what matters: its event and body."""
    author = {"login": comment.author.login, "id": comment.author.id, "type": comment.author.type}
    told = {
        "html_url": f"https://github.example.org/acme/shop/pull/{pull.number}#{comment.anchor}",
        "body": comment.body,
        "user": author,
        "created_at": comment.created_at.isoformat().replace("+00:00", "Z"),
        "updated_at": comment.updated_at.isoformat().replace("+00:00", "Z"),
    }
    body: dict[str, Any] = {
        "action": action,
        "comment": told,
        "repository": {"full_name": world.name},
        "sender": author,
    }
    request = {"number": pull.number, "title": pull.title, "html_url": "https://github.example.org/x"}
    if comment.sort == "issuecomment-":
        body["issue"], event = request | {"pull_request": {}}, "issue_comment"
    else:
        body["pull_request"], event = request, "pull_request_review_comment"
    if action == "edited":
        body["changes"] = {"body": {"from": before}}
    return event, json.dumps(body).encode()
