"""Which items see which tickets, and what is remembered of each item while a connection is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from dct_pipelines.domain.listener import ItemReading, WatchedConnection, WatchedItem
from dct_pipelines.domain.tracking.token import ItemToken
from dct_pipelines.domain.words import ItemKind

MISSING_RETRY = timedelta(minutes=5)
NOT_VISIBLE = "deleted, or no longer visible to our account; nothing of it is lost if it comes back"


class Watching:
    """The items of a connection by what they see, with their tokens as they change during a read."""

    def __init__(self, connection: WatchedConnection) -> None:
        self.tokens = {item.id: ItemToken.of(item.token) for item in connection.items}
        self._items = {item.id: item for item in connection.items}
        self._stored = dict(self.tokens)
        self.queries = [item for item in connection.items if item.kind is ItemKind.JIRA_QUERY]
        self.by_ticket: dict[str, list[WatchedItem]] = {}
        for item in connection.items:
            ticket = self.tokens[item.id].id
            if item.kind is ItemKind.JIRA_TICKET and ticket is not None:
                self.by_ticket.setdefault(ticket, []).append(item)

    def unresolved(self, now: datetime) -> list[WatchedItem]:
        """Tickets whose id is not known yet, unless they were looked for a moment ago."""
        tokens = self.tokens
        return [
            item
            for item in self._items.values()
            if item.kind is ItemKind.JIRA_TICKET
            and tokens[item.id].id is None
            and (tokens[item.id].retry_at or now) <= now
        ]

    def resolved(self, item: WatchedItem, ticket_id: str) -> None:
        """From now on the item sees the ticket of that id, wherever it moves."""
        self.tokens[item.id] = ItemToken(id=ticket_id)
        self.by_ticket.setdefault(ticket_id, []).append(item)

    def not_found(self, item: WatchedItem, now: datetime) -> None:
        """There is no such ticket for us now."""
        why = f"there is no ticket {item.location}, or our account may not see it; it is looked for again"
        self.tokens[item.id] = ItemToken(fault=why, retry_at=now + MISSING_RETRY)

    def begin(self, now: datetime) -> list[WatchedItem]:
        """Queries that are seen for the first time; they are watched from now on."""
        new = [item for item in self.queries if self.tokens[item.id].epoch is None]
        for item in new:
            self.tokens[item.id] = ItemToken(epoch=now)
        return new

    def say(self, item_ids: Iterable[UUID], fault: str | None) -> None:
        """Remember why items cannot be read, or that they can."""
        for item_id in item_ids:
            self.tokens[item_id] = replace(self.tokens[item_id], fault=fault)

    def seen(self, ticket_id: str, *, is_missing: bool) -> None:
        """A ticket was looked at by its id."""
        items = [item.id for item in self.by_ticket.get(ticket_id, ())]
        self.say(items, NOT_VISIBLE if is_missing else None)

    def readings(self) -> tuple[ItemReading, ...]:
        """What has changed since this was asked last."""
        changed = {item_id: token for item_id, token in self.tokens.items() if token != self._stored[item_id]}
        self._stored.update(changed)
        return tuple(ItemReading(item_id, token.stored(), token.fault) for item_id, token in changed.items())
