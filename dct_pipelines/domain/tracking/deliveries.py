"""What Jira posts to us: verified, then turned into the same events with the same keys as a poll's.

A delivery is taken at its word for what it says, and for no more: it never moves forward what the next poll
reads from, so that a delivery that was lost or came late leaves no gap. What it cannot tell (whether a query
matches, whether we made the change ourselves) is read at once instead.
https://developer.atlassian.com/cloud/jira/platform/webhooks/
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from dct_pipelines.domain.errors import DeliveryRefused, PayloadUnreadable
from dct_pipelines.domain.facts import Person, TicketRef
from dct_pipelines.domain.listener import (
    Delivery,
    ItemReading,
    Page,
    ReadContext,
    Received,
    WatchedConnection,
    WatchedItem,
)
from dct_pipelines.domain.payloads import CommentDeleted
from dct_pipelines.domain.snapshot import CommentState, Snapshot, TicketState
from dct_pipelines.domain.tracking.changes import Changes, Comparison
from dct_pipelines.domain.tracking.comments import (
    comment_event,
    comment_snapshot,
    comment_subject,
    is_newer,
    ticket_event,
)
from dct_pipelines.domain.tracking.config import JiraConnection
from dct_pipelines.domain.tracking.known import Known, Manner, Reading
from dct_pipelines.domain.tracking.raw import Raw, object_of, optional_text, person_of, text_in, time_of
from dct_pipelines.domain.tracking.tickets import (
    CommentRead,
    TicketRead,
    comment_of,
    history_of,
    number,
    ticket_of,
    url_of,
)
from dct_pipelines.domain.tracking.token import JiraToken
from dct_pipelines.domain.tracking.watching import NOT_VISIBLE, Watching

_COMMENTED = frozenset({"issue_commented", "issue_comment_edited"})
"""How Data Center calls updates of an issue that are only a comment."""


def verify(delivery: Delivery, secret: str) -> None:
    """`DeliveryRefused` unless `X-Hub-Signature` is the HMAC-SHA256 of the body by this secret."""
    given = delivery.headers.get("x-hub-signature", "")
    expected = "sha256=" + hmac.new(secret.encode(), delivery.body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), given.encode(errors="replace")):
        raise DeliveryRefused(
            "X-Hub-Signature does not fit the webhook secret; use the same one on both sides"
        )


def receive(delivery: Delivery, connection: WatchedConnection, context: ReadContext) -> Received:
    """What a delivery says about what is watched."""
    try:
        body = json.loads(delivery.body)
    except (ValueError, RecursionError) as error:
        raise PayloadUnreadable("the delivery is not JSON") from error
    posted = object_of(body, "the delivery")
    event = text_in(posted, "webhookEvent", "the delivery").removeprefix("jira:")
    issue = posted.get("issue")
    if issue is None:
        return Received(f"{event} is about no ticket")
    raw = object_of(issue, "the delivery's issue")
    ticket_id = text_in(raw, "id", "the delivery's issue")
    told = Told(posted, raw, ticket_id, text_in(raw, "key", "the delivery's issue"), event)
    return Receiving(told, connection, context).received()


@dataclass(frozen=True)
class Told:
    """A delivery about a ticket."""

    posted: Raw
    issue: Raw
    ticket_id: str
    key: str
    event: str

    @property
    def ref(self) -> TicketRef:
        """The ticket, by the little that every delivery says of it."""
        fields = self.issue.get("fields")
        title = optional_text(fields, "summary", self.key) if isinstance(fields, Mapping) else None
        project = self.key.rpartition("-")[0]
        return TicketRef(
            id=self.ticket_id,
            key=self.key,
            title=title or "",
            project=project,
            url=url_of(self.issue, self.key),
        )


@dataclass
class Receiving:
    """One delivery, for every item that sees its ticket."""

    told: Told
    connection: WatchedConnection
    context: ReadContext
    changes: Changes = field(default_factory=Changes)

    def __post_init__(self) -> None:
        self.config = JiraConnection.model_validate(self.connection.config)
        self.token = JiraToken.model_validate(self.connection.token)
        self.watching = Watching(self.connection)
        self.manner = Manner(
            self.token.ranks,
            compares_texts=not self.config.is_cloud,
            marks_changes=self.config.history_metadata,
        )

    def received(self) -> Received:
        """A page of what it says, and which items have to be read for the rest."""
        told = self.told
        items = [*self.watching.by_ticket.get(told.ticket_id, ()), *self.watching.queries]
        pairs = [(item.id, told.ticket_id) for item in items]
        states = self.context.snapshots.of_subjects(pairs)
        known = {
            item.id: state
            for item in items
            if isinstance(state := states.get((item.id, told.ticket_id)), TicketState)
        }
        unsure = [item.id for item in items if item.id not in known] + self._unresolved()
        if told.event == "issue_deleted":
            return self._deleted(known)
        if self._is_ours():
            return Received(
                f"{told.event} of {told.key} by our own account: read at once", None, tuple(known)
            )
        for item_id, state in known.items():
            self._take(item_id, state)
        return Received(
            f"{told.event} of {told.key}: {len(self.changes.events)} events for {len(known)} items",
            self._page() if known else None,
            tuple(unsure),
        )

    def _unresolved(self) -> list[UUID]:
        waiting = self.watching.unresolved(self.context.now)
        return [item.id for item in waiting if item.location.upper() in (self.told.key, self.told.ticket_id)]

    def _is_ours(self) -> bool:
        """Whether our account did it: only the changelog says which of our executions."""
        who = person_of(self.told.posted.get("user"), "the delivery's user")
        return who is not None and who.id == self.token.account and "changelog" in self.told.posted

    def _take(self, item_id: UUID, state: TicketState) -> None:
        told = self.told
        below = self.context.snapshots.below(item_id, comment_subject(told.ticket_id, ""))
        comments = {one.comment_id: one for one in below.values() if isinstance(one, CommentState)}
        known = Known(state, comments, self.context.now)
        comment = told.posted.get("comment")
        if comment is not None and told.event == "comment_deleted":
            self._comment_deleted(item_id, known, object_of(comment, "the delivery's comment"))
        elif comment is not None and (told.event.startswith("comment_") or self._says(_COMMENTED)):
            self._comment(item_id, known, comment_of(comment))
        if "changelog" in told.posted:
            self._fields(item_id, known)

    def _says(self, kinds: frozenset[str]) -> bool:
        return self.told.posted.get("issue_event_type_name") in kinds

    def _comment(self, item_id: UUID, known: Known, comment: CommentRead) -> None:
        event = comment_event(item_id, self.told.ref, comment, known, self.manner)
        if event is not None:
            self.changes.events.append(event)
        before = known.comments.get(comment.id)
        if before is None or is_newer(comment, before, self.manner):
            now = self.context.now
            self.changes.snapshots.append(comment_snapshot(item_id, self.told.ticket_id, comment, now))

    def _comment_deleted(self, item_id: UUID, known: Known, raw: Raw) -> None:
        state = known.comments.get(text_in(raw, "id", "the delivery's comment"))
        if state is None:
            return
        payload = CommentDeleted(
            comment_id=state.comment_id, author=state.author, before=state.text, ticket=self.told.ref
        )
        key = f"comment:{state.comment_id}:deleted"
        self.changes.events.append(
            ticket_event(item_id, self.told.ticket_id, key, self._at, self._who, payload)
        )
        self.changes.gone.append((item_id, comment_subject(self.told.ticket_id, state.comment_id)))

    def _fields(self, item_id: UUID, known: Known) -> None:
        changelog = object_of(self.told.posted["changelog"], "the delivery's changelog")
        if known.state is None or number(text_in(changelog, "id", "changelog")) <= number(
            known.state.last_change
        ):
            return
        told = {**changelog, "created": self._at.isoformat(), "author": self.told.posted.get("user")}
        ticket = ticket_of(self.told.issue)
        reading = Reading(ticket, (history_of(told),), None, self.context.now, has_all_comments=False)
        self.changes.events += Comparison(item_id, reading, known, self.manner).field_changes()
        self.changes.snapshots += _forward(item_id, known, ticket, self.context.now)

    @property
    def _at(self) -> datetime:
        return time_of(self.told.posted.get("timestamp"), "the delivery's timestamp")

    @property
    def _who(self) -> Person | None:
        return person_of(self.told.posted.get("user"), "the delivery's user")

    def _deleted(self, known: Mapping[UUID, TicketState]) -> Received:
        """Not an event: a ticket that is gone cannot be acted on. Its items say so, queries forget it."""
        told = self.told
        items = self.watching.by_ticket.get(told.ticket_id, [])
        queries = {item.id for item in self.watching.queries} & known.keys()
        subjects = ((query, subject) for query in queries for subject in self._subjects(query))
        page = Page(None, None, gone=tuple(subjects), readings=tuple(self._gone(items)))
        return Received(f"{told.key} was deleted", page if items or queries else None)

    def _subjects(self, query: UUID) -> Iterator[str]:
        yield self.told.ticket_id
        yield from self.context.snapshots.below(query, comment_subject(self.told.ticket_id, ""))

    def _gone(self, items: list[WatchedItem]) -> Iterator[ItemReading]:
        for item in items:
            token = replace(self.watching.tokens[item.id], fault=NOT_VISIBLE)
            yield ItemReading(item.id, token.stored(), NOT_VISIBLE)

    def _page(self) -> Page:
        changes = self.changes
        return Page(None, None, tuple(changes.events), tuple(changes.snapshots), gone=tuple(changes.gone))


def _forward(item_id: UUID, known: Known, ticket: TicketRead, now: datetime) -> Iterator[Snapshot]:
    """The ticket's state with what the delivery says, if that is the newest that is known."""
    state, seen = known.state, known.updated_at
    if state is None or (seen is not None and ticket.updated_at < seen):
        return
    told: dict[str, Any] = {
        name: getattr(ticket, name)
        for name in ("key", "url", "project", "updated", "title", "status", "assignee", "priority", "labels")
    }
    yield Snapshot(item_id=item_id, subject=ticket.id, state=state.model_copy(update=told), observed_at=now)
