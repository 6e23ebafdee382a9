"""A backup is one moment of a database that is written to; a restore gives that moment or changes nothing."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Table, select, text

from dct_pipelines.clients.backup_file import BackupFile
from dct_pipelines.domain.backups import DUMP, Manifest, TablePrint
from dct_pipelines.domain.errors import (
    BackupUnusable,
    InvalidInput,
    NotEmpty,
    NotFound,
    NotPermitted,
    SchemaMismatch,
)
from dct_pipelines.domain.retention import months_ahead
from dct_pipelines.store import partitions, restoring, tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.definitions import people
from dct_pipelines.store.dumps import Server
from dct_pipelines.store.partitions import PAYLOADS
from dct_pipelines.store.schema import alembic_config, head_revision, verify
from tests.support.elsewhere import *  # noqa: F403
from tests.support.elsewhere import altered, backup_of, quiet, restoring_into
from tests.support.world import World

pytestmark = pytest.mark.integration
HISTORY = (
    tables.dynamic_context_triggers,
    tables.trigger_versions,
    tables.connections,
    tables.context_library,
    tables.item_cursors,
    tables.trigger_firings,
)


@pytest.fixture
def world(database: Database) -> World:
    """A deployment with a trigger that has fired."""
    made = World(database)
    made.trigger("to-qa")
    fire(made, "feature/first")
    return made


def fire(world: World, branch: str) -> None:
    page = world.page(world.assessed(branch), token={"seen": branch})
    world.intake.ingest(world.connection_id, page)


def rows(database: Database, table: Table) -> set[str]:
    with database.connect() as connection:
        found = connection.execute(select(table)).all()
    changed = {"next_due_at", "not_before", "consecutive_failures"}
    return {str({key: value for key, value in row._mapping.items() if key not in changed}) for row in found}


def ids(database: Database, table: Table) -> set[Any]:
    with database.connect() as connection:
        return set(connection.scalars(select(table.c.id)))


def test_a_backup_gives_the_same_triggers_executions_and_cursors_elsewhere(
    world: World, elsewhere: Database, tmp_path: Path
):
    backup_of(world.database, tmp_path / "b")
    done = restoring_into(elsewhere, tmp_path / "there").restore(
        tmp_path / "b", "local", quiet, replace=False
    )
    for table in HISTORY:
        assert rows(elsewhere, table) == rows(world.database, table), table.name
    assert ids(elsewhere, tables.trigger_executions) == ids(world.database, tables.trigger_executions)
    assert done.held == 1
    assert verify(elsewhere) == []


def test_a_backup_under_load_is_one_moment_and_holds_nobody_back(
    world: World, elsewhere: Database, tmp_path: Path
):
    stop = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        while not stop.is_set():
            fire(world, f"feature/{written}")
            written += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        before = written
        backup_of(world.database, tmp_path / "b")
        meanwhile = written - before
    finally:
        stop.set()
        writer.join()
    assert meanwhile > 0
    restoring_into(elsewhere, tmp_path / "there").restore(tmp_path / "b", "local", quiet, replace=False)
    with elsewhere.connect() as connection:
        events = connection.execute(select(tables.events.c.seq, tables.events.c.id)).all()
        fired = set(connection.scalars(select(tables.trigger_executions.c.event_id)))
        next_seq = connection.scalar(select(tables.intake_order.c.next_seq))
    assert sorted(row.seq for row in events) == list(range(1, int(next_seq or 0)))
    assert fired == {row.id for row in events}
    assert ids(elsewhere, tables.events) < ids(world.database, tables.events)


def test_files_that_cannot_be_made_again_come_along_and_secrets_do_not(
    world: World, elsewhere: Database, tmp_path: Path
):
    home, there = tmp_path / "home", tmp_path / "there"
    for name in (
        "archives/a.tar.gz",
        "sent/one",
        "workspaces/w/.dct/context.json",
        "workspaces/w/code.py",
        "x",
    ):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(name)
    (home / ".env").write_text("JIRA_API_TOKEN=secret")
    (home / "archives/link").symlink_to(home / ".env")
    manifest = backup_of(world.database, tmp_path / "b", home)
    kept = {"home/archives/a.tar.gz", "home/sent/one", "home/workspaces/w/.dct/context.json"}
    assert set(manifest.files) == {DUMP, *kept}
    (there / "sent").mkdir(parents=True)
    (there / "sent/one").write_text("newer")
    done = restoring_into(elsewhere, there).restore(tmp_path / "b", "local", quiet, replace=False)
    assert (there / "archives/a.tar.gz").read_text() == "archives/a.tar.gz"
    assert (done.kept, (there / "sent/one").read_text()) == (("sent/one",), "newer")
    assert b"secret" not in (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("damage", ["a byte of the dump", "the end", "everything"])
def test_a_damaged_backup_is_refused_and_nothing_is_changed(
    world: World, elsewhere: Database, tmp_path: Path, damage: str
):
    backup_of(world.database, path := tmp_path / "b")
    content = bytearray(path.read_bytes())
    if damage == "a byte of the dump":
        content[len(content) // 2] ^= 0xFF
    left = {"the end": len(content) // 2, "everything": 2}.get(damage, len(content))
    path.write_bytes(bytes(content[:left]))
    with pytest.raises(BackupUnusable, match="damaged"):
        BackupFile(path).verify()
    with pytest.raises(BackupUnusable, match="damaged"):
        restoring_into(elsewhere, tmp_path).restore(path, "local", quiet, replace=True)
    with elsewhere.connect() as connection:
        assert not connection.scalar(text("SELECT to_regnamespace('dct')"))


def test_a_backup_of_a_newer_release_is_refused(world: World, elsewhere: Database, tmp_path: Path):
    backup_of(world.database, tmp_path / "b")
    newer = altered(
        tmp_path / "b", lambda made: made.model_copy(update={"revision": "9999", "release": "7.0"})
    )
    with pytest.raises(BackupUnusable, match=r"release 7\.0 \(revision 9999\), which this one"):
        restoring_into(elsewhere, tmp_path).plan(newer, "local", replace=False)


def test_a_restore_that_is_not_what_the_backup_says_leaves_what_was_there(world: World, tmp_path: Path):
    backup_of(world.database, tmp_path / "b")
    fire(world, "feature/second")
    before = ids(world.database, tables.trigger_executions)

    def wrong(made: Manifest) -> Manifest:
        told = {**made.tables, "dct.events": TablePrint(rows=7, checksum="0")}
        return made.model_copy(update={"tables": told})

    there = restoring_into(world.database, tmp_path)
    with pytest.raises(BackupUnusable, match=r"dct\.events: 1 row instead of 7"):
        there.restore(altered(tmp_path / "b", wrong), "local", quiet, replace=True)
    assert ids(world.database, tables.trigger_executions) == before
    assert verify(world.database) == []
    with world.database.connect() as connection:
        assert not restoring.is_paused(connection)


def test_a_deployment_with_something_in_it_is_replaced_only_when_told_so(world: World, tmp_path: Path):
    backup_of(world.database, tmp_path / "b")
    before = ids(world.database, tables.trigger_executions)
    fire(world, "feature/second")
    there = restoring_into(world.database, tmp_path)
    with pytest.raises(NotEmpty, match=r"2 rows of dct\.trigger_executions"):
        there.restore(tmp_path / "b", "local", quiet, replace=False)
    assert there.plan(tmp_path / "b", "local", replace=True).replaces["dct.trigger_executions"] == 2
    there.restore(tmp_path / "b", "local", quiet, replace=True)
    assert ids(world.database, tables.trigger_executions) == before
    with world.database.connect() as connection:
        assert not connection.scalar(text("SELECT to_regnamespace('dct_replaced')"))
        audited = people.audited(connection, "deployment", "b")
    assert audited[0]["detail"]["replaced"]["dct.trigger_executions"] == 2


def test_a_backup_of_an_older_release_is_brought_to_this_one(
    elsewhere: Database, database: Database, tmp_path: Path
):
    with elsewhere.begin() as connection:
        connection.execute(text("CREATE SCHEMA dct"))
        command.upgrade(alembic_config(connection), "0005")
        people.ensure_local_admin(connection)
        people.save(connection, "ann", "developer", None)
    manifest = backup_of(elsewhere, tmp_path / "b")
    assert manifest.revision == "0005"
    done = restoring_into(database, tmp_path).restore(tmp_path / "b", "local", quiet, replace=False)
    assert done.plan.migrates_from == "0005"
    assert verify(database) == []
    with database.connect() as connection:
        assert people.find(connection, "ann") is not None
    assert head_revision() != "0005"


def test_a_restore_makes_the_months_that_the_backup_did_not_know(
    world: World, elsewhere: Database, tmp_path: Path
):
    names = {partitions.name_of(one, months_ahead(datetime.now(UTC))[-1]) for one in PAYLOADS}
    with world.database.begin() as connection:
        for name in names:
            connection.execute(text(f"DROP TABLE dct.{name}"))
    backup_of(world.database, tmp_path / "b")
    restoring_into(elsewhere, tmp_path / "there").restore(tmp_path / "b", "local", quiet, replace=False)
    with elsewhere.connect() as connection:
        there = {part.name for one in PAYLOADS for part in partitions.listed(connection, one)}
    assert names <= there
    assert verify(elsewhere) == []


def test_only_operators_back_up_and_restore(world: World, elsewhere: Database, tmp_path: Path):
    with world.database.begin() as connection:
        people.save(connection, "ann", "developer", None)
    backup_of(world.database, tmp_path / "b")
    with pytest.raises(NotPermitted, match="may not back up or restore"):
        restoring_into(world.database, tmp_path).plan(tmp_path / "b", "ann", replace=True)
    with pytest.raises(NotPermitted, match="local administrator"):
        restoring_into(elsewhere, tmp_path).plan(tmp_path / "b", "ann", replace=True)
    with pytest.raises(NotFound, match="no user 'bob'"):
        restoring_into(world.database, tmp_path).plan(tmp_path / "b", "bob", replace=True)


def test_a_backup_does_not_replace_a_file_and_leaves_no_half_one(world: World, tmp_path: Path):
    (tmp_path / "b").write_text("mine")
    with pytest.raises(InvalidInput, match="is there already"):
        backup_of(world.database, tmp_path / "b")
    with world.database.begin() as connection:
        connection.execute(text("ALTER TABLE dct.schema_version RENAME TO gone"))
    with pytest.raises(SchemaMismatch, match="nothing to back up"):
        backup_of(world.database, tmp_path / "c")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b"]


def test_a_password_is_handed_to_the_programs_where_nobody_sees_it():
    server = Server(16, {"host": "db", "user": "dct", "dbname": "dct"}, "se cret", is_embedded=False)
    argv = server.command("pg_dump", "--format=custom")
    assert "se cret" not in " ".join(argv) + repr(server)
    assert server.variables()["PGPASSWORD"] == "se cret"
    assert argv[-2:] == ["--dbname", "host=db user=dct dbname=dct"]
