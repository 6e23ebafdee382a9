"""A source as it is told: how an item is read, and what is in the way.

Apart from the stories of events, so that whoever only looks at sources does not load everything that an event
can be.
"""

from __future__ import annotations

from datetime import datetime

from dct_pipelines.domain.facts import Fact

MANY_EVENTS = 1000
"""Nobody needs to know more exactly, and counting millions takes long."""


class SourceStory(Fact):
    """How an item is read: whether at all, when last, and what is in the way."""

    item: str
    connection: str | None
    is_enabled: bool = True
    health: str = "unknown"
    health_detail: str | None = None
    not_before: datetime | None = None
    polled_at: datetime | None = None
    read_ok_at: datetime | None = None
    state: str = "new"
    detail: str | None = None
    next_due_at: datetime | None = None
    events: int = 0
    """Events of this item that are still stored, counted up to one more than `MANY_EVENTS`."""

    @property
    def is_well(self) -> bool:
        """Whether nothing stands in the way of reading it."""
        return self.is_enabled and self.health in ("ok", "unknown") and self.state != "unreadable"

    def in_words(self, now: datetime) -> str:
        """One sentence for people."""
        if self.connection is None:
            return f"{self.item} is static: nothing reads it, so it never fires a trigger."
        if not self.is_enabled:
            return f"{self.item} is not read: its connection {self.connection} is switched off."
        if self.health in ("down", "throttled") or (self.health == "failing" and self.health_detail):
            until = f", next try {_ago(self.not_before, now)}" if self.not_before else ""
            return f"Connection {self.connection} is {self.health}: {self.health_detail}{until}."
        if self.state == "unreadable":
            last = f"; last read well {_ago(self.read_ok_at, now)}" if self.read_ok_at else ""
            return f"{self.item} cannot be read: {self.detail}{last}."
        if self.polled_at is None:
            return f"{self.item} was never read: is a listener running (`dct up`, or Dagster's daemon)?"
        count = str(self.events) if self.events <= MANY_EVENTS else f"more than {MANY_EVENTS}"
        known = f"{count} events of it are stored" if self.events else "no event of it was ever seen"
        noted = f"; noted: {self.detail}" if self.detail else ""
        return f"{self.item} was read {_ago(self.read_ok_at or self.polled_at, now)}; {known}{noted}."


def _ago(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "never"
    seconds = round((now - moment).total_seconds())
    size, unit = next(
        (size, unit)
        for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
        if abs(seconds) >= size or size == 1
    )
    return f"{seconds // size} {unit} ago" if seconds >= 0 else f"in {-seconds // size} {unit}"
