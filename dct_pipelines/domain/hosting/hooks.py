"""What a git host's delivery means: a comment becomes an event at once, for everything else the item is read.

A comment's event has the key that a read would give it, so that both together are one. What is derived (how
reviews and checks stand) is never believed to a delivery: it may be old, or out of order.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from dct_pipelines.domain.errors import DeliveryRefused, PayloadUnreadable
from dct_pipelines.domain.event import EventDraft, key_of
from dct_pipelines.domain.facts import Person, RequestRef
from dct_pipelines.domain.hosting.comments import CommentChange, CommentChanges, added, deleted, edited
from dct_pipelines.domain.hosting.keys import comment_subject, kept, subject_of
from dct_pipelines.domain.hosting.places import place_of
from dct_pipelines.domain.hosting.reader import HostedComment
from dct_pipelines.domain.hosting.token import HostToken
from dct_pipelines.domain.listener import (
    Delivery,
    Page,
    ReadContext,
    Received,
    WatchedConnection,
    WatchedItem,
)
from dct_pipelines.domain.matching import same_name
from dct_pipelines.domain.snapshot import CommentState, PullRequestState, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldComment:
    """A comment as a delivery tells of it. `before` is its text before an edit, where the host says."""

    repository: str
    number: int
    action: Literal["added", "edited", "deleted"]
    comment: HostedComment
    before: str | None = None
    actor: Person | None = None
    title: str = ""
    url: str | None = None


def verify_hmac(delivery: Delivery, secret: str, header: str, prefix: str = "") -> None:
    """`DeliveryRefused` unless the header is the body's HMAC-SHA256 in hexadecimal digits."""
    given = delivery.headers.get(header, "")
    expected = prefix + hmac.new(secret.encode(), delivery.body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), given.encode(errors="replace")):
        raise DeliveryRefused(f"{header} does not fit the webhook secret; use the same one on both sides")


def json_object(body: bytes) -> Mapping[str, Any]:
    """The delivery's JSON."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise PayloadUnreadable("the delivery is no JSON object; choose application/json as content type")
    return found


def items_of(
    connection: WatchedConnection, repository: str, number: int | None = None, root: str = ""
) -> tuple[WatchedItem, ...]:
    """The items that a delivery concerns: the repository, and that pull request (None: all of them)."""
    found = []
    for item in connection.items:
        place = place_of(item.location, root)
        if place is None or not same_name(place.repository, repository):
            continue
        if place.number is None or number is None or place.number == number:
            found.append(item)
    return tuple(found)


def look_at(items: Iterable[WatchedItem], what: str) -> Received:
    """Read these now."""
    found = tuple(items)
    if not found:
        return Received(f"{what}: no item of this connection is about that")
    return Received(
        f"{what}: {', '.join(item.name for item in found)} is read now", look_at=tuple(i.id for i in found)
    )


def received_comment(told: ToldComment, items: Iterable[WatchedItem], context: ReadContext) -> Received:
    """One page with the comment's event for each item that has been read before."""
    events: list[EventDraft] = []
    snapshots: list[Snapshot] = []
    gone = []
    for item in items:
        epoch = HostToken.model_validate(item.token).requests.epoch
        if epoch is None:
            continue
        subject = comment_subject(told.number, told.comment.id)
        known = context.snapshots.of_subjects([(item.id, subject), (item.id, subject_of(told.number))])
        stored = known.get((item.id, subject))
        stored = stored if isinstance(stored, CommentState) else None
        change = _change(told, stored, _ref(told, known.get((item.id, subject_of(told.number)))), epoch)
        if change is not None:
            events.append(_draft(item, told, change, context.now))
        if told.action == "deleted":
            gone.append((item.id, subject))
        elif _is_newer(told, stored) if stored is not None else change is not None:
            state = CommentChanges.state(told.comment)
            snapshots.append(Snapshot(item_id=item.id, subject=subject, state=state, observed_at=context.now))
    because = f"comment {told.comment.id} was {told.action}"
    if not (events or snapshots or gone):
        return Received(f"{because}: no item of this connection is about that")
    page = Page(None, None, events=tuple(events), snapshots=tuple(snapshots), gone=tuple(gone))
    return Received(because, page)


def _change(
    told: ToldComment, stored: CommentState | None, request: RequestRef, epoch: datetime
) -> CommentChange | None:
    """The event, if it is one: nothing of before the first read is, nor what is known already."""
    comment = told.comment
    is_new = comment.created_at >= epoch
    if told.action == "added":
        return added(comment, request) if is_new and stored is None else None
    if told.action == "deleted":
        if stored is None and not is_new:
            return None
        return deleted(stored or CommentChanges.state(comment), request, told.actor)
    if comment.edited_at is not None and comment.edited_at < epoch:
        return None
    before = told.before if told.before is not None or stored is None else stored.text
    return edited(comment, before, request, told.actor)


def _is_newer(told: ToldComment, stored: CommentState) -> bool:
    """Several edits may fall into one second, and a delivery may be late: it has to fit what is known."""
    if told.action == "added" or told.comment.updated < stored.updated:
        return False
    return told.comment.updated > stored.updated or told.before is None or kept(told.before) == stored.text


def _ref(told: ToldComment, state: object) -> RequestRef:
    if isinstance(state, PullRequestState):
        return RequestRef(
            number=state.number,
            title=state.title,
            source=state.source,
            target=state.target,
            url=state.url,
        )
    return RequestRef(number=told.number, title=kept(told.title), url=told.url)


def _draft(item: WatchedItem, told: ToldComment, change: CommentChange, now: datetime) -> EventDraft:
    return EventDraft(
        item_id=item.id,
        subject=subject_of(told.number),
        dedup_key=key_of(change.key, item.id),
        occurred_at=change.at or now,
        actor=change.actor,
        payload=change.payload,
        external_ids=(change.comment_id,),
    )
