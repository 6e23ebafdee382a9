"""A trace is one tree with ids that everybody can work out again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from dct_pipelines.clients.otlp import encoded
from dct_pipelines.domain.at_work import AtWork, at_work, working_on
from dct_pipelines.domain.tracing import (
    ActionFacts,
    AttemptFacts,
    Ended,
    EventFacts,
    Span,
    span_id_of,
    spans_of,
    traceparent,
)

EVENT, EXECUTION = UUID(int=17), UUID(int=4)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def story(*, is_told_here: bool = True) -> Ended:
    """Two attempts: the first one did the first action and was lost in the second."""
    return Ended(
        id=EXECUTION,
        trigger="to-qa",
        trigger_type="testing",
        job_name="merge__notify",
        status="completed",
        triggered_by="event",
        priority=5,
        created_at=at(3),
        completed_at=at(30),
        error=None,
        event=EventFacts(EVENT, "branch_assessed", "refs/heads/x", "here", at(0), at(2), is_told_here, at(3)),
        attempts=(
            AttemptFacts(1, "lost", "run-1", at(5), at(6), at(12), "its process died"),
            AttemptFacts(2, "succeeded", "run-2", at(20), at(21), at(30)),
        ),
        actions=(
            ActionFacts(0, "merge_branches", "merge", "done", 1, at(7), at(9)),
            ActionFacts(1, "notify_users", "notify_users", "done", 2, at(22), at(25)),
        ),
    )


def named(spans: list[Span]) -> dict[str, Span]:
    return {span.name: span for span in spans}


def test_the_way_of_a_change_is_one_trace_whose_spans_hang_on_each_other():
    spans = list(spans_of(story()))
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == len(spans)
    assert {span.trace_id for span in spans} == {EVENT.hex}
    parents = [(span.name, by_id[span.parent_id].name if span.parent_id else None) for span in spans]
    assert parents == [
        ("event branch_assessed", None),
        ("decide", "event branch_assessed"),
        ("execution to-qa", "decide"),
        ("queue", "execution to-qa"),
        ("attempt 1", "execution to-qa"),
        ("launch", "attempt 1"),
        ("merge_branches merge", "attempt 1"),
        ("queue", "execution to-qa"),
        ("attempt 2", "execution to-qa"),
        ("launch", "attempt 2"),
        ("notify_users", "attempt 2"),
    ]


def test_times_are_those_of_the_rows_and_a_later_attempt_waits_from_the_end_of_the_one_before():
    spans = list(spans_of(story()))
    queues = [(span.started_at, span.ended_at) for span in spans if span.name == "queue"]
    assert queues == [(at(3), at(5)), (at(12), at(20))]
    merge = named(spans)["merge_branches merge"]
    assert (merge.started_at, merge.ended_at) == (at(7), at(9))


def test_what_failed_says_why_and_what_is_done_does_not():
    spans = named(list(spans_of(story())))
    assert spans["attempt 1"].error == "its process died"
    assert {name for name, span in spans.items() if span.error} == {"attempt 1"}


def test_the_event_is_told_once_and_the_others_still_hang_on_it():
    spans = list(spans_of(story(is_told_here=False)))
    assert [span.name for span in spans if span.parent_id is None] == []
    assert named(spans)["decide"].parent_id == span_id_of("event", EVENT)


def test_without_an_event_the_trace_is_that_of_the_execution():
    by_hand = Ended(**{**vars(story()), "event": None})
    spans = list(spans_of(by_hand))
    assert {span.trace_id for span in spans} == {EXECUTION.hex}
    assert [span.name for span in spans if span.parent_id is None] == ["execution to-qa"]


def test_the_same_rows_give_the_same_spans():
    assert list(spans_of(story())) == list(spans_of(story()))


@given(st.floats(-60, 60), st.floats(-60, 60))
def test_no_span_ends_before_it_begins_however_clocks_differ(occurred: float, decided: float):
    event = EventFacts(EVENT, "kind", "x", "here", at(occurred), at(0), True, at(decided))
    skewed = Ended(**{**vars(story()), "event": event})
    assert all(span.started_at <= span.ended_at for span in spans_of(skewed))


def test_a_receiver_is_told_the_span_of_the_action_that_asks():
    work = AtWork(EXECUTION, attempt=2, event_id=EVENT, action="notify_users", index=1)
    action = named(list(spans_of(story())))["notify_users"]
    assert traceparent(work) == f"00-{action.trace_id}-{action.span_id}-01"
    assert traceparent(AtWork(EXECUTION, attempt=2)) is None


def test_what_somebody_is_at_work_on_is_known_inside_only():
    with working_on(AtWork(EXECUTION)), working_on(None):
        assert at_work() == AtWork(EXECUTION)
    assert at_work() is None


def test_a_secret_in_a_message_does_not_leave_the_house():
    told = Ended(**{**vars(story()), "status": "failed", "error": "refused: token=abcdefgh12345678"})
    error = named(list(spans_of(told)))["execution to-qa"].error
    assert error is not None
    assert "abcdefgh" not in error


def test_the_wire_holds_ids_times_and_states():
    body = encoded(list(spans_of(story())), "dct", "1.2")
    request = ExportTraceServiceRequest.FromString(body)
    [resource] = request.resource_spans
    assert {one.key: one.value.string_value for one in resource.resource.attributes} == {
        "service.name": "dct",
        "service.version": "1.2",
    }
    spans = {span.name: span for span in resource.scope_spans[0].spans}
    first = spans["event branch_assessed"]
    assert (first.trace_id, first.parent_span_id) == (EVENT.bytes, b"")
    assert first.end_time_unix_nano - first.start_time_unix_nano == 2_000_000_000
    assert spans["decide"].parent_span_id == first.span_id
    assert (spans["attempt 1"].status.code, spans["attempt 2"].status.code) == (2, 0)
    facts = {one.key: one.value for one in spans["execution to-qa"].attributes}
    assert (facts["dct.attempts"].int_value, facts["dct.status"].string_value) == (2, "completed")


@pytest.mark.parametrize("microsecond", [0, 1, 999_999])
def test_moments_keep_their_microseconds(microsecond: int):
    moment = NOON.replace(microsecond=microsecond)
    body = encoded([Span("1" * 32, "2" * 16, None, "x", moment, moment)], "dct", "1")
    [span] = ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans
    assert span.start_time_unix_nano % 1_000_000_000 == microsecond * 1000
