"""Events and their deduplication keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, Select, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from dct_pipelines.domain.event import Cause, Event, EventDraft
from dct_pipelines.domain.git_refs import HEADS
from dct_pipelines.store.tables import context_library, event_keys, events, own_writes

_BY_ID = select(events).where(events.c.id == bindparam("the_event"))


def claim_keys(connection: Connection, connection_id: UUID, drafts: Sequence[EventDraft]) -> dict[str, UUID]:
    """Of these drafts, those never seen before: their dedup key and the id each gets. Others are repeats."""
    fresh = {draft.dedup_key: uuid4() for draft in drafts}
    if not fresh:
        return {}
    rows = [
        {"connection_id": connection_id, "dedup_key": key, "event_id": event_id}
        for key, event_id in fresh.items()
    ]
    statement = insert(event_keys).on_conflict_do_nothing().returning(event_keys.c.dedup_key)
    won = connection.execute(statement, rows).scalars()
    return {key: fresh[key] for key in won}


def causes(
    connection: Connection, connection_id: UUID, drafts: Iterable[EventDraft]
) -> dict[tuple[UUID, str], Cause]:
    """By (item, external id): the execution of ours that wrote it, where one did.

    What was announced for the item itself counts first, then what was for another one of its connection: two
    items may see the same ticket.
    """
    wanted = {(draft.item_id, external) for draft in drafts for external in draft.external_ids}
    if not wanted:
        return {}
    statement = (
        select(own_writes)
        .join(context_library, context_library.c.id == own_writes.c.item_id)
        .where(
            context_library.c.connection_id == connection_id,
            own_writes.c.external_id.in_({external for _, external in wanted}),
        )
        .order_by(own_writes.c.created_at)
    )
    found = {(row.item_id, row.external_id): row for row in connection.execute(statement)}
    anywhere = {external: row for (_, external), row in found.items()}
    written = {key: found.get(key) or anywhere.get(key[1]) for key in wanted}
    return {
        key: Cause(execution_id=row.execution_id, chain=tuple(row.chain))
        for key, row in written.items()
        if row is not None
    }


def insert_events(connection: Connection, stored: Sequence[Event], release: str) -> None:
    """Store events that `claim_keys` let through."""
    if not stored:
        return
    rows = []
    for event in stored:
        row = event.model_dump(mode="json", include={"actor", "payload", "cause"})
        row |= event.model_dump(exclude={"actor", "payload", "cause"})
        rows.append(row | {"kind": event.kind, "release": release})
    connection.execute(insert(events), rows)


def to_event(row: Row[Any]) -> Event:
    """The event of a row of `events`."""
    return Event.model_validate(
        {name: value for name, value in row._mapping.items() if name in Event.model_fields}
    )


def get(connection: Connection, event_id: UUID) -> Event | None:
    """One event."""
    row = connection.execute(_BY_ID, {"the_event": event_id}).one_or_none()
    return to_event(row) if row is not None else None


def release_of(connection: Connection, event_id: UUID) -> str | None:
    """The release of the product that took the event in."""
    return connection.scalar(select(events.c.release).where(events.c.id == event_id))


def select_events(
    *,
    item_ids: Sequence[UUID] | None = None,
    since: datetime | None = None,
    subject: str | None = None,
) -> Select[Any]:
    """A selection of events; the caller orders and limits it.

    A subject may also be given as people call it: a branch by its name, a ticket by its key.
    """
    statement = select(events)
    if item_ids is not None:
        statement = statement.where(events.c.item_id.in_(item_ids))
    if since is not None:
        statement = statement.where(events.c.observed_at >= since)
    if subject is not None:
        ticket_key = func.upper(events.c.payload["ticket"]["key"].astext)
        known_as = events.c.subject.in_((subject, HEADS + subject))
        statement = statement.where(or_(known_as, ticket_key == subject.upper()))
    return statement


def latest(connection: Connection, statement: Select[Any], limit: int) -> list[Event]:
    """The newest events of a selection, newest first."""
    return [to_event(row) for row in connection.execute(statement.order_by(events.c.seq.desc()).limit(limit))]


def in_order(connection: Connection, statement: Select[Any], batch: int = 1000) -> Iterator[Event]:
    """Every event of a selection in the order in which they were decided, streamed."""
    result = connection.execution_options(yield_per=batch).execute(statement.order_by(events.c.seq))
    for row in result:
        yield to_event(row)
