"""A world for metrics: what became of some executions, and a database that holds just that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import event, insert, text

from dct_pipelines.store import tables
from dct_pipelines.store.database import Database

TRIGGERS = (
    ("ship", "deployment", "ada"),
    ("check", "testing", "bob"),
    ("tell", "testing", "ada"),
    ("ship", "business", "bob"),
    *((f"watch{letter}", "business", "carl") for letter in "abcdefghijklmnopqrstuv"),
)
"""Name, type and owner."""
DELETED = 3
"""The one of them that was deleted meanwhile; its name is another's now."""
BY_HAND = "(by hand)"
ENVIRONMENTS = ("qa", "production")
Row = dict[str, Any]


@dataclass(frozen=True)
class Act:
    """An action of an execution. `pattern` is what its error has in common with those that are alike."""

    type: str
    state: str
    attempt: int
    started_at: datetime
    ended_at: datetime | None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    moves: bool = False
    error: str | None = None
    pattern: str | None = None


@dataclass(frozen=True)
class Deployed:
    """A deployment that an execution made; `ended_at` None: it is under way."""

    environment: str
    state: str
    started_at: datetime
    ended_at: datetime | None
    id: UUID = field(default_factory=uuid4)


@dataclass(frozen=True)
class Past:
    """What became of one execution. `trigger` is a place in TRIGGERS; None: by hand, without an event."""

    status: str
    created_at: datetime
    trigger: int | None = 0
    occurred_at: datetime | None = None
    observed_at: datetime | None = None
    dispatched_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    reason: str | None = None
    agents: int = 0
    attempts: Sequence[tuple[datetime | None, datetime | None]] = ()
    acts: Sequence[Act] = ()
    error: str | None = None
    pattern: str | None = None
    about: tuple[int, str] = (0, "PAY-7")
    """The place of the item, and the subject."""
    heralds: Sequence[datetime] = ()
    """When events of the same subject happened that came right before its own and fired nothing."""
    shares_event: bool = False
    """Whether the event of the one before it in the history fired this one too."""
    deployed: Sequence[Deployed] = ()
    workspace: tuple[datetime, datetime | None] | None = None
    """When one was made for it, and archived."""
    id: UUID = field(default_factory=uuid4)

    @property
    def is_over(self) -> bool:
        return self.status in ("completed", "failed", "cancelled")

    @property
    def names(self) -> tuple[str, str, str]:
        """Trigger, type and owner."""
        return TRIGGERS[self.trigger] if self.trigger is not None else (BY_HAND, BY_HAND, "carl")


@dataclass(frozen=True)
class Noted:
    """An event of a history, in the order in which events were taken in; a herald fires nothing."""

    seq: int
    occurred_at: datetime
    about: tuple[int, str]
    fires: Past | None
    id: UUID


def noted(history: Iterable[Past]) -> Iterator[tuple[Past, list[Noted], Noted | None]]:
    """Each execution with the events that it adds, and the one that fired it."""
    seq, own = 0, None
    for past in history:
        added: list[Noted] = []
        if past.trigger is not None and not past.shares_event:
            for at in (*past.heralds, past.occurred_at or past.created_at):
                seq += 1
                added.append(Noted(seq, at, past.about, None, uuid4()))
            own = added[-1] = replace(added[-1], fires=past)
        yield past, added, own if past.trigger is not None else None


class Ground:
    """A database with these triggers, a connection and two items; `keep` replaces one history by another."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.zone: str | None = None
        """The time zone of every session that is taken from the pool from then on."""
        event.listen(database.engine, "checkout", self._set_zone)
        self.connection_id = uuid4()
        self.item_ids = (uuid4(), uuid4())
        self.trigger_ids = [uuid4() for _ in TRIGGERS]
        self.environment_ids = {name: uuid4() for name in ENVIRONMENTS}
        made = {"created_by": "tests"}
        with database.begin() as connection:
            connection.execute(
                insert(tables.connections).values(id=self.connection_id, name="here", kind="jira", **made)
            )
            for place, item_id in enumerate(self.item_ids):
                library = {"kind": "jira_ticket", "location": f"PAY-{place}", "name": f"pay{place}"} | made
                named = {"id": item_id, "connection_id": self.connection_id}
                connection.execute(insert(tables.context_library).values(named | library))
            since = datetime(2025, 1, 1, tzinfo=UTC)
            for place, (name, of_type, owner) in enumerate(TRIGGERS):
                row: Row = {"id": self.trigger_ids[place], "name": name, "trigger_type": of_type}
                row |= {"job_name": "job", "active_since": since, "created_by": owner}
                row |= {"deleted_at": since if place == DELETED else None}
                connection.execute(insert(tables.dynamic_context_triggers).values(row))
            for name, environment_id in self.environment_ids.items():
                values = {"id": environment_id, "name": name, "branch": name} | made
                connection.execute(insert(tables.environments).values(values))

    @property
    def item_id(self) -> UUID:
        """The first item."""
        return self.item_ids[0]

    def _set_zone(self, driver: Any, *_: object) -> None:
        if self.zone is not None:
            with driver.cursor() as cursor:
                cursor.execute("SELECT set_config('timezone', %s, false)", [self.zone])
            driver.commit()

    def keep(self, history: Sequence[Past]) -> None:
        """Store this history; what was there before is gone."""
        rows: dict[str, list[Row]] = {"events": [], "workspaces": [], "trigger_executions": []}
        rows |= {"execution_attempts": [], "action_results": [], "deployments": []}
        for past, added, own in noted(history):
            rows["events"] += [self._event(one) for one in added]
            rows["trigger_executions"].append(self._row(past, own.id if own is not None else None))
            rows["execution_attempts"] += _attempts(past)
            rows["action_results"] += _results(past)
            rows["deployments"] += self._deployments(past)
            rows["workspaces"] += self._workspaces(past)
        with self.database.begin() as connection:
            connection.execute(text("TRUNCATE dct.trigger_executions, dct.events, dct.workspaces CASCADE"))
            for name, some in rows.items():
                if some:
                    connection.execute(insert(getattr(tables, name)), some)

    def _event(self, one: Noted) -> Row:
        place, subject = one.about
        row = {"id": one.id, "seq": one.seq, "connection_id": self.connection_id}
        row |= {"item_id": self.item_ids[place], "subject": subject, "kind": "status_changed"}
        row |= {"dedup_key": str(one.seq), "release": "0", "occurred_at": one.occurred_at}
        seen = one.occurred_at if one.fires is None else one.fires.observed_at or one.fires.created_at
        return row | {"observed_at": seen}

    def _deployments(self, past: Past) -> Iterator[Row]:
        for one in past.deployed:
            row = {"environment_id": self.environment_ids[one.environment], "environment": one.environment}
            row |= {"commit": "c", "branch": one.environment, "execution_id": past.id}
            row |= {"id": one.id, "state": one.state}
            yield row | {"started_at": one.started_at, "ended_at": one.ended_at}

    def _workspaces(self, past: Past) -> Iterator[Row]:
        if past.workspace is not None:
            made, archived = past.workspace
            row = {"title": "w", "repository_item_id": self.item_id, "branch": "b", "start_commit": "c"}
            row |= {"directory": "d", "execution_id": past.id, "created_at": made}
            yield row | {"state": "archived" if archived else "open", "updated_at": archived or made}

    def _row(self, past: Past, event_id: UUID | None) -> Row:
        is_waiting = past.status == "waiting"
        return {
            "id": past.id,
            "trigger_id": self.trigger_ids[past.trigger] if past.trigger is not None else None,
            "event_id": event_id,
            "connection_id": self.connection_id if past.trigger is not None else None,
            "item_id": self.item_ids[past.about[0]],
            "subject": past.about[1],
            "status": past.status,
            "triggered_by": "event" if past.trigger is not None else "manual",
            "created_by": "trigger" if past.trigger is not None else "carl",
            "job_name": "job",
            "agents": past.agents,
            "created_at": past.created_at,
            "first_dispatched_at": past.dispatched_at,
            "started_at": past.started_at,
            "completed_at": past.completed_at,
            "attempt": len(past.attempts),
            "error_message": past.error,
            "wait_reason": past.reason if is_waiting else None,
            "metrics": {"waited_for": past.reason} if past.reason and not is_waiting else {},
        }


def _attempts(past: Past) -> Iterator[Row]:
    for number, (begun, ended) in enumerate(past.attempts, 1):
        row = {"execution_id": past.id, "attempt": number, "dispatched_at": past.created_at}
        yield row | {"started_at": begun, "ended_at": ended}


def _results(past: Past) -> Iterator[Row]:
    for place, act in enumerate(past.acts):
        row = {"execution_id": past.id, "action_index": place, "action_type": act.type, "name": act.type}
        row |= {"state": act.state, "attempt": act.attempt, "idempotency_key": str(uuid4())}
        row |= {"outputs": act.outputs, "error_message": act.error}
        yield row | {"started_at": act.started_at, "ended_at": act.ended_at}
