"""What an explanation says: the state of the sources, and every event × trigger with its reason, in words.

Pure data and sentences, the same for the command line, the API and the console.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from dct_pipelines.domain.decision import ConditionVerdict, DecisionOutcome
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.facts import Fact
from dct_pipelines.domain.matching import shown

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


class ExecutionStory(Fact):
    """What became of a firing."""

    id: UUID
    status: str
    attempt: int
    wait_reason: str | None = None
    wait_detail: str | None = None
    wait_until: datetime | None = None
    error_message: str | None = None
    created_at: datetime
    completed_at: datetime | None = None

    def in_words(self) -> str:
        """One clause for people."""
        if self.status == "waiting":
            detail = f" ({self.wait_detail})" if self.wait_detail else ""
            until = f" until {self.wait_until:%Y-%m-%d %H:%M:%S} UTC" if self.wait_until else ""
            return f"execution {self.id} waits: {self.wait_reason or 'its turn'}{detail}{until}"
        tries = f" in attempt {self.attempt}" if self.attempt > 1 else ""
        error = f": {self.error_message}" if self.error_message else ""
        return f"execution {self.id} is {self.status}{tries}{error}"


class DecisionStory(Fact):
    """One event × one trigger: what was decided, by which version, and why."""

    event: Event
    trigger_id: UUID
    trigger: str
    trigger_version: int
    outcome: DecisionOutcome
    because: str
    conditions: tuple[ConditionVerdict, ...] = ()
    is_replayed: bool = False
    """True when no row was stored (a plain no) and the pure rules answered again, exactly."""
    release: str | None = None
    """The release that took the event in and decided."""
    rules_changed: tuple[str, ...] = ()
    """Conditions whose rules have changed since: their replay is today's answer."""
    execution: ExecutionStory | None = None

    def in_words(self) -> str:
        """The whole story as a few sentences."""
        verb = {
            DecisionOutcome.FIRED: "fired",
            DecisionOutcome.HELD: "fired, and was held by a limit",
            DecisionOutcome.DEDUPLICATED: "did not fire again",
            DecisionOutcome.IGNORED: "matched, and was ignored",
            DecisionOutcome.NOT_MATCHED: "did not fire",
        }[self.outcome]
        story = f"Trigger {self.trigger} (version {self.trigger_version}) {verb}: {self.because}."
        if self.execution is not None:
            story += f" {self.execution.in_words().capitalize()}."
        if self.rules_changed:
            story += (
                f" The rules of {', '.join(self.rules_changed)} have changed since release "
                f"{self.release} decided; this is what today's rules say."
            )
        return story


class EventStory(Fact):
    """An event and what every trigger that watched its item made of it."""

    event: Event
    item: str
    decisions: tuple[DecisionStory, ...]


class Story(Fact):
    """The answer to `dct explain`: what was asked for, its sources, and the events newest first."""

    about: str
    sources: tuple[SourceStory, ...]
    events: tuple[EventStory, ...]
    advice: tuple[str, ...] = ()
    """What to look at next when there was nothing to explain."""


def describe(event: Event) -> str:
    """An event as a headline: `head_moved of refs/heads/feature/x, 2026-01-05 10:00:00 UTC`."""
    actor = f" by {shown(str(event.actor))}" if event.actor else ""
    return f"{event.kind} of {shown(event.about)}{actor}, {event.occurred_at:%Y-%m-%d %H:%M:%S} UTC"


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
