"""A database of any release before, with something in every table, is brought here with nothing lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from dct_pipelines.domain.retention import RetentionPolicy
from dct_pipelines.domain.words import DecisionOutcome
from dct_pipelines.engine.explain import Explainer
from dct_pipelines.engine.pacing import Pace
from dct_pipelines.engine.retention import Retention
from dct_pipelines.store.database import Database
from dct_pipelines.store.embedded import EmbeddedPostgres
from dct_pipelines.store.schema import alembic_config, migrate, verify
from tests.architecture.tree import ROOT
from tests.fakes.ports import NOON, FakeClock
from tests.support.postgres import administrator
from tests.support.world import World

pytestmark = pytest.mark.integration
FIRST = "0001"
FIRED = UUID("40000000-0000-4000-8000-000000000002")
WAITING = UUID("40000000-0000-4000-8000-000000000003")
REVISIONS = [one.revision for one in ScriptDirectory.from_config(alembic_config(None)).walk_revisions()][::-1]
Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture
def first(postgres: EmbeddedPostgres) -> Iterator[Database]:
    """A database of the first release, with what is in `tests/data/first_release.sql`."""
    url, name = make_url(postgres.ensure()), f"first_{uuid4().hex}"
    with administrator(str(url)) as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    database = Database(create_engine(url.set(database=name), poolclass=NullPool), None)
    upgrade(database, FIRST)
    data = (ROOT / "tests/data/first_release.sql").read_text(encoding="utf-8")
    with database.begin() as connection:
        # In any order: tables refer to one another in a circle.
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.exec_driver_sql(data, execution_options={"no_parameters": True})
    yield database
    with administrator(str(url)) as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def upgrade(database: Database, revision: str) -> None:
    with database.begin() as connection:
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS dct"))
        command.upgrade(alembic_config(connection), revision)


def everything(database: Database) -> Rows:
    """Every row of every table of ours."""
    names = (
        "SELECT relname FROM pg_class WHERE relnamespace = 'dct'::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT relispartition AND relname <> 'schema_version'"
    )
    with database.connect() as connection:
        found = connection.scalars(text(names)).all()
        return {
            name: list(connection.scalars(text(f"SELECT to_jsonb(t) FROM dct.{name} AS t"))) for name in found
        }


def lost(before: Rows, after: Rows) -> list[str]:
    """What of the rows before is in no row after, column by column."""
    return [
        f"{name}: {row}"
        for name, rows in before.items()
        for row in rows
        if not any(row == {key: other.get(key) for key in row} for other in after.get(name, []))
    ]


def test_the_data_of_the_first_release_has_something_in_every_table(first: Database) -> None:
    assert [name for name, rows in everything(first).items() if not rows] == []


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_a_database_of_each_release_is_brought_here_with_nothing_lost(first: Database, revision: str) -> None:
    upgrade(first, revision)
    before = everything(first)
    migrate(first)
    assert verify(first) == []
    assert lost(before, everything(first)) == []


def test_decisions_of_the_first_release_are_explained(first: Database) -> None:
    migrate(first)
    world = World.of(first, UUID(int=1), UUID(int=2))
    explainer = Explainer(first, world.clock, world.decider)
    [fired] = explainer.event(FIRED).events[0].decisions
    assert (fired.outcome, fired.because) == (DecisionOutcome.FIRED, "feature/x is ready")
    [held] = explainer.event(WAITING).events[0].decisions
    assert held.execution is not None
    assert held.execution.status == "waiting"


def test_what_lay_in_the_one_partition_of_before_goes_when_it_is_old(first: Database) -> None:
    migrate(first)
    clock = FakeClock(NOON.replace(year=2027))
    retention = Retention(first, clock, RetentionPolicy(90, 730), Pace(pause=lambda _: None))
    retention.executions()
    assert retention.payloads().counts["events"] == 1
    with first.connect() as connection:
        kept = connection.scalars(text("SELECT id FROM dct.events ORDER BY seq")).all()
        before = connection.scalar(text("SELECT to_regclass('dct.events_before')"))
        # That of the execution that waits, and that of the one that an open workspace came from.
        assert kept == [FIRED, WAITING]
        assert before is None
