"""Traces by OTLP over HTTP: one POST of protobuf for each batch.

https://opentelemetry.io/docs/specs/otlp/#otlphttp. Only the messages are OpenTelemetry's; they are imported
when the first batch is sent, so that a deployment without a collector never loads them.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dct_pipelines.clients.guard import AddressGuard
from dct_pipelines.clients.http import HttpClient
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted, CollectorUnavailable, TracesRefused
from dct_pipelines.domain.tracing import Attribute, Span

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message

TIMEOUT_SECONDS = 10.0
_NEVER = frozenset({400, 413, 415, 422})
"""About what we sent, and so the same the next time. Everything else (a token that has run out, a proxy whose
collector restarts) passes, or an operator mends it: https://opentelemetry.io/docs/specs/otlp/#failures-1."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SCOPE = "dct_pipelines"


def _without_headers() -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class OtlpSink:
    """Posts to `endpoint`, the whole address of the collector's traces.

    `headers` may hold secrets, hence they are asked for late. The operator named the address, which may be
    in a private network.
    """

    endpoint: str
    service: str
    version: str
    headers: Mapping[str, str] = field(default_factory=_without_headers, repr=False)
    http: HttpClient = field(
        default_factory=lambda: HttpClient(
            AddressGuard(allow_private_network=True), timeout_seconds=TIMEOUT_SECONDS, keep_alive=True
        )
    )

    def send(self, spans: Sequence[Span]) -> None:
        """Deliver all of them in one request."""
        if not spans:
            return
        headers = {
            **{name.lower(): value for name, value in self.headers.items()},
            "content-type": "application/x-protobuf",
            "content-encoding": "gzip",
            "user-agent": f"dct-pipelines/{self.version}",
        }
        body = gzip.compress(encoded(spans, self.service, self.version), compresslevel=5)
        try:
            answer = self.http.send("POST", self.endpoint, headers, body)
        except ActionInterrupted as error:
            raise CollectorUnavailable(f"the collector of traces cannot be reached: {error}") from error
        except ActionFailed as error:
            raise CollectorUnavailable(f"the collector of traces cannot be used: {error}") from error
        if answer.is_success:
            return
        said = f"the collector of traces answered {answer.status}"
        if answer.status in _NEVER:
            raise TracesRefused(f"{said} to {len(spans)} spans")
        raise CollectorUnavailable(f"{said}; check DCT_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_HEADERS")


def encoded(spans: Sequence[Span], service: str, version: str) -> bytes:
    """The body of a request."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

    whose = {"service.name": service, "service.version": version}
    scope = ScopeSpans(
        scope=InstrumentationScope(name=SCOPE, version=version), spans=[_message(span) for span in spans]
    )
    resource = Resource(attributes=[_attribute(*pair) for pair in whose.items()])
    request = ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=resource, scope_spans=[scope])]
    )
    body: bytes = request.SerializeToString()
    return body


def _message(span: Span) -> Message:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
    from opentelemetry.proto.trace.v1.trace_pb2 import Status

    return Message(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.span_id),
        parent_span_id=bytes.fromhex(span.parent_id or ""),
        name=span.name,
        kind=Message.SPAN_KIND_INTERNAL,
        start_time_unix_nano=_nanoseconds(span.started_at),
        end_time_unix_nano=_nanoseconds(span.ended_at),
        attributes=[_attribute(*pair) for pair in span.attributes.items()],
        status=Status(code=Status.STATUS_CODE_ERROR, message=span.error) if span.error else Status(),
    )


def _attribute(key: str, value: Attribute) -> KeyValue:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

    match value:
        case bool():
            held = AnyValue(bool_value=value)
        case int():
            held = AnyValue(int_value=value)
        case _:
            held = AnyValue(string_value=value)
    return KeyValue(key=key, value=held)


def _nanoseconds(at: datetime) -> int:
    """Exactly: a float of seconds since 1970 does not hold microseconds."""
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000
