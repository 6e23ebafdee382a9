"""Explain: for any event × trigger, what was decided and why, also weeks later and also for a plain no.

What fired, was held, ignored or deduplicated is read from its row. A plain no is replayed: the event is
immutable, the trigger version and the snapshots of that moment are kept, and the rules are pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from dct_pipelines.domain.decision import ConditionVerdict
from dct_pipelines.domain.errors import InvalidInput, NotFound
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.release import rules_changed
from dct_pipelines.domain.story import DecisionStory, EventStory, ExecutionStory, Story
from dct_pipelines.domain.words import DecisionOutcome
from dct_pipelines.engine.decide import Decider
from dct_pipelines.engine.sources import source_stories
from dct_pipelines.store import deciding, explaining
from dct_pipelines.store.database import Connection, Database, Row
from dct_pipelines.store.watching import events as event_store


@dataclass(frozen=True)
class Explainer:
    """Answers why something did or did not happen."""

    database: Database
    clock: Clock
    decider: Decider

    def event(self, event_id: UUID) -> Story:
        """Everything that was decided about one event."""
        with self.database.connect() as connection:
            event = event_store.get(connection, event_id)
            if event is None:
                raise NotFound(f"there is no event {event_id}; `dct explain ITEM` lists the latest ones")
            return Story(
                about=f"event {event_id}",
                sources=source_stories(connection, [event.item_id]),
                events=self._events(connection, [event]),
            )

    def item(self, name: str, *, subject: str | None = None, limit: int = 10) -> Story:
        """The latest events of an item (or of one subject in it) and what was decided about each."""
        with self.database.connect() as connection:
            item_id = explaining.item_id(connection, name)
            if item_id is None:
                raise NotFound(f"there is no item {name!r}; `dct item list` shows them")
            events = self._latest(connection, [item_id], subject, limit)
            about = f"item {name}" + (f", {subject}" if subject else "")
            return self._story(connection, about, [item_id], events, None)

    def trigger(self, name: str, *, subject: str | None = None, limit: int = 10) -> Story:
        """The latest events that a trigger watched and what it decided about each."""
        with self.database.connect() as connection:
            trigger = explaining.trigger(connection, name)
            if trigger is None:
                raise NotFound(f"there is no trigger {name!r}; `dct trigger list` shows them")
            item_ids = explaining.items_of(connection, trigger.id)
            events = self._latest(connection, item_ids, subject, limit)
            return self._story(connection, f"trigger {name}", item_ids, events, trigger)

    def execution(self, execution_id: UUID) -> Story:
        """Why an execution was started: the event behind it and the decision."""
        with self.database.connect() as connection:
            event_id = explaining.event_of(connection, execution_id)
        if event_id is None:
            raise NotFound(f"no event started execution {execution_id}; `dct execution show` tells more")
        return self.event(event_id)

    def _story(
        self,
        connection: Connection,
        about: str,
        item_ids: Sequence[UUID],
        events: Sequence[Event],
        trigger: Row[Any] | None,
    ) -> Story:
        sources = source_stories(connection, item_ids)
        stories = self._events(connection, events, trigger.id if trigger is not None else None)
        advice: list[str] = []
        if trigger is not None and trigger.status != "active":
            resume = f"`dct trigger resume {trigger.name}` lets it fire"
            advice.append(f"The trigger is {trigger.status}; {resume}.")
        if not events:
            advice += [source.in_words(self.clock.now()) for source in sources]
            advice.append("There was no event to decide about: nothing changed that a listener could see.")
        return Story(about=about, sources=sources, events=stories, advice=tuple(advice))

    def _latest(
        self, connection: Connection, item_ids: Sequence[UUID], subject: str | None, limit: int
    ) -> list[Event]:
        selection = event_store.select_events(item_ids=item_ids, subject=subject)
        return event_store.latest(connection, selection, limit)

    def _events(
        self, connection: Connection, events: Sequence[Event], only: UUID | None = None
    ) -> tuple[EventStory, ...]:
        items = deciding.item_facts(connection, {event.item_id for event in events})
        stories = []
        for event in events:
            versions = deciding.versions_at(connection, event.seq, item_id=event.item_id, trigger_id=only)
            rows = explaining.decisions_of(connection, event.id)
            release = event_store.release_of(connection, event.id)
            decisions = [self._decision(connection, event, one, rows, release) for one in versions]
            decisions.sort(key=lambda one: (one.outcome is DecisionOutcome.NOT_MATCHED, one.trigger))
            stories.append(
                EventStory(event=event, item=items[event.item_id].name, decisions=tuple(decisions))
            )
        return tuple(stories)

    def _decision(
        self,
        connection: Connection,
        event: Event,
        version: Row[Any],
        rows: Mapping[UUID, Row[Any]],
        release: str | None,
    ) -> DecisionStory:
        row = rows.get(version.trigger_id)
        kinds = [condition["type"] for condition in version.spec["conditions"]]
        story = DecisionStory(
            event=event,
            trigger_id=version.trigger_id,
            trigger=version.spec["name"],
            trigger_version=version.version,
            outcome=DecisionOutcome.NOT_MATCHED,
            because="",
            release=release,
            rules_changed=rules_changed(release, kinds, self.decider.condition_types),
        )
        if row is None:
            try:
                ruling = self.decider.replay(connection, event, version)
            except InvalidInput as error:
                unknown = f"this release cannot read the trigger as it was saved then, and tell why: {error}"
                return story.model_copy(update={"because": unknown})
            told = {"outcome": ruling.outcome, "because": ruling.because, "conditions": ruling.conditions}
            return story.model_copy(update=told | {"is_replayed": True})
        return story.model_copy(
            update={
                "outcome": DecisionOutcome(row.outcome),
                "because": row.because,
                "conditions": tuple(ConditionVerdict.model_validate(one) for one in row.conditions),
                "execution": _execution(row) if row.status is not None else None,
            }
        )


def _execution(row: Row[Any]) -> ExecutionStory:
    return ExecutionStory(
        id=row.execution_id,
        status=row.status,
        attempt=row.attempt,
        wait_reason=row.execution_wait_reason,
        wait_detail=row.wait_detail,
        wait_until=row.not_before,
        error_message=row.error_message,
        created_at=row.created_at,
        completed_at=row.completed_at,
    )
