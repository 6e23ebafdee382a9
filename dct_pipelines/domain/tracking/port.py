"""What `update_ticket` asks of a ticket tracker.

Errors: `ActionFailed` where trying again is no use, else transient ones (`ConnectionDown`, `Throttled`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from dct_pipelines.domain.facts import Person


@dataclass(frozen=True)
class TicketNow:
    """A ticket as it is at this moment. `id` never changes, a key may."""

    id: str
    key: str
    title: str
    status: str
    assignee: Person | None
    priority: str | None
    labels: tuple[str, ...]
    url: str


@dataclass(frozen=True)
class Transition:
    """A step that the workflow offers for a ticket now, and the status that it leads to."""

    id: str
    name: str
    to_status: str


@dataclass(frozen=True)
class TicketComment:
    """A comment that stands on a ticket."""

    id: str
    author: Person
    text: str


class TrackerPort(Protocol):
    """Reads and changes single tickets. `ticket` is an id or a key.

    `mark` goes with each write, so that the listener knows it again as ours.
    """

    def write_ids(self, ticket_id: str, mark: str, changes: Mapping[str, str | None]) -> tuple[str, ...]:
        """The external ids that the listener will give to what is written with this mark.

        `changes` are the fields (`status`, `assignee`, `priority`) that will be changed, and to which value.
        """

    def ticket(self, ticket: str) -> TicketNow:
        """The ticket; `ActionFailed` when there is none or we may not see it."""

    def transitions(self, ticket: str) -> tuple[Transition, ...]:
        """The transitions that we may take now."""

    def took(self, ticket: str, mark: str) -> bool:
        """Whether a change of status with this mark was made, whatever came after it."""

    def take(self, ticket: str, transition: Transition, mark: str) -> None:
        """Take a transition."""

    def find_user(self, name: str) -> Person:
        """The one user of that id, address or name; `ActionFailed` names who is close."""

    def assign(self, ticket: str, user: Person | None, mark: str) -> None:
        """Make somebody (None: nobody) the assignee."""

    def set_priority(self, ticket: str, priority: str, mark: str) -> None:
        """Set the priority by its name; `ActionFailed` lists the valid ones."""

    def change_labels(self, ticket: str, add: tuple[str, ...], remove: tuple[str, ...], mark: str) -> None:
        """Add and remove labels."""

    def find_comment(self, ticket: str, mark: str) -> TicketComment | None:
        """Our own comment that carries this mark, if it stands there."""

    def comment(self, ticket: str, text: str, mark: str) -> TicketComment:
        """Add a comment that carries the mark."""

    def link(self, ticket: str, url: str, title: str, key: str) -> bool:
        """Add or update the remote link of that key; False when it was there just so."""
