"""What is remembered between reads: of the connection, and of each of its items. Small, whatever happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

PRUNE_SLACK = timedelta(minutes=2)
"""A relative search is asked in whole minutes: it may answer a little more than the overlap."""
DAY = timedelta(days=1)


class Handled(BaseModel):
    """A change that was read: when Jira says the ticket was updated, in its words and as a moment."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    updated: str
    at: datetime
    read_at: datetime
    """On Jira's clock. What was read long enough after its change is settled."""
    round: int = 0
    """In which read of everything."""


class JiraToken(BaseModel):
    """The connection's token. `watermark` is on Jira's clock: every change until then was read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    watermark: datetime | None = None
    handled: dict[str, Handled] = Field(default_factory=dict)
    """By ticket id, of changes within the overlap only."""
    priorities: tuple[str, ...] = ()
    round: int = 0
    """How often everything was read to the end."""
    drained_at: datetime | None = None
    """When it last was."""
    account: str | None = None
    """Our own account's id."""
    facts_at: datetime | None = None
    """When priorities and account were asked for last."""
    sweep_after: int | None = None
    """The last ticket id that the sweep under way has looked at."""
    swept_at: datetime | None = None
    """When the last sweep began."""

    def stored(self) -> dict[str, Any]:
        """As plain data."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @property
    def ranks(self) -> dict[str, int]:
        """Ranks of the priorities; they grow with urgency."""
        return {name: len(self.priorities) - place for place, name in enumerate(self.priorities)}

    def wants_facts(self, now: datetime) -> bool:
        """Whether priorities and account have to be asked for anew."""
        return self.facts_at is None or now - self.facts_at > DAY

    def advanced(self, to: datetime | None, handled: Mapping[str, Handled], overlap: timedelta) -> JiraToken:
        """Everything until `to` was read; forget what no search will bring again."""
        marks = [mark for mark in (self.watermark, to) if mark is not None]
        watermark = max(marks, default=None)
        known = {**self.handled, **handled}
        if watermark is not None:
            known = {
                ticket: one for ticket, one in known.items() if one.at >= watermark - overlap - PRUNE_SLACK
            }
        return self.model_copy(update={"watermark": watermark, "handled": known})


@dataclass(frozen=True, slots=True)
class ItemToken:
    """What is remembered of an item: a ticket's id, or since when a query is watched.

    A plain class, because ten thousand are looked at by each read.
    """

    id: str | None = None
    epoch: datetime | None = None
    """On Jira's clock; what happened before is no event of the query."""
    fault: str | None = None
    retry_at: datetime | None = None
    """When a ticket that was not found is looked for again."""

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> ItemToken:
        """From plain data."""
        return cls(
            stored.get("id"),
            _moment(stored.get("epoch")),
            stored.get("fault"),
            _moment(stored.get("retry_at")),
        )

    def stored(self) -> dict[str, Any]:
        """As plain data."""
        moments = {"epoch": self.epoch, "retry_at": self.retry_at}
        told = {name: at.isoformat() for name, at in moments.items() if at is not None}
        words = {"id": self.id, "fault": self.fault}
        return {name: word for name, word in words.items() if word is not None} | told


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
