"""The event: one immutable fact from a provider."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from dct_pipelines.domain.facts import Fact, Person
from dct_pipelines.domain.payloads import Payload


class Cause(Fact):
    """Why an event is of our own making: the execution that wrote it and the triggers that led there."""

    execution_id: UUID
    chain: tuple[UUID, ...]
    """Ids of the triggers in whose wake this happened, the first one first."""

    @property
    def depth(self) -> int:
        """How many of our own executions stand behind the event."""
        return len(self.chain)


def key_of(change: str, item_id: UUID) -> str:
    """The dedup key of a change that more than one item of its connection may see."""
    return f"{change}@{item_id}"


class EventDraft(Fact):
    """An event as a listener reports it, before intake gave it an id and a place in the order.

    `dedup_key` derives from the provider's own ids, so that a poll and a webhook of the same change
    give the same key. Where several items may see the same change (a ticket of its own and one of a query),
    the key ends with `@` and the item's id (`key_of`). `external_ids` are the provider's ids of what was
    written (a commit, a comment): intake finds our own writes by them.
    """

    item_id: UUID
    subject: str
    dedup_key: str
    occurred_at: datetime
    actor: Person | None = None
    payload: Payload
    external_ids: tuple[str, ...] = ()


class Event(Fact):
    """A stored event. `seq` is its place in the one total order in which events are decided."""

    id: UUID
    seq: int
    connection_id: UUID
    item_id: UUID
    subject: str
    dedup_key: str
    occurred_at: datetime
    observed_at: datetime
    actor: Person | None = None
    cause: Cause | None = None
    payload: Payload

    @property
    def kind(self) -> str:
        """The kind of the payload, e.g. `head_moved`."""
        return self.payload.kind

    @property
    def about(self) -> str:
        """How people call what it is about: a ticket's key, a pull request's number, else the subject."""
        ticket = getattr(self.payload, "ticket", None)
        return ticket.key if ticket is not None else self.subject

    @property
    def change(self) -> str:
        """What happened, the same for every item that saw it: a trigger fires for it only once."""
        return f"{self.connection_id} {self.dedup_key.removesuffix(f'@{self.item_id}')}"
