"""Long-lived processes: ready when their port is open, started again when they die, and certainly ended."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dct_pipelines.clients.stack.lock import only_one
from dct_pipelines.clients.stack.notes import (
    CodeServerAddress,
    read_address,
    read_loaded_jobs,
    remove_address,
    write_address,
    write_loaded_jobs,
)
from dct_pipelines.clients.stack.service import Service, free_port, is_open, private_socket
from dct_pipelines.clients.stack.supervision import Supervision, stop_all
from dct_pipelines.domain.errors import AlreadyRunning
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Service]:
    port = free_port()
    arguments = (str(port), "--bind", "127.0.0.1")
    service = Service("file server", "http.server", arguments, tmp_path / "log/server.log", door=port)
    yield service
    service.stop()


def test_a_service_is_ready_when_its_port_is_open(server: Service):
    assert not server.is_running
    server.start()
    assert server.wait_until_ready(20)
    assert server.door is not None
    assert is_open(server.door)


def test_a_service_that_ends_at_once_is_not_waited_for(tmp_path: Path):
    service = Service("nothing", "no_such_module", (), tmp_path / "nothing.log", door=free_port())
    service.start()
    begun = time.monotonic()
    assert not service.wait_until_ready(60)
    assert time.monotonic() - begun < 30
    assert "no_such_module" in service.last_words()
    service.stop()


def test_variables_reach_the_service_and_its_output_the_log(tmp_path: Path):
    (tmp_path / "tells.py").write_text("import os; print('told', os.environ['DCT_HOME'])")
    variables = {"DCT_HOME": "somewhere", "PYTHONPATH": str(tmp_path)}
    service = Service("teller", "tells", (), tmp_path / "teller.log", variables)
    service.start()
    assert eventually(lambda: "told somewhere" in service.last_words())
    service.stop()


def test_a_service_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path):
    (tmp_path / "stubborn.py").write_text(
        "import signal, subprocess, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "print('child', child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    service = Service("stubborn", "stubborn", (), tmp_path / "stubborn.log", {"PYTHONPATH": str(tmp_path)})
    service.start()
    assert eventually(lambda: "child" in service.last_words())
    child = psutil.Process(int(service.last_words().split()[-1]))
    service.stop(timeout_seconds=0.5)
    assert not service.is_running
    assert eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_what_dies_is_started_again_and_its_owner_is_told(server: Service):
    said: list[str] = []
    server.start()
    assert server.wait_until_ready(20)
    supervision = Supervision([server], said.append)
    supervision.start()
    first = server.pid
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: server.is_ready and server.pid != first)
    supervision.stop()
    assert said[0].startswith("file server ended (exit code -9), starts again in 1 s")
    assert said[-1] == "file server started again"


def test_what_ends_by_itself_is_quoted(tmp_path: Path):
    (tmp_path / "unlucky.py").write_text("import sys\nsys.exit('the port is taken\\x1b[31m')\n")
    service = Service("unlucky", "unlucky", (), tmp_path / "unlucky.log", {"PYTHONPATH": str(tmp_path)})
    said: list[str] = []
    service.start()
    supervision = Supervision([service], said.append)
    supervision.start()
    assert eventually(lambda: bool(said))
    supervision.stop()
    service.stop()
    assert said[0].startswith("unlucky ended (exit code 1: the port is taken[31m), starts again in 1 s; see ")


def test_what_cannot_be_started_now_is_started_later(server: Service, tmp_path: Path):
    said: list[str] = []
    server.start()
    server.log = tmp_path / "file/server.log"
    server.log.parent.write_text("no directory")
    watch = Supervision([server], said.append)
    watch.start()
    server.stop()
    assert eventually(lambda: any("cannot be started" in line for line in said))
    server.log.parent.unlink()
    assert eventually(lambda: server.is_ready)
    watch.stop()
    assert said[-1] == "file server started again"


def test_nothing_is_started_any_more_once_watching_has_stopped(server: Service):
    server.start()
    assert server.wait_until_ready(20)
    supervision = Supervision([server], lambda _line: None)
    supervision.start()
    supervision.stop()
    stop_all([server])
    assert not server.is_running


def test_a_port_that_is_taken_gives_the_next_one():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) > port


def test_a_socket_lies_below_the_home_where_only_we_can_reach_it(reachable_directory: Path):
    with private_socket(reachable_directory, "code.sock") as path:
        assert path == reachable_directory / "run/code.sock"
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert not is_open(path)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
            listening.listen()
            assert is_open(path)


def test_below_a_home_with_a_long_path_a_socket_lies_elsewhere_and_leaves_nothing(tmp_path: Path):
    with private_socket(tmp_path / ("long" * 25), "code.sock") as path:
        assert len(str(path)) < 100
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not path.parent.exists()


def test_one_stack_a_home_and_the_second_is_told_which_process_has_it(tmp_path: Path):
    lock = tmp_path / "home/up.lock"
    second = only_one(lock, "the engine")
    with only_one(lock, "the engine"), pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"):
        second.__enter__()
    with only_one(lock, "the engine"):
        pass


def test_notes_are_read_as_they_were_written(tmp_path: Path):
    assert read_address(tmp_path) is None
    address = CodeServerAddress(socket=tmp_path / "socket", pid=7)
    write_address(tmp_path, address)
    assert read_address(tmp_path) == address
    remove_address(tmp_path)
    remove_address(tmp_path)
    assert read_address(tmp_path) is None
    write_loaded_jobs(tmp_path, frozenset({"a", "b"}))
    assert read_loaded_jobs(tmp_path) == {"a", "b"}


def test_a_broken_note_counts_as_none(tmp_path: Path):
    (tmp_path / "code-server.json").write_text("{")
    (tmp_path / "loaded-jobs.json").write_text("7")
    assert read_address(tmp_path) is None
    assert read_loaded_jobs(tmp_path) == frozenset()
