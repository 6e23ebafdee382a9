"""A restore that was killed: nobody works on what it left, and the original stays until another is done."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import psycopg2
import pytest
from sqlalchemy import text

from dct_pipelines.clients.clock import SystemClock
from dct_pipelines.domain.errors import BackupUnusable, InvalidInput, NotEmpty, SchemaMismatch
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.dumps import Server
from dct_pipelines.store.schema import migrate, verify
from tests.integration.test_backup import fire, ids
from tests.support.elsewhere import altered, backup_of, quiet, restoring_into
from tests.support.world import World

pytestmark = pytest.mark.integration


@pytest.fixture
def world(database: Database) -> World:
    """A deployment with a trigger that has fired."""
    made = World(database)
    made.trigger("to-qa")
    fire(made, "feature/first")
    return made


def test_a_restore_that_was_cut_off_is_refused_by_everybody_and_done_again(world: World, tmp_path: Path):
    backup_of(world.database, tmp_path / "b")
    with world.database.begin() as connection:
        connection.execute(text("ALTER SCHEMA dct RENAME TO dct_replaced"))
        connection.execute(text("CREATE SCHEMA dct"))
        connection.execute(text("CREATE TABLE dct.trigger_executions (half int)"))
    with pytest.raises(SchemaMismatch, match="a restore was cut off"):
        migrate(world.database)
    there = restoring_into(world.database, tmp_path)
    with pytest.raises(NotEmpty, match=r"1 row of dct_replaced\.trigger_executions"):
        there.restore(tmp_path / "b", "local", quiet, replace=False)
    there.restore(tmp_path / "b", "local", quiet, replace=True)
    assert verify(world.database) == []


def killed_while_restoring(database: Database) -> None:
    """What a restore leaves that was killed while `pg_restore` was at work, whose transaction is gone."""
    with database.begin() as connection:
        for name in ("dct", "metrics"):
            connection.execute(text(f"ALTER SCHEMA {name} RENAME TO {name}_replaced"))


def test_nothing_is_made_in_the_place_of_what_a_killed_restore_has_set_aside(world: World, tmp_path: Path):
    before = ids(world.database, tables.trigger_executions)
    backup_of(world.database, tmp_path / "b")
    fire(world, "feature/second")
    killed_while_restoring(world.database)
    with pytest.raises(SchemaMismatch, match="a restore was cut off"):
        migrate(world.database)
    assert "a restore was cut off" in verify(world.database)[0]
    there = restoring_into(world.database, tmp_path)
    with pytest.raises(NotEmpty, match=r"2 rows of dct_replaced\.trigger_executions"):
        there.restore(tmp_path / "b", "local", quiet, replace=False)
    there.restore(tmp_path / "b", "local", quiet, replace=True)
    assert ids(world.database, tables.trigger_executions) == before
    with world.database.connect() as connection:
        assert not connection.scalar(text("SELECT to_regnamespace('dct_replaced')"))


def test_what_a_killed_program_still_does_in_the_server_is_ended_before_the_original_comes_back(
    world: World, tmp_path: Path
):
    backup_of(world.database, tmp_path / "b")
    fire(world, "feature/second")
    before = ids(world.database, tables.trigger_executions)
    left: list[Any] = []

    def told_to_end(server: Server, _dump: IO[bytes]) -> None:
        """Its session has made the schema and has not committed yet."""
        session = psycopg2.connect(
            **server.parameters, password=server.password, application_name=server.variables()["PGAPPNAME"]
        )
        left.append(session)
        session.cursor().execute("CREATE SCHEMA dct")
        raise SystemExit(143)

    there = replace(restoring_into(world.database, tmp_path), way=told_to_end)
    with pytest.raises(SystemExit):
        there.restore(tmp_path / "b", "local", quiet, replace=True)
    assert ids(world.database, tables.trigger_executions) == before
    with pytest.raises(psycopg2.OperationalError):
        left[0].cursor().execute("SELECT 1")
    left[0].close()


def test_a_restore_that_is_told_to_end_brings_back_what_was_there(world: World, tmp_path: Path):
    """As SIGTERM does it, which `dct restore` turns into the end of its block."""
    backup_of(world.database, tmp_path / "b")
    fire(world, "feature/second")
    before = ids(world.database, tables.trigger_executions)

    def told_to_end(line: str) -> None:
        if "every table is as it was" in line:
            raise SystemExit(143)

    with pytest.raises(SystemExit):
        restoring_into(world.database, tmp_path).restore(tmp_path / "b", "local", told_to_end, replace=True)
    assert ids(world.database, tables.trigger_executions) == before
    assert verify(world.database) == []


def test_the_original_comes_back_when_the_restore_after_a_killed_one_fails(world: World, tmp_path: Path):
    backup_of(world.database, tmp_path / "b")
    fire(world, "feature/second")
    before = ids(world.database, tables.trigger_executions)
    killed_while_restoring(world.database)
    wrong = altered(tmp_path / "b", lambda made: made.model_copy(update={"tables": {}}))
    with pytest.raises(BackupUnusable, match="not what the backup says"):
        restoring_into(world.database, tmp_path).restore(wrong, "local", quiet, replace=True)
    assert ids(world.database, tables.trigger_executions) == before
    assert verify(world.database) == []


def test_what_was_set_aside_beside_a_whole_deployment_is_never_dropped(world: World, tmp_path: Path):
    backup_of(world.database, tmp_path / "b")
    with world.database.begin() as connection:
        connection.execute(text("CREATE SCHEMA dct_replaced"))
        connection.execute(text("CREATE TABLE dct_replaced.missed (it int)"))
    there = restoring_into(world.database, tmp_path)
    with pytest.raises(InvalidInput, match="DROP SCHEMA dct_replaced CASCADE"):
        there.restore(tmp_path / "b", "local", quiet, replace=True)
    with world.database.connect() as connection:
        assert connection.scalar(text("SELECT to_regclass('dct_replaced.missed') IS NOT NULL"))
    assert len(ids(world.database, tables.trigger_executions)) == 1


class ToldToEnd(SystemClock):
    """A clock that is asked when the files are back and the database is to be completed."""

    def now(self) -> datetime:
        raise SystemExit(143)


def test_a_restore_that_fails_at_its_end_leaves_no_file_of_the_backup_in_the_home(
    world: World, tmp_path: Path
):
    home, there = tmp_path / "home", tmp_path / "there"
    for name in ("outbox/message.json", "sent/one", "workspaces/w/.dct/context.json"):
        (home / name).parent.mkdir(parents=True)
        (home / name).write_text(name)
    backup_of(world.database, tmp_path / "b", home)
    fire(world, "feature/second")
    before = ids(world.database, tables.trigger_executions)
    (there / "sent").mkdir(parents=True)
    failing = replace(restoring_into(world.database, there), clock=ToldToEnd())
    with pytest.raises(SystemExit):
        failing.restore(tmp_path / "b", "local", quiet, replace=True)
    assert ids(world.database, tables.trigger_executions) == before
    assert [str(path.relative_to(there)) for path in there.rglob("*")] == ["sent"]
