"""The doctor finds what is wrong, says how to mend it, and finds nothing where nothing is."""

from __future__ import annotations

import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import insert, update

from dct_pipelines.bootstrap import build
from dct_pipelines.cli.doctor import patient_of
from dct_pipelines.clients.stack.lock import holder, only_one
from dct_pipelines.clients.stack.notes import CodeServerAddress, write_address
from dct_pipelines.domain.diagnosis import Level
from dct_pipelines.domain.restored import Restored
from dct_pipelines.engine.doctor import Examination
from dct_pipelines.settings import Settings, load_settings
from dct_pipelines.store import restoring, tables
from dct_pipelines.store.database import Database
from tests.support.command_line import *  # noqa: F403
from tests.support.command_line import Dct
from tests.support.doctor import *  # noqa: F403
from tests.support.doctor import Look, change, failures, told
from tests.support.stage import Stage
from tests.support.world import World

pytestmark = pytest.mark.integration


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def test_a_fresh_deployment_has_no_failure(look: Look):
    assert failures(look()) == []


def test_it_takes_less_than_three_seconds_and_says_how_many_are_well(dct: Dct, tmp_path: Path):
    (tmp_path / "dagster.yaml").touch()
    before = time.process_time()
    said = dct("doctor")
    assert (said.code, time.process_time() - before < 3) == (0, True)
    assert said.out.splitlines()[-1].endswith(" 0 failed")
    assert "the tables are those of this release" in said.out
    found = dct("doctor", "--quiet", "--json").data
    assert found["is_well"]
    assert {one["level"] for one in found["findings"]} <= {"warn"}


def test_settings_that_are_wrong_are_named(dct: Dct, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DCT_HOMES", "x")
    monkeypatch.setenv("MAX_CONCURRENT_AGENTS", "many")
    said = dct("doctor")
    assert said.code == 1
    assert "did you mean DCT_HOME?" in said.out
    assert "MAX_CONCURRENT_AGENTS" in said.out
    assert "nothing else was looked at" in said.out
    found = dct("doctor", "--json").data
    assert not found["is_well"]
    assert [one["level"] for one in found["findings"]] == ["fail", "fail", "warn"]


def test_a_database_that_is_away_is_said_and_the_rest_is_looked_at(dct: Dct, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DCT_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    said = dct("doctor")
    assert said.code == 1
    assert "fail  database: it does not answer" in said.out
    assert "machine: git version" in said.out
    assert "were not looked at" in said.out


def test_an_embedded_database_that_was_never_made_is_not_made(
    dct: Dct, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.delenv("DCT_DATABASE_URL")
    (tmp_path / "dagster.yaml").touch()
    said = dct("doctor")
    assert "will be made by the first command" in said.out
    assert said.out.endswith(" 0 to look at, 0 failed\n") or "isolation of commands: none" in said.out
    assert not (tmp_path / ".dct").exists()


def test_an_env_file_that_others_can_read_is_told(look: Look, database_settings: Settings):
    path = database_settings.project_root / ".env"
    path.write_text("X=1")
    path.chmod(0o644)
    assert told(look(), str(path)).mend == f"chmod 600 {path}"


def test_commands_that_are_not_isolated_are_one_warning(database_url: str, tmp_path: Path):
    (tmp_path / "dagster.yaml").touch()
    settings = load_settings(
        {"DAGSTER_HOME": str(tmp_path), "DCT_DATABASE_URL": database_url, "DCT_ISOLATION": "none"}
    )
    app = build(settings)
    findings = list(Examination(patient_of(app, online=False)).findings())
    app.database.dispose()
    [found] = [one for one in findings if "isolat" in one.says or "DCT_ISOLATION" in one.says]
    assert (found.level, "unset DCT_ISOLATION" in found.mend) == (Level.WARN, True)


def test_a_retired_setting_is_told(database_url: str, tmp_path: Path):
    (tmp_path / "dagster.yaml").touch()
    settings = load_settings(
        {"DAGSTER_HOME": str(tmp_path), "DCT_DATABASE_URL": database_url, "REDIS_URL": "redis://here"}
    )
    app = build(settings)
    told(list(Examination(patient_of(app, online=False)).findings()), "REDIS_URL is not used")
    app.database.dispose()


def test_a_directory_without_a_project_is_told(look: Look, database_settings: Settings):
    (database_settings.project_root / "dagster.yaml").unlink()
    assert told(look(), "there is no dagster.yaml").level is Level.FAIL


def test_a_home_that_is_no_directory_is_told(look: Look, database_settings: Settings):
    database_settings.home.touch()
    assert any("is not a directory" in one for one in failures(look()))


def test_a_home_that_others_can_change_is_told(look: Look, database_settings: Settings):
    database_settings.home.mkdir()
    database_settings.home.chmod(0o777)
    assert told(look(), "can be changed by others").level is Level.FAIL


def test_tables_of_another_release_are_told_and_nothing_in_them_is_asked(look: Look, database: Database):
    change(database, "UPDATE dct.schema_version SET version_num = '0001'")
    found = look()
    assert told(found, "at revision 0001").mend == "`dct db migrate`"
    told(found, "were not looked at")


def test_a_difference_of_the_tables_is_told(look: Look, database: Database):
    change(database, "DROP INDEX dct.ix_trigger_executions_status")
    assert told(look(), "ix_trigger_executions_status").level is Level.FAIL


def test_a_restored_deployment_is_told(look: Look, database: Database):
    now = datetime.now(UTC)
    with database.begin() as connection:
        restoring.begin(connection, Restored(backup_id=uuid4(), as_of=now, at=now))
    found = told(look(), "restored from a backup")
    assert ("dct restore list" in found.mend, "0 executions are held" in found.says) == (True, True)


def test_a_killed_stack_is_told(look: Look, database_settings: Settings):
    address = CodeServerAddress(socket=Path("gone.sock"), pid=2**22 - 1)
    write_address(database_settings.home, address)
    told(look(), "the last `dct up` was killed")


def test_a_stack_whose_pool_is_silent_is_told(look: Look, database_settings: Settings):
    lock = database_settings.home / "up.lock"
    with only_one(lock, "the engine"):
        assert holder(lock) == os.getpid()
        found = look()
    assert holder(lock) is None
    assert told(found, "the pool of workers does not answer").level is Level.FAIL
    told(found, "its code server does not run")


def test_daemons_that_fell_silent_are_told_and_so_is_there_being_none(look: Look, database: Database):
    told(look(), "no daemon of Dagster runs")
    change(database, "CREATE SCHEMA IF NOT EXISTS dagster")
    change(
        database,
        "CREATE TABLE IF NOT EXISTS dagster.daemon_heartbeats"
        " (daemon_type text, daemon_id text, timestamp timestamp)",
    )
    change(database, "INSERT INTO dagster.daemon_heartbeats VALUES ('SENSOR', 'x', '2026-01-01')")
    assert told(look(), "daemon sensor gave no sign of life").level is Level.FAIL


def test_connections_that_are_down_behind_or_never_read_are_told(look: Look, world: World):
    told(look(), "here was never read")
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    down = {"health": "down", "health_detail": "no route", "last_ok_at": hour_ago, "next_due_at": hour_ago}
    change(world.database, update(tables.connections).values(down))
    found = look()
    assert told(found, "here is down: no route").level is Level.FAIL
    assert told(found, "here was due 60 minutes ago").level is Level.FAIL
    change(world.database, update(tables.connections).values(is_enabled=False))
    assert told(look(), "here is paused").mend == "`dct connection resume here`"


def test_a_credential_that_is_not_there_is_told_without_being_shown(
    look: Look, world: World, monkeypatch: pytest.MonkeyPatch
):
    change(world.database, update(tables.connections).values(credential_ref="env:THE_TOKEN"))
    assert told(look(), "its credential cannot be read").level is Level.FAIL
    monkeypatch.setenv("THE_TOKEN", "hidden-secret")
    assert not any("credential" in one.says for one in look())


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_git_base_that_is_no_directory_is_told(look: Look, world: World, tmp_path: Path, scheme: str):
    base = tmp_path / "base"
    config = {"base": f"{scheme}{base}"}
    change(world.database, update(tables.connections).values(config=config))
    assert told(look(), f"its base {base} is not there").level is Level.FAIL
    base.touch()
    assert told(look(), f"its base {base} is no directory").level is Level.FAIL
    base.unlink()
    base.mkdir()
    assert not any("its base" in one.says for one in look())


def test_a_provider_that_refuses_is_told_when_it_is_asked(dct: Dct, tmp_path: Path):
    (tmp_path / "dagster.yaml").touch()
    (tmp_path / "repositories").mkdir()
    dct("connection", "add", "local", "--base", "repositories")
    assert "local says of" in dct("doctor", "--online").out
    shutil.rmtree(tmp_path / "repositories")
    assert dct("doctor", "--online").code == 1


def test_executions_that_stand_still_are_told(look: Look, database: Database):
    stage = Stage(database)
    try:
        never_started = stage.execution()
        silent, run = stage.claimed()
        stage.executor.release(run)
        stage.age_dispatch(never_started, 600)
        stage.age_heartbeat(silent, 600)
        found = look()
    finally:
        stage.stop()
    assert str(never_started)[:8] in told(found, "no run began").says
    assert str(silent)[:8] in told(found, "without a sign of life").says


def test_work_for_a_job_that_cannot_be_built_is_told(look: Look, database: Database):
    stage = Stage(database)
    stage.execution("no_such_action", dispatched=False)
    stage.stop()
    assert told(look(), "executions wait for job no_such_action").level is Level.FAIL


def test_triggers_that_cannot_work_are_told(look: Look, world: World):
    world.trigger("broken")
    triggers = tables.dynamic_context_triggers
    change(world.database, update(triggers).values(status="error", status_detail="its suite is gone"))
    assert "its suite is gone" in told(look(), "trigger broken cannot work").says


def test_open_incidents_are_counted(look: Look, database: Database):
    now = datetime.now(UTC)
    about = {"rule": "wait", "text": "long", "figures": {}, "first_seen_at": now, "last_seen_at": now}
    for subject in ("a", "b"):
        row = about | {"subject": subject, "state": "open"}
        change(database, insert(tables.incidents).values(row))
    assert "dct alert list" in told(look(), "2 incidents of wait are open").mend


def test_a_quota_of_nothing_is_told(look: Look, database: Database):
    change(database, insert(tables.quotas).values(name="executions", value=0, set_by="local"))
    assert "dct quota unset executions" in told(look(), "the quota of executions is 0").mend


def test_dead_letters_are_told(look: Look, world: World):
    letter = {"connection_id": world.connection_id, "key": "k", "raw": "{", "why": "it is cut off"}
    change(world.database, insert(tables.dead_letters).values(letter))
    assert told(look(), "1 dead letter,").mend == "`dct connection letters here`"
