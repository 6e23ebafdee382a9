"""What happened to a ticket's comment, and its state. Pure; polls and deliveries use the same."""

from __future__ import annotations

import hashlib
from datetime import datetime
from uuid import UUID

from dct_pipelines.domain.event import EventDraft, key_of
from dct_pipelines.domain.facts import Person, TicketRef
from dct_pipelines.domain.payloads import CommentAdded, CommentEdited, Payload
from dct_pipelines.domain.snapshot import CommentState, Snapshot
from dct_pipelines.domain.tracking.known import Known, Manner
from dct_pipelines.domain.tracking.marks import comment_write
from dct_pipelines.domain.tracking.raw import time_of
from dct_pipelines.domain.tracking.tickets import CommentRead


def comment_subject(ticket_id: str, comment_id: str) -> str:
    """Where the state of a comment lies."""
    return f"{ticket_id}/comments/{comment_id}"


def ticket_event(
    item_id: UUID,
    ticket_id: str,
    key: str,
    at: datetime,
    actor: Person | None,
    payload: Payload,
    external_ids: tuple[str, ...] = (),
) -> EventDraft:
    """An event of a ticket. `key` tells it from all others of that ticket."""
    return EventDraft(
        item_id=item_id,
        subject=ticket_id,
        dedup_key=key_of(f"jira:{ticket_id}:{key}", item_id),
        occurred_at=at,
        actor=actor,
        payload=payload,
        external_ids=external_ids,
    )


def is_newer(comment: CommentRead, before: CommentState, manner: Manner) -> bool:
    """Whether the comment was edited since that state of it, or in the same moment to another text."""
    if comment.updated == before.updated:
        return manner.compares_texts and comment.text != before.text
    return comment.updated_at > time_of(before.updated, "updated")


def comment_event(
    item_id: UUID, ticket: TicketRef, comment: CommentRead, known: Known, manner: Manner
) -> EventDraft | None:
    """What happened to a comment, if anything did since the item saw it."""
    url = f"{ticket.url}?focusedCommentId={comment.id}" if ticket.url else None
    writes = (comment_write(comment.author.id, comment.mark),) if comment.mark else ()
    before = known.comments.get(comment.id)
    if before is None and (known.state is not None or comment.created_at > known.since):
        payload: Payload = CommentAdded(
            comment_id=comment.id, author=comment.author, text=comment.text, ticket=ticket, url=url
        )
        key = f"comment:{comment.id}:added"
        return ticket_event(item_id, ticket.id, key, comment.created_at, comment.author, payload, writes)
    is_edited = comment.updated_at > known.since if before is None else is_newer(comment, before, manner)
    if not is_edited:
        return None
    payload = CommentEdited(
        comment_id=comment.id,
        author=comment.author,
        before=before.text if before else None,
        after=comment.text,
        ticket=ticket,
        url=url,
    )
    # A time in whole seconds or days may stay the same: there the text is part of the key.
    again = f":{hashlib.sha256(comment.text.encode()).hexdigest()[:12]}" if manner.compares_texts else ""
    key = f"comment:{comment.id}:{comment.updated_at.isoformat()}{again}"
    actor = comment.editor or comment.author
    return ticket_event(item_id, ticket.id, key, comment.updated_at, actor, payload, writes)


def comment_snapshot(item_id: UUID, ticket_id: str, comment: CommentRead, at: datetime) -> Snapshot:
    """The state of a comment as it was read."""
    state = CommentState(
        comment_id=comment.id, author=comment.author, text=comment.text, updated=comment.updated
    )
    return Snapshot(
        item_id=item_id, subject=comment_subject(ticket_id, comment.id), state=state, observed_at=at
    )
