"""What an explanation says: the state of the sources, and every event × trigger with its reason, in words.

Pure data and sentences, the same for the command line, the API and the console.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from dct_pipelines.domain.decision import ConditionVerdict
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.facts import Fact
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.source import SourceStory
from dct_pipelines.domain.words import DecisionOutcome


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
