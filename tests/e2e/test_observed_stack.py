"""The whole stack as others see it: metrics, traces and JSON logs of a real execution."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from dct_pipelines.bootstrap import build
from dct_pipelines.clients.stack.service import free_port
from dct_pipelines.settings import load_settings
from tests.e2e.test_stack import ask_for
from tests.support.deployment import *  # noqa: F403
from tests.support.postgres import *  # noqa: F403
from tests.support.receiver import Receiver, receiver

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
PATIENCE_SECONDS = 120


def wait_for(what: Callable[[], bool]) -> None:
    begun = time.monotonic()
    while not what():
        assert time.monotonic() - begun < PATIENCE_SECONDS, "it did not happen in time"
        time.sleep(0.2)


def scraped(port: int) -> dict[str, float]:
    """Samples without labels, and ended executions by outcome; none while nobody answers yet."""
    with suppress(URLError), urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return {
            sample.labels.get("outcome", sample.name): sample.value
            for family in families
            for sample in family.samples
            if not sample.labels or "outcome" in sample.labels
        }
    return {}


def spans(collector: Receiver) -> list[str]:
    requests = [ExportTraceServiceRequest.FromString(gzip.decompress(one.body)) for one in collector.requests]
    return [span.name for one in requests for span in one.resource_spans[0].scope_spans[0].spans]


def test_an_execution_is_seen_by_prometheus_by_a_collector_and_in_json_logs(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    port = free_port()
    with receiver() as collector:
        collector.answers = [(503, b""), (200, b"")]
        monkeypatch.setenv("DCT_METRICS_PORT", str(port))
        monkeypatch.setenv("DCT_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.port}")
        monkeypatch.setenv("DCT_LOG_FORMAT", "json")
        up = subprocess.Popen(
            [sys.executable, "-m", "dct_pipelines.cli.main", "up", "--no-ui", "--json"],
            env=os.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert up.stdout is not None
        ready = json.loads(up.stdout.readline())
        assert {"metrics", "traces"} <= set(ready["pids"])
        wait_for(lambda: scraped(port).get("dct_up") == 1)
        app = build(load_settings())
        ask_for(app, ("notify_users",) * 2)
        wait_for(lambda: scraped(port).get("completed") == 1)
        wait_for(lambda: "attempt 1" in spans(collector))
        assert [name for name in spans(collector) if name.startswith("notify_users")]
        app.database.dispose()
        up.send_signal(signal.SIGTERM)
        _, said = up.communicate(timeout=60)
    assert up.returncode == 0
    assert [json.loads(line)["message"] for line in said.splitlines()][-1] == "stopping ..."
    logs = [line for path in Path(ready["logs"]).glob("*.log") for line in path.read_text().splitlines()]
    assert logs
    assert [line for line in logs if not line.startswith("{")] == []
