"""`dct backup` and `dct restore` as operators and scripts use them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dct_pipelines.settings import Settings
from dct_pipelines.store.database import Database
from tests.support.command_line import *  # noqa: F403
from tests.support.command_line import Dct
from tests.support.elsewhere import *  # noqa: F403
from tests.support.world import World

pytestmark = pytest.mark.integration


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    """A deployment in which one execution waits."""
    (tmp_path / "dagster.yaml").touch()
    made = World(database)
    made.trigger("to-qa")
    made.intake.ingest(made.connection_id, made.page(made.assessed("feature/x")))
    database.dispose()
    return made


def test_a_deployment_is_backed_up_restored_decided_on_and_let_go(
    world: World, dct: Dct, elsewhere_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "backups").mkdir()
    made = dct("backup", "backups", "--json").data
    assert (made["tables"]["dct.trigger_executions"]["rows"], Path(made["file"]).stat().st_mode & 0o77) == (
        1,
        0,
    )
    assert "is whole" in dct("backup", made["file"], "--verify").out

    monkeypatch.setenv("DCT_DATABASE_URL", elsewhere_url)
    assert "nothing was changed" in dct("restore", "--dry-run", made["file"]).out
    assert "1 execution was open and is held" in dct("restore", made["file"]).out
    refused = dct("restore", made["file"])
    assert (refused.code, "say --replace" in refused.err) == (2, True)

    status = dct("status", "--json").data
    assert status["restored"]["backup_id"] == made["id"]
    assert "restored from a backup" in status["problems"][0]
    listed = dct("restore", "list")
    assert "not read since the restore: here" in listed.out
    [held] = dct("restore", "list", "--json").data["uncertain"]
    assert held["trigger"] == "to-qa"
    assert (held["happened_at"], held["seen_at"][:4]) == (None, "2026")
    assert f"seen {held['seen_at'][:10]}" in listed.out
    assert "restored" in dct("execution", "list").out

    assert dct("restore", "skip").code == 2
    assert dct("restore", "finish").code == 1
    assert dct("restore", "skip", held["id"][:8], "--json").data == {"skipped": [held["id"]]}
    assert dct("restore", "finish").code == 1
    assert "work starts" in dct("restore", "finish", "--unread").out
    assert dct("restore", "release", "--all").out == "nothing is held as uncertain\n"
    assert "not paused by a restore" in dct("restore", "list").out


def test_a_restore_is_refused_while_somebody_else_uses_the_database(
    world: World, dct: Dct, database_settings: Settings
):
    dct("backup", "b")
    other = Database.open(database_settings, application="somebody")
    with other.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        refused = dct("restore", "b", "--replace")
    other.dispose()
    assert (refused.code, "somebody" in refused.err) == (2, True)


def test_what_does_not_come_along_and_what_stays_is_said(world: World, dct: Dct, database_settings: Settings):
    context = database_settings.home / "workspaces" / "w" / ".dct"
    context.mkdir(parents=True)
    (context / os.fsdecode(b"caf\xe9")).touch()
    told = dct("backup", "b").out
    assert "left out: home/workspaces/w/.dct/caf\\xe9 (its name is no UTF-8)" in told
    assert "left out" in dct("backup", "b", "--verify").out
    with world.database.begin() as connection:
        connection.exec_driver_sql("GRANT SELECT ON dct.events, dct.leases, dct.connections TO PUBLIC")
    world.database.dispose()
    told = dct("restore", "b", "--replace", "--dry-run").out
    assert "what PUBLIC may do in dct stays: 3 grants" in told
    assert dct("restore", "b", "--replace", "--json").data["lost"] == []


def test_what_is_no_backup_is_refused_in_words(world: World, dct: Dct, tmp_path: Path):
    (tmp_path / "list.txt").write_text("hello")
    refused = dct("restore", "list.txt")
    assert (refused.code, "damaged or no backup" in refused.err) == (1, True)
    assert "there is no backup" in dct("backup", "gone", "--verify").err
    assert dct("backup", "b", "--as", "nobody").code == 2


def test_messages_of_a_backup_are_put_beside_the_outbox_and_said_and_never_lost(
    world: World, dct: Dct, database_settings: Settings
):
    home = database_settings.home
    message = home / "outbox/k1.json"
    message.parent.mkdir(parents=True)
    message.write_text("{}")
    dct("backup", "b")
    message.unlink()  # whoever reads the outbox has handled it
    assert "1 message of the outbox came back into outbox.restored" in dct("restore", "b", "--replace").out
    assert (message.exists(), (home / "outbox.restored/k1.json").read_text()) == (False, "{}")
    dct("backup", "c")
    assert "home/outbox.restored/k1.json" in dct("backup", "c", "--verify", "--json").data["files"]
