"""The doctor finds workspaces without code, maintenance that is not done, and what comes to its end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from dct_pipelines.clients.stack.lock import only_one
from dct_pipelines.domain.diagnosis import Diagnosis, Level
from dct_pipelines.domain.retention import months_ahead
from dct_pipelines.engine.doctor.upkeep import look_into_defaults
from dct_pipelines.engine.doctor.work import SHOWN
from dct_pipelines.engine.maintenance import STEPS
from dct_pipelines.settings import Settings
from dct_pipelines.store import partitions, tables, upkeep
from dct_pipelines.store.database import Database
from dct_pipelines.store.partitions import PAYLOADS
from tests.support.command_line import *  # noqa: F403
from tests.support.command_line import Dct
from tests.support.doctor import *  # noqa: F403
from tests.support.doctor import Look, change, failures, told
from tests.support.history import History
from tests.support.world import World

pytestmark = pytest.mark.integration


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def workspace(world: World) -> UUID:
    """An open workspace that nothing is on disk of."""
    made = uuid4()
    row = {
        "id": made,
        "title": "test pay",
        "repository_item_id": world.item_id,
        "branch": "b",
        "start_commit": "a" * 40,
        "directory": "/the/original/home",
        "state": "open",
        "execution_id": uuid4(),
    }
    change(world.database, insert(tables.workspaces).values(row))
    return made


def test_a_workspace_whose_directory_or_code_is_gone_is_told(
    look: Look, world: World, database_settings: Settings
):
    made = workspace(world)
    gone = told(look(), "workspace 'test pay'")
    assert (gone.level, "is gone" in gone.says) == (Level.FAIL, True)
    assert f"`dct restore workspace {str(made)[:8]}`" in gone.mend
    directory = database_settings.home / "workspaces" / str(made)
    (directory / ".dct").mkdir(parents=True)
    assert "holds no code" in told(look(), "workspace 'test pay'").says
    (directory / ".git" / "objects").mkdir(parents=True)
    (directory / ".git" / "HEAD").write_text("ref: refs/heads/b\n")
    assert failures(look()) == []


def test_many_workspaces_without_code_are_counted(look: Look, world: World):
    for _ in range(SHOWN + 1):
        workspace(world)
    assert "1 more workspace has no code here" in failures(look())


@contextmanager
def dct_up_since(settings: Settings, ago: timedelta) -> Iterator[None]:
    """As if `dct up` had been started then."""
    lock = settings.home / "up.lock"
    then = (datetime.now(UTC) - ago).timestamp()
    with only_one(lock, "the engine"):
        os.utime(lock, (then, then))
        yield


def maintained(database: Database, ago: timedelta, *but: str) -> None:
    """Each step of maintenance but these was done then."""
    for step in STEPS:
        if step not in but:
            with database.begin() as connection:
                upkeep.note(connection, step, {}, 0.1)
    change(
        database,
        "UPDATE dct.audit_log SET at = :at WHERE object_kind = 'maintenance'",
        at=datetime.now(UTC) - ago,
    )


def upkept(found: list[Diagnosis]) -> list[Diagnosis]:
    return [one for one in found if one.theme == "maintenance"]


def test_maintenance_that_is_not_done_while_dct_up_runs_is_told(
    look: Look, database: Database, world: World, database_settings: Settings
):
    with dct_up_since(database_settings, timedelta(days=2)):
        assert upkept(look()) == []  # a young deployment: it had no turn yet
        change(database, "UPDATE dct.connections SET created_at = now() - interval '4 days'")
        assert "maintenance was never done" in told(upkept(look()), "although `dct up` runs").says
        maintained(database, timedelta(days=4))
        assert "was done last at" in told(upkept(look()), "although `dct up` runs").says
        maintained(database, timedelta(hours=5))
        assert upkept(look()) == []
    with dct_up_since(database_settings, timedelta(hours=2)):
        maintained(database, timedelta(days=4))
        assert upkept(look()) == []  # it has been started just now
    assert upkept(look()) == []  # nobody promised it


def test_a_step_of_maintenance_that_does_not_succeed_is_named(
    look: Look, database: Database, world: World, database_settings: Settings
):
    change(database, "UPDATE dct.connections SET created_at = now() - interval '40 days'")
    maintained(database, timedelta(hours=5), "keys")
    with dct_up_since(database_settings, timedelta(days=9)):
        found = told(upkept(look()), "1 step of maintenance did not succeed for 3 days: keys")
    assert "`dct maintenance run --step keys`" in found.mend


def test_maintenance_that_was_done_is_known_to_have_been(dct: Dct, database: Database, tmp_path: Path):
    (tmp_path / "dagster.yaml").touch()
    dct("maintenance", "run", "--dry-run")
    assert "maintenance was never done" in dct("doctor").out
    dct("maintenance", "run", "--step", "traces")
    with database.connect() as connection:
        assert set(upkeep.last_done(connection)) == {"traces"}
    assert f"maintenance was done last at {datetime.now(UTC):%Y-%m-%d}" in dct("doctor").out


def test_months_that_are_not_made_are_told(look: Look, database: Database):
    _, coming, _, far = months_ahead(datetime.now(UTC))
    events = PAYLOADS[0]
    change(database, f"DROP TABLE dct.{partitions.name_of(events, far)}")
    assert upkept(look()) == []
    change(database, f"DROP TABLE dct.{partitions.name_of(events, coming)}")
    found = told(look(), f"the partition is not made of {partitions.name_of(events, coming)}")
    assert found.mend == "`dct maintenance run --step months`"


def test_many_rows_in_a_default_partition_are_told(database: Database):
    history = History.of(database)
    for _ in range(3):
        history.event(datetime(2001, 1, 1, tzinfo=UTC))
    change(database, "ANALYZE dct.events_default")
    with database.connect() as connection:
        [found] = look_into_defaults(connection, 2)
        assert list(look_into_defaults(connection, 3)) == []
    assert "about 3 rows of events are in the default partition" in found.says


def test_tokens_that_expire_are_told(look: Look, database: Database):
    history = History.of(database)
    user = uuid4()
    history.put(tables.users, id=user, name="ann", role="admin")
    for name, days in (("ci", 3), ("later", 30)):
        expires_at = datetime.now(UTC) + timedelta(days=days)
        history.put(tables.api_tokens, user_id=user, name=name, token_sha256=name, expires_at=expires_at)
    [found] = upkept(look())
    assert (found.says.split(" on ")[0], found.mend) == (
        "token 'ci' of ann expires",
        "make a new one, or revoke it",
    )
