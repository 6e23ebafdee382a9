"""Histories of executions for metrics, and the same numbers computed from them in plain Python."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert, text

from dct_pipelines.store import tables
from dct_pipelines.store.database import Database

TRIGGERS = (("ship", "deployment", "ada"), ("check", "testing", "bob"), ("tell", "testing", "ada"))
BY_HAND = "(by hand)"
Row = dict[str, Any]


@dataclass(frozen=True)
class Act:
    """An action of an execution, from some time after its creation on."""

    type: str
    state: str
    attempt: int
    started_at: datetime
    ended_at: datetime | None
    outputs: Mapping[str, Any] = field(default_factory=dict)


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
    id: UUID = field(default_factory=uuid4)

    @property
    def is_over(self) -> bool:
        return self.status in ("completed", "failed", "cancelled")

    @property
    def names(self) -> tuple[str, str, str]:
        """Trigger, type and owner."""
        return TRIGGERS[self.trigger] if self.trigger is not None else (BY_HAND, BY_HAND, "carl")


class Ground:
    """A database with these triggers, one connection and one item; `keep` replaces one history by another."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.connection_id, self.item_id = uuid4(), uuid4()
        self.trigger_ids = [uuid4() for _ in TRIGGERS]
        made = {"created_by": "tests"}
        library = {"kind": "jira_ticket", "location": "PAY-7", "name": "pay"} | made
        with database.begin() as connection:
            connection.execute(
                insert(tables.connections).values(id=self.connection_id, name="here", kind="jira", **made)
            )
            connection.execute(
                insert(tables.context_library).values(
                    id=self.item_id, connection_id=self.connection_id, **library
                )
            )
            for trigger_id, (name, of_type, owner) in zip(self.trigger_ids, TRIGGERS, strict=True):
                row = {"id": trigger_id, "name": name, "trigger_type": of_type, "created_by": owner}
                row |= {"job_name": "job", "active_since": datetime(2026, 1, 1, tzinfo=UTC)}
                connection.execute(insert(tables.dynamic_context_triggers).values(row))

    def keep(self, history: Sequence[Past]) -> None:
        """Store this history; what was there before is gone."""
        rows: dict[str, list[Row]] = {"events": [], "trigger_executions": []}
        rows |= {"execution_attempts": [], "action_results": []}
        for seq, past in enumerate(history, 1):
            event_id = uuid4() if past.trigger is not None else None
            if event_id is not None:
                rows["events"].append(self._event(event_id, seq, past))
            rows["trigger_executions"].append(self._row(past, event_id))
            rows["execution_attempts"] += _attempts(past)
            rows["action_results"] += _results(past)
        with self.database.begin() as connection:
            connection.execute(text("TRUNCATE dct.trigger_executions, dct.events CASCADE"))
            for name, some in rows.items():
                if some:
                    connection.execute(insert(getattr(tables, name)), some)

    def _event(self, event_id: UUID, seq: int, past: Past) -> Row:
        row = {"id": event_id, "seq": seq, "connection_id": self.connection_id, "item_id": self.item_id}
        row |= {"subject": "PAY-7", "kind": "status_changed", "dedup_key": str(seq), "release": "0"}
        row |= {"occurred_at": past.occurred_at or past.created_at}
        return row | {"observed_at": past.observed_at or past.created_at}

    def _row(self, past: Past, event_id: UUID | None) -> Row:
        is_waiting = past.status == "waiting"
        return {
            "id": past.id,
            "trigger_id": self.trigger_ids[past.trigger] if past.trigger is not None else None,
            "event_id": event_id,
            "connection_id": self.connection_id if past.trigger is not None else None,
            "item_id": self.item_id,
            "subject": "PAY-7",
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
        yield row | {"started_at": act.started_at, "ended_at": act.ended_at, "outputs": act.outputs}


def bucket_of(at: datetime, length: timedelta) -> datetime:
    """The bucket of a moment, whatever zone it is given in."""
    since_epoch = at - datetime(1970, 1, 1, tzinfo=UTC)
    return datetime(1970, 1, 1, tzinfo=UTC) + (since_epoch // length) * length


def percentile(values: Sequence[float], share: float) -> float | None:
    """Between the two values that the share falls between, in proportion."""
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
    return below + (above - below) * (place - math.floor(place))


def took(since: datetime | None, until: datetime | None) -> float | None:
    """Seconds, negative where clocks disagree; None where an end is not known."""
    return None if since is None or until is None else apart(since, until)


def apart(since: datetime, until: datetime) -> float:
    """Seconds between; Python itself takes those of the wall clock where both are of one zone."""
    return (until.astimezone(UTC) - since.astimezone(UTC)).total_seconds()


def spread(found: Iterable[float | None], **shares: float) -> Row:
    """Mean and percentiles of what is known, and how many were negative."""
    known = [value for value in found if value is not None]
    sound = [max(value, 0.0) for value in known]
    row: Row = {"mean_seconds": sum(sound) / len(sound) if sound else None}
    row |= {name: percentile(sound, share) for name, share in shares.items()}
    return row | {"skewed": sum(value < 0 for value in known)}


def grouped(
    facts: Iterable[Any], buckets: Sequence[datetime], keys: Callable[[Any], Iterable[tuple[Any, ...]]]
) -> dict[tuple[Any, ...], list[Any]]:
    """The facts by each of their keys; the first part of a key is a bucket, others are left out."""
    found: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for fact in facts:
        for key in keys(fact):
            if key[0] in buckets:
                found[key].append(fact)
    return found


def levels(held: Sequence[tuple[datetime, datetime | None, int]], begin: datetime, end: datetime) -> Row:
    """The most, the last and the average of what is held within a bucket: looked at whenever it changes."""
    held = [one for one in held if one[1] is None or one[1] > one[0]]
    moments = {begin} | {at for since, until, _ in held for at in (since, until) if at and begin < at < end}
    ordered = [*sorted(moments), end]

    def level(at: datetime) -> int:
        return sum(weight for since, until, weight in held if since <= at and (until is None or at < until))

    area = sum(level(at) * apart(at, later) for at, later in pairwise(ordered))
    return {
        "most": max(map(level, ordered[:-1])),
        "at_end": level(ordered[-2]),
        "average": area / (end - begin).total_seconds(),
    }
