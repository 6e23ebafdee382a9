"""Whatever is killed, and whenever: the next one that asks gets a server with all that was committed."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.settings import load_settings
from dct_pipelines.store.database import Database
from dct_pipelines.store.embedded import EmbeddedPostgres, ServerState
from tests.support.embedded import ROOT, START, answer, server
from tests.support.postgres import administrator

__all__ = ["server"]

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ANNOUNCED = START.replace("EmbeddedPostgres(Path", "print('go', flush=True)\nEmbeddedPostgres(Path")
MOMENTS_MS = (0, 80, 300, 500, 700, 900, 1100)
"""After a start from nothing began, which takes a second: initdb, then the server, then the database."""


def kill_server(server: EmbeddedPostgres) -> None:
    """Kill the postmaster, as the kernel does when memory runs out."""
    pid = server.pid()
    assert pid is not None
    process = psutil.Process(pid)
    process.kill()
    psutil.wait_procs([process], timeout=10)


@contextmanager
def starter(server: EmbeddedPostgres) -> Iterator[subprocess.Popen[str]]:
    """A process that has just begun to start the server."""
    command = [sys.executable, "-c", ANNOUNCED, str(server.home)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        yield process


def test_a_killed_server_is_replaced_and_what_was_committed_is_there(server: EmbeddedPostgres) -> None:
    with create_engine(server.ensure(), poolclass=NullPool).begin() as connection:
        connection.execute(text("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n"))
    kill_server(server)
    with create_engine(server.ensure(), poolclass=NullPool).connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM kept")) == 1000


def test_a_pool_goes_on_after_a_kill_without_being_told(reachable_directory: Path) -> None:
    database = Database.open(load_settings({"DAGSTER_HOME": str(reachable_directory)}))
    assert database.embedded is not None
    try:
        for _ in range(3):
            with database.begin() as connection:
                assert connection.scalar(text("SELECT 1")) == 1
            kill_server(database.embedded)
        with database.begin() as connection:
            assert connection.scalar(text("SELECT 1")) == 1
    finally:
        database.dispose()
        database.embedded.stop()


def write_and_kill(database: Database, embedded: EmbeddedPostgres) -> None:
    with database.begin() as connection:
        connection.execute(text("CREATE TABLE public.half (n int)"))
        kill_server(embedded)
        connection.execute(text("INSERT INTO public.half VALUES (1)"))


def test_a_transaction_cut_off_by_a_kill_is_a_transient_error(reachable_directory: Path) -> None:
    database = Database.open(load_settings({"DAGSTER_HOME": str(reachable_directory)}))
    assert database.embedded is not None
    try:
        with pytest.raises(DatabaseUnavailable):
            write_and_kill(database, database.embedded)
        with database.connect() as connection:
            assert connection.scalar(text("SELECT to_regclass('public.half')")) is None
    finally:
        database.dispose()
        database.embedded.stop()


@pytest.mark.parametrize("moment_ms", MOMENTS_MS)
def test_a_starter_killed_at_any_moment_leaves_nothing_in_the_way(
    server: EmbeddedPostgres, moment_ms: int
) -> None:
    with starter(server) as process:
        time.sleep(moment_ms / 1000)
        process.kill()
    assert answer(server.ensure()) == 42


@pytest.mark.parametrize("moment_ms", MOMENTS_MS)
def test_a_starter_killed_with_its_children_leaves_nothing_in_the_way(
    server: EmbeddedPostgres, moment_ms: int
) -> None:
    with starter(server) as process:
        time.sleep(moment_ms / 1000)
        for victim in [*psutil.Process(process.pid).children(recursive=True), process]:
            victim.kill()
    assert answer(server.ensure()) == 42


def test_many_starters_after_a_kill_start_one_server(server: EmbeddedPostgres) -> None:
    server.ensure()
    kill_server(server)
    command = [sys.executable, "-c", START, str(server.home)]
    with ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(lambda _: subprocess.run(command, cwd=ROOT).returncode, range(6)))
    assert codes == [0] * 6
    assert server.status().state is ServerState.UP


def test_a_process_that_was_given_the_old_number_is_neither_believed_nor_hurt(
    server: EmbeddedPostgres,
) -> None:
    server.ensure()
    data = server.status().data
    assert data is not None
    kill_server(server)
    with subprocess.Popen(["sleep", "60"]) as innocent:
        lines = (data / "postmaster.pid").read_text().splitlines()
        (data / "postmaster.pid").write_text("\n".join([str(innocent.pid), *lines[1:]]))
        assert server.pid() is None
        assert server.stop() is False
        assert answer(server.ensure()) == 42
        assert server.stop() is True
        assert innocent.poll() is None
        innocent.kill()


def test_a_server_that_waits_for_its_clients_to_leave_is_replaced(server: EmbeddedPostgres) -> None:
    engine = create_engine(server.ensure())
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        pid = server.pid()
        assert pid is not None
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 10
        while server.status().state is not ServerState.STOPPING:
            assert time.monotonic() < deadline
        assert answer(server.ensure()) == 42
        assert server.pid() != pid
        connection.invalidate()


def test_a_starter_killed_before_it_made_the_database_is_made_up_for(server: EmbeddedPostgres) -> None:
    url = make_url(server.ensure())
    with administrator(str(url.set(database="postgres"))) as connection:
        connection.execute(text("DROP DATABASE dct"))
    assert server.status().state is ServerState.EMPTY
    assert answer(server.ensure()) == 42


def test_half_made_data_is_set_aside_not_deleted(server: EmbeddedPostgres) -> None:
    data = server.home / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "somebody's").touch()
    server.home.chmod(0o711)
    assert answer(server.ensure()) == 42
    assert [path.name for path in data.parent.glob("data.broken-*/*")] == ["somebody's"]


def test_waiting_for_a_hung_starter_ends_with_an_error_that_names_the_lock(reachable_directory: Path) -> None:
    impatient = EmbeddedPostgres(reachable_directory / "home", timeout_seconds=0.1)
    impatient.home.mkdir()
    with (impatient.home / "start.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(DatabaseUnavailable, match=r"start\.lock"):
            impatient.ensure()


def test_a_server_whose_socket_was_swept_away_is_replaced(reachable_directory: Path) -> None:
    embedded = EmbeddedPostgres(reachable_directory / "home", timeout_seconds=10)
    url = embedded.ensure()
    directory = embedded.status().socket_directory
    assert directory is not None
    (directory / ".s.PGSQL.5432").unlink()
    assert EmbeddedPostgres(embedded.home, timeout_seconds=8).ensure() == url
    assert answer(url) == 42
    embedded.stop()
