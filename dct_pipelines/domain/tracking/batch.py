"""One batch of updated tickets: fetched, compared with what each item knows of them, and made to changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from dct_pipelines.domain.listener import ReadContext, WatchedItem
from dct_pipelines.domain.snapshot import CommentState, State, TicketState
from dct_pipelines.domain.tracking.changes import Changes, Comparison
from dct_pipelines.domain.tracking.comments import comment_subject
from dct_pipelines.domain.tracking.config import JiraConnection
from dct_pipelines.domain.tracking.first_sight import taken_as_is
from dct_pipelines.domain.tracking.gathering import Gathering
from dct_pipelines.domain.tracking.known import Known, Manner, Reading
from dct_pipelines.domain.tracking.raw import time_of
from dct_pipelines.domain.tracking.reader import Named, TrackerReader
from dct_pipelines.domain.tracking.tickets import Found, TicketRead
from dct_pipelines.domain.tracking.token import Handled, JiraToken
from dct_pipelines.domain.tracking.watching import Watching

Pair = tuple[UUID, str]
"""An item and a ticket that it may see."""


class Read(Protocol):
    """The read that a batch belongs to."""

    config: JiraConnection
    token: JiraToken
    watching: Watching
    context: ReadContext
    port: TrackerReader
    now: datetime

    @property
    def gathering(self) -> Gathering:
        """Completes what is fetched."""

    @property
    def manner(self) -> Manner:
        """How the site answers."""


class Batch:
    """Handles batches of one read. `handled` grows with each; `left` are tickets that queries see no more.

    `new_queries` are seen for the first time: of them everything is taken as it is. Of a ticket that comes
    into an older query, what happened after `since` is the query's business.
    """

    def __init__(self, read: Read, new_queries: frozenset[UUID], since: datetime) -> None:
        self._read = read
        self._new_queries = new_queries
        self._since = since
        self.handled: dict[str, Handled] = {}
        self.left: list[Pair] = []

    def wants(self, found: Found) -> bool:
        """Whether a ticket has to be looked at: somebody may see it, and it is not known just so."""
        watching, token = self._read.watching, self._read.token
        if not watching.queries and found.id not in watching.by_ticket:
            return False
        known = self.handled.get(found.id) or token.handled.get(found.id)
        if known is None or known.updated != found.updated or self._new_queries:
            return True
        if known.round == token.round:
            return False
        settle = timedelta(seconds=self._read.config.settle_seconds)
        return known.read_at - found.updated_at <= settle

    def changes(self, founds: Sequence[Found], swept: Sequence[str] = ()) -> Changes:
        """All that happened to these tickets, for every item that sees them."""
        changes = Changes()
        seen_by, leaving = self._seen_by(founds)
        for ticket_id in swept:
            seen_by.setdefault(ticket_id, list(self._read.watching.by_ticket[ticket_id]))
        states = self._states((item, ticket_id) for ticket_id, items in seen_by.items() for item in items)
        tickets, missing = self._fetched(_names(founds, seen_by, states))
        changed = {found.id for found in founds}
        moved = [
            entry
            for ticket_id, entry in tickets.items()
            if ticket_id in changed or _is_moved(entry[0], seen_by[ticket_id], states)
        ]
        read = set(missing)
        for reading in self._read.gathering.readings(moved):
            read.add(reading.ticket.id)
            for item in seen_by[reading.ticket.id]:
                changes.add(self._of(item, reading, states))
        self.left += [pair for pair in leaving if pair[1] in read]
        for found in founds:
            if found.id in read or found.id not in seen_by:
                self.handled[found.id] = Handled(
                    updated=found.updated,
                    at=found.updated_at,
                    read_at=self._read.now,
                    round=self._read.token.round,
                )
        return changes

    def _fetched(self, wanted: Sequence[Named]) -> tuple[dict[str, _Fetched], set[str]]:
        """Those tickets in full, and the ids of those that are not there any more, as their items now say."""
        read = self._read
        if not wanted:
            return {}, set()
        answered = read.port.tickets(wanted)
        asked = {one.id for one in wanted}
        found = read.gathering.tickets(answered.found)
        missing = {one.id for one in answered.missing}
        for ticket_id in missing:
            read.watching.seen(ticket_id, is_missing=True)
        for ticket_id in found:
            read.watching.seen(ticket_id, is_missing=False)
        return {ticket_id: entry for ticket_id, entry in found.items() if ticket_id in asked}, missing

    def _seen_by(self, founds: Sequence[Found]) -> tuple[dict[str, list[WatchedItem]], list[Pair]]:
        """Which items see each ticket, and what queries knew before and do not match any more."""
        watching = self._read.watching
        queries = watching.queries if founds else []
        known = self._states((query, found.id) for query in queries for found in founds)
        seen_by: dict[str, list[WatchedItem]] = {}
        for found in founds:
            seen_by[found.id] = list(watching.by_ticket.get(found.id, ()))
        leaving: list[Pair] = []
        for query, matched in zip(queries, self._matched(queries, founds), strict=True):
            for found in founds:
                is_known = (query.id, found.id) in known
                if is_known or (matched is not None and found.id in matched):
                    seen_by[found.id].append(query)
                if is_known and matched is not None and found.id not in matched:
                    leaving.append((query.id, found.id))
        return {ticket_id: items for ticket_id, items in seen_by.items() if items}, leaving

    def _matched(
        self, queries: Sequence[WatchedItem], founds: Sequence[Found]
    ) -> list[frozenset[str] | None]:
        """The tickets that each query matches; None where it cannot be asked."""
        if not queries:
            return []
        answers = self._read.port.matching(
            [query.location for query in queries], [Named(found.id, found.key) for found in founds]
        )
        for query, answer in zip(queries, answers, strict=True):
            self._read.watching.say([query.id], answer.fault)
        return [None if answer.fault else answer.ids for answer in answers]

    def _of(self, item: WatchedItem, reading: Reading, states: Mapping[Pair, State]) -> Changes:
        ticket_id = reading.ticket.id
        state = states.get((item.id, ticket_id))
        token = self._read.watching.tokens[item.id]
        manner = self._read.manner
        if not isinstance(state, TicketState) and (token.epoch is None or item.id in self._new_queries):
            return taken_as_is(item.id, reading, manner)
        since = max(token.epoch or self._since, self._since)
        if isinstance(state, TicketState):
            known = Known(state, self._comments(item.id, ticket_id), since)
        else:
            known = Known(None, {}, since)
        return Comparison(item.id, reading, known, manner).changes()

    def _comments(self, item_id: UUID, ticket_id: str) -> dict[str, CommentState]:
        below = self._read.context.snapshots.below(item_id, comment_subject(ticket_id, ""))
        return {state.comment_id: state for state in below.values() if isinstance(state, CommentState)}

    def _states(self, pairs: Iterable[tuple[WatchedItem, str]]) -> Mapping[Pair, State]:
        wanted = [(item.id, ticket_id) for item, ticket_id in pairs]
        return self._read.context.snapshots.of_subjects(wanted) if wanted else {}

    def forgotten(self) -> list[tuple[UUID, str]]:
        """All subjects of what has left; asked when the events that led it out are stored."""
        below = self._read.context.snapshots.below
        comments = [
            (item_id, subject)
            for item_id, ticket_id in self.left
            for subject in below(item_id, comment_subject(ticket_id, ""))
        ]
        return [*self.left, *comments]


_Fetched = tuple[TicketRead, Mapping[str, object]]


def _is_moved(ticket: TicketRead, items: Sequence[WatchedItem], states: Mapping[Pair, State]) -> bool:
    """Whether some item knows the ticket otherwise than it is now."""
    known = (states.get((item.id, ticket.id)) for item in items)
    return any(
        not isinstance(state, TicketState)
        or not state.read_until
        or ticket.updated_at > time_of(state.read_until, "read_until")
        for state in known
    )


def _names(
    founds: Sequence[Found], seen_by: Mapping[str, Sequence[WatchedItem]], states: Mapping[Pair, State]
) -> list[Named]:
    """How to ask for these tickets: by the key that the search told, else by the last one that is known."""
    keys = {
        ticket_id: state.key for (_, ticket_id), state in states.items() if isinstance(state, TicketState)
    } | {found.id: found.key for found in founds}
    return [Named(ticket_id, keys.get(ticket_id, "")) for ticket_id in seen_by]
