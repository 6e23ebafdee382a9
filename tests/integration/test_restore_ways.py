"""Whatever version the server is of: what was dumped comes back, or it is said what to install."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO

import pytest
from sqlalchemy import text

from dct_pipelines.clients.clock import SystemClock
from dct_pipelines.domain.errors import BackupUnusable, InvalidInput
from dct_pipelines.engine.restore import Restoring
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.dumps import Server, Way, by_script, directly, server_of
from dct_pipelines.store.dumps.ways import REFUSED, understood, way_to
from dct_pipelines.store.schema import migrate, verify
from tests.integration.test_backup import HISTORY, fire, ids, rows
from tests.support.elsewhere import *  # noqa: F403
from tests.support.elsewhere import backup_of, quiet, restoring_into
from tests.support.older_postgres import *  # noqa: F403
from tests.support.world import World

pytestmark = pytest.mark.integration
WAYS = {"directly": directly, "by a script": by_script}


@pytest.fixture
def world(database: Database) -> World:
    """A deployment with a trigger that has fired."""
    made = World(database)
    made.trigger("to-qa")
    fire(made, f"feature/first\n{REFUSED.decode()}")
    return made


def test_a_backup_of_an_older_server_comes_back_there(older: Database, tmp_path: Path):
    migrate(older)
    made = World(older)
    made.trigger("to-qa")
    fire(made, "feature/first")
    backup_of(older, tmp_path / "b")
    before = ids(older, tables.trigger_executions)
    fire(made, "feature/second")
    restoring_into(older, tmp_path / "there").restore(tmp_path / "b", "local", quiet, replace=True)
    assert ids(older, tables.trigger_executions) == before
    assert verify(older) == []


def test_a_deployment_moves_from_the_embedded_server_to_an_older_one(
    world: World, older: Database, tmp_path: Path
):
    backup_of(world.database, tmp_path / "b")
    restoring_into(older, tmp_path / "there").restore(tmp_path / "b", "local", quiet, replace=False)
    for table in HISTORY:
        assert rows(older, table) == rows(world.database, table), table.name
    assert verify(older) == []


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_each_way_gives_the_same_rows(world: World, elsewhere: Database, tmp_path: Path, way: Way):
    backup_of(world.database, tmp_path / "b")
    there = Restoring(elsewhere, tmp_path / "there", SystemClock(), way)
    there.restore(tmp_path / "b", "local", quiet, replace=False)
    for table in HISTORY:
        assert rows(elsewhere, table) == rows(world.database, table), table.name


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("dump", [b"", b"no dump", b"PGDMP\x01\x10\x00"])
def test_what_is_no_dump_is_told_of_by_each_way(elsewhere: Database, way: Way, dump: bytes):
    with elsewhere.connect() as connection:
        server = server_of(connection, is_embedded=False)
    with pytest.raises(BackupUnusable, match="pg_restore failed"):
        way(server, io.BytesIO(dump))


def test_a_script_that_the_server_refuses_leaves_what_was_there(world: World, tmp_path: Path):
    """`psql` ends in the middle of it; nothing hangs, and it says itself what it was."""
    backup_of(world.database, tmp_path / "b")
    before = ids(world.database, tables.trigger_executions)

    def refused(server: Server, dump: IO[bytes]) -> None:
        with world.database.begin() as connection:
            connection.execute(text("CREATE SCHEMA metrics"))
        by_script(server, dump)

    there = Restoring(world.database, tmp_path / "there", SystemClock(), refused)
    with pytest.raises(BackupUnusable, match=r'psql failed .*schema "metrics" already exists'):
        there.restore(tmp_path / "b", "local", quiet, replace=True)
    assert ids(world.database, tables.trigger_executions) == before
    assert verify(world.database) == []


SCRIPT = b"--\n-- A dump\n--\n\n\\restrict x\n\nSET statement_timeout = 0;\n%bSET row_security = off;\n"


@pytest.mark.parametrize("made", [b"CREATE SCHEMA dct;\n", b"COPY dct.x (a) FROM stdin;\n"])
def test_only_the_setting_of_the_preamble_is_left_out(made: bytes):
    rest = made + REFUSED + b"\\.\n" + REFUSED
    assert b"".join(understood(io.BytesIO(SCRIPT % REFUSED + rest))) == SCRIPT % b"" + rest
    assert b"".join(understood(io.BytesIO(SCRIPT % b"" + rest))) == SCRIPT % b"" + rest
    assert b"".join(understood(io.BytesIO(b""))) == b""


@pytest.mark.parametrize(
    ("major", "sslmode", "way"),
    [
        (14, "prefer", by_script),
        (16, "prefer", by_script),
        (17, "prefer", directly),
        (18, "disable", directly),
    ],
)
def test_the_servers_version_says_which_way(major: int, sslmode: str, way: Way):
    server = Server(major, {"host": "db", "sslmode": sslmode}, "secret", is_embedded=False)
    assert way_to(server) is way


@pytest.mark.parametrize(("major", "program"), [(16, "psql"), (99, "pg_restore")])
def test_a_program_that_is_missing_is_told_of_before_anything_is_changed(
    major: int, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    server = Server(major, {"host": "db", "sslmode": "require"}, "secret", is_embedded=False)
    with pytest.raises(InvalidInput, match=rf"no {program} here .*{major}, with TLS\): install the client"):
        way_to(server)


@pytest.mark.parametrize(
    ("version", "is_fit"), [("15.13", False), ("15.14 (Debian)", True), ("19beta1", True)]
)
def test_a_psql_that_does_not_know_the_scripts_of_today_is_told_of(
    version: str, is_fit: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    program = tmp_path / "psql"
    program.write_text(f"#!/bin/sh\necho 'psql (PostgreSQL) {version}'\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    server = Server(15, {"host": "db", "sslmode": "require"}, "secret", is_embedded=False)
    if is_fit:
        assert way_to(server) is by_script
    else:
        with pytest.raises(InvalidInput, match=r"PostgreSQL 15\.13 and .* update .* to 15\.14 or newer"):
            way_to(server)
