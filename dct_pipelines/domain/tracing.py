"""Traces: from a change through its event, decision and attempts to each action, as spans of one tree.

Ids derive from ids that are stored, so that every process agrees on them without telling the others, and what
is sent twice is the same both times. A trace has the id of its event (of its execution, where there is none):
https://www.w3.org/TR/trace-context/#trace-id. Spans are made from rows when an execution has ended, never
while it works.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Protocol
from uuid import UUID

from dct_pipelines.domain.at_work import AtWork
from dct_pipelines.domain.sanitize import without_secrets

LONGEST_TEXT = 500
FAILED = frozenset({"failed", "lost", "uncertain"})
"""States of executions, attempts and actions that a trace shows as errors; to be cancelled is none."""
Attribute = str | int | bool


@dataclass(frozen=True)
class Span:
    """One span. Ids are hexadecimal: 32 digits of the trace, 16 of a span; it never ends before it begins."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    started_at: datetime
    ended_at: datetime
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    error: str | None = None
    """Why it counts as failed; None when it does not."""


@dataclass(frozen=True)
class EventFacts:
    """The event of an execution. `is_told_here`: its own span goes with this execution, with no other."""

    id: UUID
    kind: str
    subject: str
    connection: str
    occurred_at: datetime
    observed_at: datetime
    is_told_here: bool
    decided_at: datetime | None = None


@dataclass(frozen=True)
class AttemptFacts:
    """One attempt."""

    attempt: int
    state: str
    run_id: str | None
    dispatched_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    error: str | None = None


@dataclass(frozen=True)
class ActionFacts:
    """The last state of an action, and the attempt that brought it there."""

    index: int
    type: str
    name: str
    state: str
    attempt: int
    started_at: datetime
    ended_at: datetime | None
    error: str | None = None


@dataclass(frozen=True)
class Ended:
    """An execution that has ended, with all that a trace tells of it."""

    id: UUID
    trigger: str | None
    trigger_type: str | None
    job_name: str
    status: str
    triggered_by: str
    priority: int
    created_at: datetime
    completed_at: datetime
    error: str | None
    event: EventFacts | None
    attempts: Sequence[AttemptFacts] = ()
    actions: Sequence[ActionFacts] = ()


class SpanSink(Protocol):
    """Where traces go."""

    def send(self, spans: Sequence[Span]) -> None:
        """Deliver all of them; `TracesRefused` when they are never taken, `CollectorUnavailable` for now."""


def trace_id_of(execution_id: UUID, event_id: UUID | None) -> str:
    """The trace of an execution."""
    return (event_id or execution_id).hex


def span_id_of(kind: str, *parts: object) -> str:
    """The span of a thing, by what tells it apart; never all zeros, which would be no id."""
    digest = sha256(":".join((kind, *map(str, parts))).encode()).hexdigest()[:16]
    return digest if int(digest, 16) else f"{1:016x}"


def traceparent(work: AtWork) -> str | None:
    """The header that ties what a receiver does to the action that asked for it; None outside of an action.

    https://www.w3.org/TR/trace-context/#traceparent-header
    """
    if work.index is None or work.attempt is None:
        return None
    span = span_id_of("action", work.execution_id, work.attempt, work.index)
    return f"00-{trace_id_of(work.execution_id, work.event_id)}-{span}-01"


def spans_of(ended: Ended) -> Iterator[Span]:
    """Every span that an execution adds to its trace, parents first."""
    trace = trace_id_of(ended.id, ended.event.id if ended.event else None)
    parent = None
    if ended.event is not None:
        parent = span_id_of("event", ended.event.id)
        if ended.event.is_told_here:
            yield _event(trace, ended.event)
        if ended.event.decided_at is not None:
            decision = _decision(trace, parent, ended, ended.event, ended.event.decided_at)
            parent = decision.span_id
            yield decision
    whole = _span(
        trace,
        span_id_of("execution", ended.id),
        parent,
        f"execution {ended.trigger or ended.job_name}",
        (ended.created_at, ended.completed_at),
        {
            "dct.execution": str(ended.id),
            "dct.trigger": ended.trigger or "",
            "dct.trigger_type": ended.trigger_type or "",
            "dct.triggered_by": ended.triggered_by,
            "dct.status": ended.status,
            "dct.priority": ended.priority,
            "dct.attempts": len(ended.attempts),
            "dagster.job": ended.job_name,
        },
        _error(ended.status, ended.error),
    )
    yield whole
    yield from _attempts(trace, whole.span_id, ended)


def _attempts(trace: str, parent: str, ended: Ended) -> Iterator[Span]:
    waits_since = ended.created_at
    for one in sorted(ended.attempts, key=lambda one: one.attempt):
        what: dict[str, Attribute] = {"dct.execution": str(ended.id), "dct.attempt": one.attempt}
        queue = span_id_of("queue", ended.id, one.attempt)
        yield _span(trace, queue, parent, "queue", (waits_since, one.dispatched_at), what)
        over = one.ended_at or ended.completed_at
        attempt = _span(
            trace,
            span_id_of("attempt", ended.id, one.attempt),
            parent,
            f"attempt {one.attempt}",
            (one.dispatched_at, over),
            {**what, "dct.state": one.state, "dagster.run_id": one.run_id or ""},
            _error(one.state, one.error),
        )
        yield attempt
        if one.started_at is not None:
            launch = span_id_of("launch", ended.id, one.attempt)
            yield _span(trace, launch, attempt.span_id, "launch", (one.dispatched_at, one.started_at), what)
        own = (action for action in ended.actions if action.attempt == one.attempt)
        yield from (_action(trace, attempt.span_id, ended.id, action, over) for action in own)
        waits_since = over


def _action(trace: str, parent: str, execution_id: UUID, action: ActionFacts, over: datetime) -> Span:
    return _span(
        trace,
        span_id_of("action", execution_id, action.attempt, action.index),
        parent,
        f"{action.type} {action.name}" if action.name != action.type else action.name,
        (action.started_at, action.ended_at or over),
        {
            "dct.execution": str(execution_id),
            "dct.attempt": action.attempt,
            "dct.action": action.name,
            "dct.action_type": action.type,
            "dct.state": action.state,
        },
        _error(action.state, action.error),
    )


def _event(trace: str, event: EventFacts) -> Span:
    return _span(
        trace,
        span_id_of("event", event.id),
        None,
        f"event {event.kind}",
        (event.occurred_at, event.observed_at),
        {
            "dct.event": str(event.id),
            "dct.event_kind": event.kind,
            "dct.subject": event.subject,
            "dct.connection": event.connection,
        },
    )


def _decision(trace: str, parent: str, ended: Ended, event: EventFacts, decided_at: datetime) -> Span:
    return _span(
        trace,
        span_id_of("decision", ended.id),
        parent,
        "decide",
        (event.observed_at, decided_at),
        {"dct.event": str(event.id), "dct.execution": str(ended.id), "dct.trigger": ended.trigger or ""},
    )


def _span(
    trace: str,
    span_id: str,
    parent: str | None,
    name: str,
    times: tuple[datetime, datetime],
    attributes: Mapping[str, Attribute],
    error: str | None = None,
) -> Span:
    """A provider's clock may be ahead of ours: a span then takes no time, rather than less than none."""
    begun, over = times
    kept = {key: _cut(value) for key, value in attributes.items() if value != ""}
    return Span(trace, span_id, parent, str(_cut(name)), begun, max(begun, over), kept, error)


def _error(state: str, message: str | None) -> str | None:
    return str(_cut(message or state)) if state in FAILED else None


def _cut(value: Attribute) -> Attribute:
    """A text as another system may have it: what somebody wrote may hold what nobody should see."""
    return without_secrets(value[: 2 * LONGEST_TEXT])[:LONGEST_TEXT] if isinstance(value, str) else value


def spans_of_all(ended: Iterable[Ended]) -> list[Span]:
    """The spans of several executions."""
    return [span for one in ended for span in spans_of(one)]
