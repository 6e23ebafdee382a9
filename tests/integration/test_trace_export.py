"""Traces of executions that have ended reach a collector, at least once and with the same ids each time."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sqlalchemy import text

from dct_pipelines.clients.otlp import OtlpSink
from dct_pipelines.clients.webhook import SignedPost
from dct_pipelines.domain.action import ActionContext
from dct_pipelines.domain.at_work import at_work
from dct_pipelines.domain.errors import ActionInterrupted, CollectorUnavailable
from dct_pipelines.domain.outcome import done
from dct_pipelines.domain.tracing import Span
from dct_pipelines.engine import tracing
from dct_pipelines.engine.tracing import CURSOR, TraceExport
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from tests.fakes.ports import FakeClock, FakeSecrets
from tests.support.receiver import Receiver, receiver
from tests.support.stage import Stage
from tests.support.telemetry import begin, ended, settle
from tests.support.world import World

pytestmark = pytest.mark.integration
ENDS = "UPDATE dct.trigger_executions SET status = 'cancelled', completed_at = now() - interval '9 s'"


@pytest.fixture
def collector() -> Iterator[Receiver]:
    with receiver() as running:
        running.answers = [(200, b"")]
        yield running


@pytest.fixture
def stage(database: Database) -> Iterator[Stage]:
    begin(database, CURSOR)
    made = Stage(database)
    yield made
    made.stop()


def export(database: Database, collector: Receiver) -> TraceExport:
    sink = OtlpSink(collector.url, "dct", "1.2", {"Authorization": "Bearer abc"})
    return TraceExport(database, FakeClock(datetime.now(UTC)), sink)


def received(collector: Receiver) -> list[list[Any]]:
    """The spans of each request."""
    bodies = [gzip.decompress(request.body) for request in collector.requests]
    requests = [ExportTraceServiceRequest.FromString(body) for body in bodies]
    return [
        [span for one in request.resource_spans for span in one.scope_spans[0].spans] for request in requests
    ]


@dataclass
class MemorySink:
    """Keeps what it is sent; when it `dies`, that is before it answers."""

    batches: list[Sequence[Span]] = field(default_factory=list)
    dies: bool = False

    def send(self, spans: Sequence[Span]) -> None:
        self.batches.append(spans)
        if self.dies:
            raise CollectorUnavailable("it died before it could answer")


def carried_out_with_a_retry(stage: Stage) -> None:
    """An execution whose first attempt fails in its second action, for a reason that passes."""
    failing = iter([ActionInterrupted("the host is away")])

    def act(context: ActionContext, *_: Any) -> Any:
        if (problem := next(failing, None)) is not None:
            raise problem
        return done("did it")

    stage.behaviours["key"] = act
    limits = {"retry": {"max_attempts": 3, "backoff_seconds": 1}}
    execution_id, run = stage.claimed("check", "key", limits=limits)
    stage.perform(run, 0)
    with pytest.raises(ActionInterrupted):
        stage.perform(run, 1)
    stage.set(execution_id, not_before=None)
    attempt = stage.dispatch(execution_id)
    again = stage.run(execution_id, attempt)
    stage.executor.claim(again)
    stage.perform(again, 0)
    stage.perform(again, 1)
    stage.executor.close(again)


def test_an_execution_with_a_retry_is_one_trace_of_the_right_shape(stage: Stage, collector: Receiver):
    carried_out_with_a_retry(stage)
    settle(stage.database)
    sent = export(stage.database, collector).turn()
    assert sent is not None
    [spans] = received(collector)
    assert (sent.executions, sent.spans) == (1, len(spans))
    names = {span.span_id: span.name for span in spans}
    assert sorted((span.name, names.get(span.parent_span_id)) for span in spans) == [
        ("attempt 1", "execution check__key"),
        ("attempt 2", "execution check__key"),
        ("check", "attempt 1"),
        ("execution check__key", None),
        ("key", "attempt 2"),
        ("launch", "attempt 1"),
        ("launch", "attempt 2"),
        ("queue", "execution check__key"),
        ("queue", "execution check__key"),
    ]
    by_name = {span.name: span for span in spans}
    assert "the host is away" in by_name["attempt 1"].status.message
    assert by_name["attempt 1"].end_time_unix_nano <= by_name["attempt 2"].start_time_unix_nano
    headers = collector.requests[0].headers
    assert (headers["content-type"], headers["authorization"]) == ("application/x-protobuf", "Bearer abc")


def test_an_event_that_fires_two_triggers_is_one_trace_and_told_once(database: Database):
    begin(database, CURSOR)
    world, sink = World(database, FakeClock(datetime.now(UTC))), MemorySink()
    for name in ("first", "second"):
        world.trigger(name)
    world.intake.ingest(world.connection_id, world.page(world.assessed("feature/x")))
    with database.begin() as connection:
        connection.execute(text(ENDS))
    assert TraceExport(database, world.clock, sink).turn() is not None
    [spans] = sink.batches
    [event] = world.rows(tables.events)
    assert {span.trace_id for span in spans} == {event["id"].hex}
    names = {span.span_id: span.name for span in spans}
    assert sorted((span.name, names.get(span.parent_id or "")) for span in spans) == [
        ("decide", "event branch_assessed"),
        ("decide", "event branch_assessed"),
        ("event branch_assessed", None),
        ("execution first", "decide"),
        ("execution second", "decide"),
    ]


def test_what_was_sent_is_not_sent_again(stage: Stage, collector: Receiver):
    ended(stage.database, 20)
    exporter = export(stage.database, collector)
    assert exporter.turn() is not None
    assert exporter.turn() is None
    assert len(collector.requests) == 1


def test_after_a_crash_between_sending_and_noting_it_the_same_ids_are_sent_again(stage: Stage):
    ended(stage.database, 20)
    sink = MemorySink(dies=True)
    exporter = TraceExport(stage.database, FakeClock(datetime.now(UTC)), sink)
    with pytest.raises(CollectorUnavailable):
        exporter.turn()
    sink.dies = False
    assert exporter.turn() is not None
    first, second = sink.batches
    assert first == second


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_a_collector_that_may_mend_itself_is_tried_again(stage: Stage, collector: Receiver, status: int):
    ended(stage.database, 20)
    collector.answers = [(status, b""), (200, b"")]
    exporter = export(stage.database, collector)
    with pytest.raises(CollectorUnavailable, match=str(status)):
        exporter.turn()
    assert exporter.turn() is not None


def test_spans_that_are_never_taken_do_not_stop_those_behind_them(
    stage: Stage, collector: Receiver, caplog: pytest.LogCaptureFixture
):
    ended(stage.database, 20)
    collector.answers = [(400, b"malformed"), (200, b"")]
    exporter = export(stage.database, collector)
    assert exporter.turn() is not None
    assert "1 executions are lost" in caplog.text
    ended(stage.database, 10)
    assert exporter.turn() is not None
    assert len(collector.requests) == 2


def test_nobody_listening_is_an_error_that_passes(stage: Stage):
    ended(stage.database, 20)
    nobody = OtlpSink("http://127.0.0.1:9/v1/traces", "dct", "1.2")
    with pytest.raises(CollectorUnavailable, match="cannot be reached"):
        TraceExport(stage.database, FakeClock(datetime.now(UTC)), nobody).turn()


def test_what_ended_before_the_last_day_is_passed_over(stage: Stage, caplog: pytest.LogCaptureFixture):
    ended(stage.database, 3 * 86400)
    ended(stage.database, 60)
    with stage.database.begin() as connection:
        connection.execute(text("UPDATE dct.telemetry_cursors SET through = now() - interval '9 days'"))
    sink = MemorySink()
    sent = TraceExport(stage.database, FakeClock(datetime.now(UTC)), sink).turn()
    assert sent is not None
    assert sent.executions == 1
    assert "are not sent" in caplog.text


def test_many_go_in_batches_in_their_order(stage: Stage):
    ids = [ended(stage.database, 500 - place) for place in range(tracing.BATCH + 5)]
    sink = MemorySink()
    exporter = TraceExport(stage.database, FakeClock(datetime.now(UTC)), sink)
    counts = [sent.executions for sent in iter(exporter.turn, None)]
    assert counts == [tracing.BATCH, 5]
    sent = [span.attributes["dct.execution"] for batch in sink.batches for span in batch]
    assert list(dict.fromkeys(sent)) == [str(one) for one in ids]


def test_a_webhook_is_told_the_span_of_its_action(stage: Stage, collector: Receiver):
    post = SignedPost(FakeSecrets(), stage.clock, is_traced=True)

    def act(context: ActionContext, *_: Any) -> Any:
        open_: Any
        key, open_ = context.idempotency_key, {"secret": None, "allow_private_network": True}
        post.send(collector.url, {}, key=key, timeout_seconds=5, **open_)
        return done("did it")

    stage.behaviours["check"] = act
    execution_id, run = stage.claimed("check")
    stage.perform(run)
    stage.executor.close(run)
    told = collector.requests.pop().headers["traceparent"].split("-")
    settle(stage.database)
    export(stage.database, collector).turn()
    [action] = [span for span in received(collector)[0] if span.name == "check"]
    assert told == ["00", execution_id.hex, action.span_id.hex(), "01"]


def test_actions_know_what_they_are_part_of_and_others_do_not(stage: Stage):
    seen: list[Any] = []

    def act(*_: Any) -> Any:
        seen.append(at_work())
        return done("did it")

    stage.behaviours["check"] = act
    execution_id, run = stage.claimed("check")
    stage.perform(run)
    stage.executor.close(run)
    [work] = seen
    assert (work.execution_id, work.attempt, work.trigger, work.action) == (
        execution_id,
        1,
        "ship-it",
        "check",
    )
    assert at_work() is None
