"""`dct metrics`, `dct trace`, JSON logs of real processes; and who did not ask for any of it pays nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dct_pipelines.engine.tracing import CURSOR
from dct_pipelines.store.database import Database
from tests.support.command_line import *  # noqa: F403
from tests.support.command_line import Dct, loaded
from tests.support.receiver import receiver
from tests.support.telemetry import begin, ended

pytestmark = pytest.mark.integration
FOREIGN = ("opentelemetry", "prometheus_client")


def test_metrics_are_printed_as_a_scrape_and_as_json(dct: Dct):
    said = dct("metrics", "show")
    assert said.code == 0
    names = {family.name for family in text_string_to_metric_families(said.out)}
    assert {"dct_up", "dct_events", "dct_waiting"} <= names
    samples = dct("metrics", "show", "--json").data["samples"]
    assert {"name": "dct_up", "labels": {}, "value": 1.0} in samples


def test_metrics_are_served_until_told_to_end(dct: Dct):
    arguments = ["-m", "dct_pipelines.cli.main", "metrics", "serve", "--port", "0", "--json"]
    server = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    with server.stdout as lines:
        url = json.loads(lines.readline())["url"]
        assert url.startswith("http://127.0.0.1:")
        with urlopen(url) as answer:
            assert b"dct_up 1.0" in answer.read()
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0


def test_to_serve_without_a_port_is_refused_and_says_how(dct: Dct):
    said = dct("metrics", "serve")
    assert said.code == 2
    assert "--port 9464" in said.err


def test_to_export_without_a_collector_is_refused_and_says_how(dct: Dct):
    said = dct("trace", "export", "--once")
    assert said.code == 2
    assert "DCT_OTLP_ENDPOINT" in said.err


def test_traces_are_sent_once_when_asked(dct: Dct, database: Database, monkeypatch: pytest.MonkeyPatch):
    begin(database, CURSOR)
    ended(database, 20)
    with receiver() as collector:
        monkeypatch.setenv("DCT_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.port}")
        said = dct("trace", "export", "--once", "--json")
    assert (said.code, said.data) == (0, {"executions": 1, "spans": 1})
    assert [request.path for request in collector.requests] == ["/v1/traces"]


def test_nothing_of_metrics_and_traces_is_loaded_where_nobody_asks(dct: Dct):
    modules = loaded("status")
    assert not [name for name in modules if name.partition(".")[0] in FOREIGN]
    assert "dct_pipelines.clients.logs" not in modules


def test_a_worker_loads_nothing_of_traces_either(dct: Dct, tmp_path: Path):
    program = (
        "import importlib, pkgutil, sys\n"
        "from dct_pipelines.instance.warm import _our_modules\n"
        "for name in _our_modules(): importlib.import_module(name)\n"
        "foreign = ('opentelemetry.proto', 'prometheus')\n"
        "print(*sorted(name for name in sys.modules if name.startswith(foreign)))\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


LOGS = """
import logging, os
from uuid import UUID
from dct_pipelines.clients import logs
from dct_pipelines.domain.at_work import AtWork, working_on
from dct_pipelines.settings import load_settings

early = logging.getLogger("foreign"); early.addHandler(logging.StreamHandler()); early.propagate = False
logs.install(load_settings().logs_json)
with working_on(AtWork(UUID(int=4), 1, "to-qa")):
    logging.getLogger("dct_pipelines.x").info("from us: %s", "password=hunter2hunter2")
    early.warning("from somebody else")
logging.getLogger("third.party").info("not shown")
if os.fork() == 0:
    logging.getLogger("dct_pipelines.x").warning("from a fork")
    os._exit(0)
os.wait()
"""


def lines_of(program: str, log_format: str) -> list[str]:
    us = os.environ | {"DCT_LOG_FORMAT": log_format}
    said = subprocess.run([sys.executable, "-c", program], env=us, capture_output=True, text=True, check=True)
    return said.stderr.splitlines()


def test_each_line_of_a_process_that_logs_as_json_is_an_object_with_ids(dct: Dct):
    told = [json.loads(line) for line in lines_of(LOGS, "json")]
    assert [one["message"].partition(":")[0] for one in told] == [
        "from us",
        "from somebody else",
        "from a fork",
    ]
    assert {one.get("execution") for one in told[:2]} == {"00000000-0000-0000-0000-000000000004"}
    assert "hunter2" not in told[0]["message"]
    at = datetime.fromisoformat(told[0]["time"])
    assert at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=5)
    assert told[2]["process"] != told[0]["process"]


def test_text_stays_what_it_was(dct: Dct):
    assert lines_of(LOGS, "text") == ["from somebody else", "from a fork"]
