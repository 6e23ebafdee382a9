"""From raw answers to readings of tickets. What cannot be understood is put aside raw, the rest goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from dct_pipelines.domain.errors import PayloadUnreadable
from dct_pipelines.domain.listener import DeadLetter
from dct_pipelines.domain.tracking.known import Reading
from dct_pipelines.domain.tracking.reader import Named, TrackerReader
from dct_pipelines.domain.tracking.tickets import (
    CommentRead,
    HistoryRead,
    TicketRead,
    comment_of,
    history_of,
    inline_comments,
    people_of,
    ticket_of,
)

T = TypeVar("T")


@dataclass
class Letters:
    """What could not be understood, by key."""

    found: dict[str, DeadLetter] = field(default_factory=dict)

    def read(self, what: str, parse: Callable[[Any], T], raw: Any) -> T | None:
        """Understand it, or keep it raw and give None."""
        try:
            return parse(raw)
        except Exception as error:  # noqa: BLE001 - one that nobody foresaw must not hold up the others
            text = json.dumps(raw, default=str)
            named = raw.get("id") if isinstance(raw, Mapping) else None
            digest = hashlib.sha256(text.encode()).hexdigest()[:16]
            key = f"jira:{what}:{named or ''}:{digest}"
            self.found[key] = DeadLetter(key=key, raw=text, why=f"{what}: {error}")
            return None

    def taken(self) -> tuple[DeadLetter, ...]:
        """Those since this was asked last."""
        letters = tuple(self.found.values())
        self.found.clear()
        return letters


@dataclass(frozen=True)
class Gathering:
    """Completes tickets by their changelogs and comments."""

    port: TrackerReader
    letters: Letters
    read_at: datetime

    def tickets(self, raws: Iterable[Any]) -> dict[str, tuple[TicketRead, Mapping[str, Any]]]:
        """The tickets that can be understood, by id, with their raw form."""
        read = ((self.letters.read("ticket", ticket_of, raw), raw) for raw in raws)
        return {ticket.id: (ticket, raw) for ticket, raw in read if ticket is not None}

    def readings(self, tickets: Sequence[tuple[TicketRead, Mapping[str, Any]]]) -> Iterator[Reading]:
        """Whole readings of these tickets; one that could not be read is left out."""
        if not tickets:
            return
        histories = self.port.histories([raw for _, raw in tickets])
        for ticket, raw in tickets:
            if ticket.id in histories:
                reading = self._reading(ticket, raw, histories[ticket.id])
                if reading is not None:
                    yield reading

    def _reading(
        self, ticket: TicketRead, raw: Mapping[str, Any], histories: Sequence[Any]
    ) -> Reading | None:
        raw_comments = self._raw_comments(ticket, raw)
        if raw_comments is None:
            return None
        comments = self._each("comment", comment_of, raw_comments)
        changes = self._each("history", history_of, histories)
        known = {**_people(changes, comments, histories, raw_comments), **ticket.people}
        return Reading(
            ticket=ticket.model_copy(update={"people": known}),
            histories=tuple(sorted(changes, key=lambda history: history.place)),
            comments=tuple(comments),
            read_at=self.read_at,
            has_all_comments=len(comments) == len(raw_comments),
        )

    def _raw_comments(self, ticket: TicketRead, raw: Mapping[str, Any]) -> Sequence[Any] | None:
        """All comments of the ticket: those that came with it, or a listing of its own."""
        try:
            comments, is_all = inline_comments(raw)
        except PayloadUnreadable:
            comments, is_all = [], False
        return comments if is_all else self.port.comments(Named(ticket.id, ticket.key))

    def _each(self, what: str, parse: Callable[[Any], T], raws: Iterable[Any]) -> list[T]:
        read = (self.letters.read(what, parse, raw) for raw in raws)
        return [one for one in read if one is not None]


def _people(
    changes: Sequence[HistoryRead],
    comments: Sequence[CommentRead],
    histories: Sequence[Any],
    raw_comments: Sequence[Any],
) -> dict[str, Any]:
    """Everybody who is named by what could be understood."""
    understood = {change.id for change in changes} | {comment.id for comment in comments}
    return people_of(
        raw.get("author")
        for raw in (*histories, *raw_comments)
        if isinstance(raw, Mapping) and str(raw.get("id")) in understood
    )
