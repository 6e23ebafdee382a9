"""The first look at tickets: their keys become ids, and they are taken as they are, without events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from dct_pipelines.domain.listener import WatchedItem
from dct_pipelines.domain.tracking.changes import Changes, Comparison
from dct_pipelines.domain.tracking.gathering import Gathering
from dct_pipelines.domain.tracking.known import Known, Manner, Reading
from dct_pipelines.domain.tracking.reader import Named, TrackerReader
from dct_pipelines.domain.tracking.tickets import TicketRead
from dct_pipelines.domain.tracking.watching import Watching

Raws = Mapping[str, tuple[TicketRead, Mapping[str, Any]]]


def first_sight(
    items: Sequence[WatchedItem],
    watching: Watching,
    port: TrackerReader,
    gathering: Gathering,
    manner: Manner,
    now: datetime,
) -> Changes:
    """Find these items' tickets and take them as they are. Those that cannot be told are left for later."""
    answered = port.tickets([_named(item) for item in items])
    tickets = dict(gathering.tickets(answered.found))
    found = _by_name(items, tickets)
    for item in items:
        if item.id not in found and _named(item) in answered.missing:
            watching.not_found(item, now)
        elif item.id not in found:
            found |= _moved(item, items, tickets, found, port, gathering)
    readings = {
        reading.ticket.id: reading for reading in gathering.readings([tickets[i] for i in _used(found)])
    }
    changes = Changes()
    for item in items:
        reading = readings.get(found.get(item.id, ""))
        if reading is not None:
            watching.resolved(item, reading.ticket.id)
            changes.add(taken_as_is(item.id, reading, manner))
    return changes


def taken_as_is(item_id: UUID, reading: Reading, manner: Manner) -> Changes:
    """The states of a ticket that an item sees for the first time."""
    return Comparison(item_id, reading, Known(None, {}, reading.read_at), manner).baseline()


def _by_name(items: Sequence[WatchedItem], tickets: Raws) -> dict[UUID, str]:
    named = {ticket.key.upper(): ticket.id for ticket, _ in tickets.values()} | {one: one for one in tickets}
    wanted = ((item.id, named.get(item.location.upper())) for item in items)
    return {item_id: ticket_id for item_id, ticket_id in wanted if ticket_id is not None}


def _moved(
    item: WatchedItem,
    items: Sequence[WatchedItem],
    tickets: dict[str, tuple[TicketRead, Mapping[str, Any]]],
    found: Mapping[UUID, str],
    port: TrackerReader,
    gathering: Gathering,
) -> dict[UUID, str]:
    """A ticket that answers to its old key has a new one: what is left over belongs together."""
    unclaimed = [ticket_id for ticket_id in tickets if ticket_id not in found.values()]
    if not unclaimed:
        return {}
    if len(unclaimed) == 1 and len(items) == len(found) + 1:
        return {item.id: unclaimed[0]}
    alone = gathering.tickets(port.tickets([_named(item)]).found)
    tickets |= alone
    return dict.fromkeys([item.id], next(iter(alone))) if alone else {}


def _named(item: WatchedItem) -> Named:
    location = item.location
    return Named(location, "") if location.isdigit() else Named("", location.upper())


def _used(found: Mapping[UUID, str]) -> Iterator[str]:
    yield from dict.fromkeys(found.values())
