"""`integration_health`: how connections answered, from the polls and events themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from uuid import uuid4

from sqlalchemy import Connection, delete, insert

from dct_pipelines.domain.metrics import Span
from dct_pipelines.domain.words import ReadOutcome
from dct_pipelines.store import tables
from dct_pipelines.store.watching import sources
from tests.support.reckoning.figures import Rows, bucket_of, buckets


@dataclass(frozen=True)
class Watched:
    """A connection: when it was made, its polls in the order in which they ended, and when events came."""

    name: str
    kind: str
    created_at: datetime
    polls: Sequence[tuple[datetime, ReadOutcome]]
    events: Sequence[datetime]


def keep(connection: Connection, watched: Sequence[Watched]) -> None:
    """Put these connections in the place of all, and have the polls counted as intake does it."""
    connection.execute(delete(tables.connections))
    for one in watched:
        connection_id = uuid4()
        row = {"name": one.name, "kind": one.kind, "created_at": one.created_at, "created_by": "tests"}
        connection.execute(insert(tables.connections).values(row | {"id": connection_id}))
        for at, outcome in one.polls:
            if outcome is ReadOutcome.OK:
                sources.healthy(connection, connection_id, at, at, at)
            else:
                health = "throttled" if outcome is ReadOutcome.THROTTLED else "down"
                sources.unhealthy(
                    connection, connection_id, at, health=health, why="no", not_before=at, outcome=outcome
                )
        for number, at in enumerate(one.events):
            key = {"connection_id": connection_id, "dedup_key": str(number), "event_id": uuid4()}
            connection.execute(insert(tables.event_keys).values(key | {"created_at": at}))


def health(watched: Sequence[Watched], span: Span) -> Rows:
    """The rows of `integration_health`."""
    found: Rows = {}
    for one in watched:
        good = [at for at, outcome in one.polls if outcome is ReadOutcome.OK]
        gaps = [(at, max((at - before).total_seconds(), 0.0)) for before, at in pairwise(good)]
        for bucket in buckets(span):
            polls = Counter(outcome for at, outcome in one.polls if bucket_of(at, span) == bucket)
            events = sum(bucket_of(at, span) == bucket for at in one.events)
            if one.created_at >= bucket + span.grain.length and not polls and not events:
                continue
            told = polls.total() - polls[ReadOutcome.THROTTLED]
            failed = polls[ReadOutcome.UNREACHABLE] + polls[ReadOutcome.REFUSED]
            found[bucket, one.name] = {
                "provider": one.kind,
                "reads": polls.total(),
                **{outcome.value: polls[outcome] for outcome in ReadOutcome},
                "failure_percent": 100.0 * failed / told if told else None,
                "longest_gap_seconds": max(
                    (gap for at, gap in gaps if bucket_of(at, span) == bucket), default=None
                ),
                "events": events,
            }
    return found
