"""The embedded server: found or started by anybody, wherever its home is, and stopped."""

from __future__ import annotations

import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from dct_pipelines.domain.errors import EmbeddedPostgresError
from dct_pipelines.store.embedded import EmbeddedPostgres, ServerState
from tests.support.embedded import ROOT, START, answer, server

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

__all__ = ["server"]


def test_the_first_call_starts_it_and_the_next_finds_it(server: EmbeddedPostgres) -> None:
    url = server.ensure()
    pid = server.pid()
    assert answer(url) == 42
    assert EmbeddedPostgres(server.home).ensure() == url
    assert server.pid() == pid


def test_it_listens_on_a_private_socket_and_on_no_network_port(server: EmbeddedPostgres) -> None:
    server.ensure()
    directory = server.status().socket_directory
    assert directory is not None
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    process = psutil.Process(server.pid())
    assert all(connection.family == socket.AF_UNIX for connection in process.net_connections(kind="all"))


def test_it_survives_the_process_that_started_it(server: EmbeddedPostgres) -> None:
    subprocess.run([sys.executable, "-c", START, str(server.home)], cwd=ROOT, check=True)
    assert server.status().state is ServerState.UP


def test_twelve_starters_at_once_start_one_server(server: EmbeddedPostgres) -> None:
    with ThreadPoolExecutor(12) as pool:
        urls = set(pool.map(lambda _: EmbeddedPostgres(server.home).ensure(), range(12)))
    assert len(urls) == 1
    assert answer(urls.pop()) == 42


def test_stopping_ends_open_sessions_and_says_whether_there_was_a_server(server: EmbeddedPostgres) -> None:
    assert server.stop() is False
    engine = create_engine(server.ensure())
    with engine.connect():
        assert server.stop() is True
    assert server.stop() is False
    assert server.status().state is ServerState.DOWN
    assert server.pid() is None


def test_data_outlives_a_stop(server: EmbeddedPostgres) -> None:
    engine = create_engine(server.ensure(), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE kept AS SELECT 7 AS n"))
    server.stop()
    with create_engine(server.ensure(), poolclass=NullPool).connect() as connection:
        assert connection.scalar(text("SELECT n FROM kept")) == 7


@pytest.mark.parametrize(
    "name", ["with space", "quote's", "comma,colon:", "ümlaut", "percent%41", "long" * 30]
)
def test_a_home_may_have_any_name(reachable_directory: Path, name: str) -> None:
    embedded = EmbeddedPostgres(reachable_directory / name)
    try:
        assert answer(embedded.ensure()) == 42
    finally:
        embedded.stop()


def test_settings_of_ones_own_are_kept_beside_ours(server: EmbeddedPostgres) -> None:
    server.ensure()
    data = server.status().data
    assert data is not None
    server.stop()
    (data / "dct.conf").write_text("work_mem = '7MB'\n")
    with create_engine(server.ensure(), poolclass=NullPool).connect() as connection:
        assert connection.scalar(text("SHOW work_mem")) == "7MB"


def test_a_configuration_that_postgresql_refuses_is_quoted(server: EmbeddedPostgres) -> None:
    server.ensure()
    data = server.status().data
    assert data is not None
    server.stop()
    (data / "dct.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(EmbeddedPostgresError, match="no_such_setting"):
        server.ensure()
    (data / "dct.conf").unlink()
    assert answer(server.ensure()) == 42


def test_data_of_another_major_version_is_left_alone_and_explained(server: EmbeddedPostgres) -> None:
    server.ensure()
    data = server.status().data
    assert data is not None
    server.stop()
    (data / "PG_VERSION").write_text("15\n")
    with pytest.raises(EmbeddedPostgresError, match=r"made by PostgreSQL 15.*`dct backup`"):
        server.ensure()
    (data / "PG_VERSION").write_text("18\n")
    assert answer(server.ensure()) == 42


def test_a_variable_of_libpq_does_not_lead_elsewhere(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PGPORT": "1", "PGHOST": "/nowhere", "PGDATABASE": "x", "PGUSER": "y"}.items():
        monkeypatch.setenv(name, value)
    assert answer(server.ensure()) == 42


def test_a_home_that_cannot_be_made_is_explained(reachable_directory: Path) -> None:
    (reachable_directory / "file").touch()
    with pytest.raises(EmbeddedPostgresError, match=r"cannot be used: .*file"):
        EmbeddedPostgres(reachable_directory / "file" / "home").ensure()


def test_a_home_that_is_a_file_is_explained(reachable_directory: Path) -> None:
    (reachable_directory / "file").touch()
    with pytest.raises(EmbeddedPostgresError, match=r"cannot be used: .*file"):
        EmbeddedPostgres(reachable_directory / "file").ensure()
