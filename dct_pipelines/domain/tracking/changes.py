"""What happened to a ticket since an item last saw it: events, states, and comments that are gone. Pure.

A change is keyed by Jira's own ids, so that polls and deliveries of it are one event. What decides whether a
history is new to an item is what the item knew of the ticket (the newest history that it read, and how far in
time), never a clock of ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from dct_pipelines.domain.event import EventDraft
from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.payloads import (
    AssigneeChanged,
    CommentDeleted,
    Payload,
    PriorityChanged,
    StatusChanged,
    TextChanged,
)
from dct_pipelines.domain.snapshot import CommentState, Snapshot, TicketState
from dct_pipelines.domain.tracking.comments import (
    comment_event,
    comment_snapshot,
    comment_subject,
    is_newer,
    ticket_event,
)
from dct_pipelines.domain.tracking.known import Known, Manner, Reading
from dct_pipelines.domain.tracking.marks import change_write, value_write
from dct_pipelines.domain.tracking.raw import time_of
from dct_pipelines.domain.tracking.tickets import (
    FIELDS,
    Field,
    FieldChange,
    HistoryRead,
    TicketRead,
    number,
)

COMMENT_SETTLES = timedelta(seconds=60)
"""A comment that is younger, and newer than the ticket says, is missing because the listing is behind."""
TEXTS: Mapping[Field, str] = {"summary": "title", "description": "description"}


@dataclass
class Changes:
    """What is to be stored of a ticket for an item."""

    events: list[EventDraft] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    gone: list[tuple[UUID, str]] = field(default_factory=list)

    def add(self, other: Changes) -> None:
        """Put another one's behind."""
        self.events += other.events
        self.snapshots += other.snapshots
        self.gone += other.gone


@dataclass(frozen=True)
class Comparison:
    """One ticket as one item sees it."""

    item_id: UUID
    reading: Reading
    known: Known
    manner: Manner

    def changes(self) -> Changes:
        """Events in the order in which they happened, then the states as they are now."""
        ticket = self.reading.ticket
        placed = [*self._creation(), *self._fields(), *self._comments()]
        placed.sort(key=lambda entry: entry[0])
        found = Changes([event for _, event in placed])
        self._states(found)
        found.gone += [(self.item_id, comment_subject(ticket.id, state.comment_id)) for state in self._lost()]
        return found

    def field_changes(self) -> list[EventDraft]:
        """What happened to fields only, as a delivery tells it."""
        return [event for _, event in self._fields()]

    def baseline(self) -> Changes:
        """The states as they are, and nothing that happened."""
        found = Changes()
        self._states(found)
        return found

    def _creation(self) -> Iterator[tuple[_Place, EventDraft]]:
        """The first values of a ticket that is younger than the item's watching, from before its changes."""
        ticket = self.reading.ticket
        if self.known.state is not None or ticket.created_at <= self.known.since:
            return
        firsts: dict[Field, FieldChange] = {}
        for history in self.reading.histories:
            for change in history.changes:
                firsts.setdefault(change.field, change)
        for place, name in enumerate(FIELDS):
            first = firsts.get(name)
            value = _now(ticket, name) if first is None else (first.before_id, first.before)
            if not value[1] and not (name == "assignee" and value[0]):
                continue
            made = FieldChange(field=name, before_id=None, before=None, after_id=value[0], after=value[1])
            draft = self._event(
                f"created:{name}", ticket.created_at, ticket.creator, self._payload(made, is_first=True)
            )
            yield (ticket.created_at, 0, 0, place), draft

    def _fields(self) -> Iterator[tuple[_Place, EventDraft]]:
        for history in self.reading.histories:
            if not self.known.is_new(history):
                continue
            for place, change in enumerate(history.changes):
                draft = self._event(
                    f"{history.id}:{change.field}",
                    history.at,
                    history.author,
                    self._payload(change),
                    self._writes(history, change),
                )
                yield (history.at, 1, number(history.id), place), draft

    def _writes(self, history: HistoryRead, change: FieldChange) -> tuple[str, ...]:
        author = history.author.id if history.author else None
        if history.mark:
            return (change_write(author, history.mark),)
        if self.manner.marks_changes:
            return ()
        return (value_write(self.reading.ticket.id, change.field, author, change.after),)

    def _payload(self, change: FieldChange, *, is_first: bool = False) -> Payload:
        ticket = self.reading.ticket
        if change.field == "status":
            before = None if is_first else change.before
            return StatusChanged(from_status=before, to_status=change.after or "", ticket=ticket.ref)
        if change.field == "assignee":
            return AssigneeChanged(
                from_user=self._person(change.before_id, change.before),
                to_user=self._person(change.after_id, change.after),
                ticket=ticket.ref,
            )
        if change.field == "priority":
            ranks = self.manner.ranks
            return PriorityChanged(
                from_priority=change.before,
                to_priority=change.after,
                from_rank=ranks.get(change.before or ""),
                to_rank=ranks.get(change.after or ""),
                ticket=ticket.ref,
            )
        return TextChanged(
            field=TEXTS[change.field], before=change.before, after=change.after or "", ticket=ticket.ref
        )

    def _person(self, person_id: str | None, name: str | None) -> Person | None:
        if not person_id and not name:
            return None
        known = self.reading.ticket.people.get(person_id or "")
        return known or Person(id=person_id or None, name=name or None)

    def _comments(self) -> Iterator[tuple[_Place, EventDraft]]:
        for comment in self.reading.comments or ():
            draft = comment_event(self.item_id, self.reading.ticket.ref, comment, self.known, self.manner)
            if draft is not None:
                yield (draft.occurred_at, 2, number(comment.id), 0), draft
        ticket = self.reading.ticket
        for state in self._lost():
            payload = CommentDeleted(
                comment_id=state.comment_id, author=state.author, before=state.text, ticket=ticket.ref
            )
            # Who deleted it and when, Jira does not say; it was at the latest when the ticket last changed.
            at = max(ticket.updated_at, time_of(state.updated, "updated"))
            draft = self._event(f"comment:{state.comment_id}:deleted", at, None, payload)
            yield (at, 3, number(state.comment_id), 0), draft

    def _lost(self) -> Sequence[CommentState]:
        """Comments that we know and that are not listed any more."""
        if not self.reading.has_all_comments or self._is_behind:
            return ()
        there = {comment.id for comment in self.reading.comments or ()}
        return [
            state
            for comment_id, state in self.known.comments.items()
            if comment_id not in there and self._is_believed(state)
        ]

    def _is_believed(self, state: CommentState) -> bool:
        written = time_of(state.updated, "updated")
        return written <= self.reading.ticket.updated_at or self.reading.read_at - written > COMMENT_SETTLES

    @property
    def _is_behind(self) -> bool:
        """Whether the item knows the ticket newer than it was read now."""
        known = self.known.updated_at
        return known is not None and self.reading.ticket.updated_at < known

    def _event(
        self,
        key: str,
        at: datetime,
        actor: Person | None,
        payload: Payload,
        external_ids: tuple[str, ...] = (),
    ) -> EventDraft:
        return ticket_event(self.item_id, self.reading.ticket.id, key, at, actor, payload, external_ids)

    def _states(self, found: Changes) -> None:
        reading, known = self.reading, self.known
        for comment in reading.comments or ():
            before = known.comments.get(comment.id)
            if before is None or is_newer(comment, before, self.manner):
                found.snapshots.append(
                    comment_snapshot(self.item_id, reading.ticket.id, comment, reading.read_at)
                )
        if self._is_behind:
            return
        state = ticket_state(reading, known.state)
        if state != known.state:
            found.snapshots.append(
                Snapshot(
                    item_id=self.item_id, subject=reading.ticket.id, state=state, observed_at=reading.read_at
                )
            )


_Place = tuple[datetime, int, int, int]


def _now(ticket: TicketRead, name: Field) -> tuple[str | None, str | None]:
    match name:
        case "status":
            return None, ticket.status
        case "assignee":
            return (None, None) if ticket.assignee is None else _called(ticket)
        case "priority":
            return None, ticket.priority
        case "summary":
            return None, ticket.title
        case "description":
            return None, ticket.description


def _called(ticket: TicketRead) -> tuple[str | None, str | None]:
    """The assignee by a name that `people` knows."""
    assignee = ticket.assignee
    assert assignee is not None  # noqa: S101 - asked before
    return assignee.id, assignee.name


def ticket_state(reading: Reading, before: TicketState | None) -> TicketState:
    """A ticket as it is now; what could not be read of it stays as it was known."""
    ticket = reading.ticket
    last = max(reading.comments or (), key=lambda comment: comment.created_at, default=None)
    newest = max((history.id for history in reading.histories), key=number, default="")
    known_change = before.last_change if before else ""
    kept = before if reading.comments is None else None
    return TicketState(
        key=ticket.key,
        url=ticket.url,
        project=ticket.project,
        updated=ticket.updated,
        read_until=max([ticket.updated_at, *(history.at for history in reading.histories)]).isoformat(),
        title=ticket.title,
        description=ticket.description,
        status=ticket.status,
        assignee=ticket.assignee,
        priority=ticket.priority,
        labels=ticket.labels,
        last_comment=last.text if last else (kept.last_comment if kept else None),
        last_comment_by=last.author if last else (kept.last_comment_by if kept else None),
        last_change=max(newest, known_change, key=number),
    )
