"""Reads a whole Jira site by one search: what was updated, then all that happened to what somebody watches.

A read is one search for the ids of what was updated, one fetch of those that are watched, and one of their
changelogs, however many tickets are watched. The fetch is topped up with tickets that were not looked at for
long (the sweep): what the search has missed, and what has become invisible, is found by them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property

from dct_pipelines.domain.listener import Page, ReadContext, WatchedConnection
from dct_pipelines.domain.tracking.batch import Batch
from dct_pipelines.domain.tracking.changes import Changes
from dct_pipelines.domain.tracking.config import JiraConnection
from dct_pipelines.domain.tracking.first_sight import first_sight
from dct_pipelines.domain.tracking.gathering import Gathering, Letters
from dct_pipelines.domain.tracking.known import Manner
from dct_pipelines.domain.tracking.reader import TrackerReader
from dct_pipelines.domain.tracking.tickets import Found, found_of, number
from dct_pipelines.domain.tracking.token import JiraToken
from dct_pipelines.domain.tracking.watching import Watching

BATCH = 100
"""Tickets that are fetched by one request and stored in one transaction."""


def manner_of(config: JiraConnection, token: JiraToken) -> Manner:
    """How this site answers."""
    return Manner(token.ranks, compares_texts=not config.is_cloud, marks_changes=config.history_metadata)


def read_together(
    connection: WatchedConnection, context: ReadContext, port: TrackerReader, *, batch_size: int = BATCH
) -> Iterator[Page]:
    """Pages of all that happened since the last read; what is seen for the first time is taken as it is."""
    yield from JiraReading(connection, context, port, batch_size).pages()


class JiraReading:
    """One read of a connection. The token is the progress: each page's is right to go on from."""

    def __init__(
        self, connection: WatchedConnection, context: ReadContext, port: TrackerReader, batch_size: int
    ) -> None:
        self.batch_size = batch_size
        self.config = JiraConnection.model_validate(connection.config)
        self.token = JiraToken.model_validate(connection.token)
        self.watching = Watching(connection)
        self.context = context
        self.port = port
        self.letters = Letters()
        self.now = port.now()

    @cached_property
    def gathering(self) -> Gathering:
        """Completes what is fetched."""
        return Gathering(self.port, self.letters, self.now)

    def pages(self) -> Iterator[Page]:
        """First sights, then what was updated, oldest first."""
        self._prepare()
        watched_since = self.token.watermark or self.now
        new_queries = frozenset(item.id for item in self.watching.begin(self.now))
        self.token = self.token.advanced(watched_since, {}, self.config.overlap)
        unresolved = self.watching.unresolved(self.now)
        for start in range(0, len(unresolved), self.batch_size):
            items = unresolved[start : start + self.batch_size]
            changes = first_sight(items, self.watching, self.port, self.gathering, self.manner, self.now)
            yield self._page(changes, is_last=False)
        since = (self.token.drained_at or watched_since) - self.config.overlap
        yield from self._updated(Batch(self, new_queries, since))

    def _prepare(self) -> None:
        token = self.token
        if token.wants_facts(self.now):
            facts = {"priorities": self.port.priorities(), "account": self.port.account()}
            token = token.model_copy(update={**facts, "facts_at": self.now})
        if token.swept_at is None:
            token = token.model_copy(update={"swept_at": self.now})
        self.token = token

    @property
    def manner(self) -> Manner:
        """How the site answers."""
        return manner_of(self.config, self.token)

    def _updated(self, batch: Batch) -> Iterator[Page]:
        waiting: dict[str, Found] = {}
        reached: datetime | None = None
        in_order = True
        for found in self._search():
            in_order = in_order and (reached is None or found.updated_at >= reached)
            reached = max(found.updated_at, reached or found.updated_at)
            if batch.wants(found):
                waiting[found.id] = found
            if len(waiting) >= self.batch_size:
                changes = batch.changes(list(waiting.values()))
                self._advance(reached if in_order else None, batch)
                yield self._page(changes, is_last=False)
                waiting = {}
        swept = self._sweep(self.batch_size - len(waiting))
        changes = batch.changes(list(waiting.values()), swept)
        self._advance(reached, batch)
        drained = {"round": self.token.round + 1, "drained_at": self.now}
        self.token = self.token.model_copy(update=drained)
        yield self._page(changes, is_last=not batch.left)
        if batch.left:
            yield self._page(Changes(gone=list(batch.left)), is_last=True)

    def _search(self) -> Iterator[Found]:
        """What was updated since the watermark and a bit before; the oldest first."""
        since = (self.token.watermark or self.now) - self.config.overlap
        minutes = max(1, math.ceil((self.now - since) / timedelta(minutes=1)))
        for page in self.port.changed(minutes, self.config.projects):
            for raw in page:
                found = self.letters.read("found ticket", found_of, raw)
                if found is not None:
                    yield found

    def _advance(self, reached: datetime | None, batch: Batch) -> None:
        to = None if reached is None else min(reached, self.now)
        self.token = self.token.advanced(to, batch.handled, self.config.overlap)

    def _sweep(self, room: int) -> Sequence[str]:
        """The next watched tickets to look at although nobody said that they changed."""
        token = self.token
        interval = timedelta(seconds=self.config.sweep_interval_seconds)
        if token.sweep_after is None:
            if token.swept_at is not None and self.now - token.swept_at < interval:
                return ()
            token = token.model_copy(update={"swept_at": self.now, "sweep_after": -1})
        after = token.sweep_after or -1
        rest = sorted((number(ticket), ticket) for ticket in self.watching.by_ticket)
        rest = [entry for entry in rest if entry[0] > after]
        taken = rest[: max(room, 0)]
        is_over = len(taken) == len(rest)
        next_after = None if is_over else (taken[-1][0] if taken else after)
        self.token = token.model_copy(update={"sweep_after": next_after})
        return [ticket for _, ticket in taken]

    def _page(self, changes: Changes, *, is_last: bool) -> Page:
        return Page(
            item_id=None,
            token=self.token.stored(),
            events=tuple(sorted(changes.events, key=lambda event: event.occurred_at)),
            snapshots=tuple(changes.snapshots),
            gone=tuple(changes.gone),
            readings=self.watching.readings(),
            dead_letters=self.letters.taken(),
            is_last=is_last,
        )
