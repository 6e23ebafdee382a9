"""What the listener asks of a Jira, Cloud or Data Center alike. Answers are raw JSON, understood elsewhere.

Every method makes as few requests as its site allows (clients/jira). Connection-wide errors are raised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True)
class Named:
    """A ticket by its names, either of which may be empty: Cloud is asked by id, Data Center by key."""

    id: str
    key: str


@dataclass(frozen=True)
class Answered:
    """The tickets that were found, raw, and which of those asked for are certainly not there for us.

    What is in neither could not be told this time (an index being rebuilt, an error of a single ticket).
    """

    found: tuple[Any, ...]
    missing: frozenset[Named]


@dataclass(frozen=True)
class Matched:
    """The ids of the tickets that a query matches, or why it cannot be asked."""

    ids: frozenset[str]
    fault: str | None = None


class TrackerReader(Protocol):
    """Reads many tickets at once."""

    def now(self) -> datetime:
        """The time on the site's own clock, by what its answers say."""

    def priorities(self) -> tuple[str, ...]:
        """The names of the priorities, the most urgent first."""

    def account(self) -> str | None:
        """The id of the account that we are there."""

    def changed(self, minutes: int, projects: Sequence[str]) -> Iterator[Sequence[Any]]:
        """Pages of tickets updated in the last minutes: id, key and `updated`; the longest ago first."""

    def tickets(self, wanted: Sequence[Named]) -> Answered:
        """At most a hundred tickets with every field that `ticket_of` reads."""

    def histories(self, tickets: Sequence[Mapping[str, Any]]) -> Mapping[str, Sequence[Any]]:
        """The changelogs of tickets that `tickets` found, by id; of fields that make events at least.

        Those that could not be read are left out.
        """

    def comments(self, ticket: Named) -> Sequence[Any] | None:
        """Every comment of a ticket, the oldest first; None when the ticket is not there any more."""

    def matching(self, queries: Sequence[str], tickets: Sequence[Named]) -> Sequence[Matched]:
        """Which of these tickets each query matches."""
