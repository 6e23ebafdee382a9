"""What others have made on our tables, and were granted, outlives a restore or is told of before it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from dct_pipelines.domain.errors import InvalidInput
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from tests.integration.test_backup import fire, ids
from tests.integration.test_restore_cut_off import killed_while_restoring
from tests.support.elsewhere import *  # noqa: F403
from tests.support.elsewhere import backup_of, quiet, restoring_into
from tests.support.world import World

pytestmark = pytest.mark.integration


@pytest.fixture
def world(database: Database) -> World:
    """A deployment with a trigger that has fired."""
    made = World(database)
    made.trigger("to-qa")
    fire(made, "feature/first")
    return made


@pytest.fixture
def analyst(database: Database) -> Iterator[str]:
    """A role that may look, whose name wants quotes."""
    name = f'"Analyst {uuid.uuid4().hex}"'
    run(database, f"CREATE ROLE {name}")
    yield name
    run(database, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def run(database: Database, *statements: str) -> None:
    with database.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


DEPENDANTS = {
    "CREATE VIEW analysts.busy AS SELECT count(*) AS n FROM dct.events": "view analysts.busy (of ",
    "CREATE MATERIALIZED VIEW analysts.seen AS SELECT id FROM dct.events": "materialized view analysts.seen",
    "CREATE VIEW analysts.rates AS SELECT * FROM metrics.business_metrics": "view analysts.rates",
    "CREATE TABLE analysts.notes (id uuid REFERENCES dct.connections)": (
        "table constraint notes_id_fkey on analysts.notes"
    ),
    "CREATE TABLE analysts.many (rows dct.connections[])": "table column analysts.many.rows",
    "CREATE PUBLICATION abroad FOR TABLE dct.connections": "publication relation dct.connections",
}


@pytest.mark.parametrize(("statement", "name"), DEPENDANTS.items(), ids=DEPENDANTS.values())
def test_what_others_made_on_our_tables_is_named_and_not_dropped(
    world: World, tmp_path: Path, statement: str, name: str
):
    backup_of(world.database, tmp_path / "b")
    run(world.database, "CREATE SCHEMA analysts", "CREATE TABLE analysts.theirs (n int)", statement)
    there = restoring_into(world.database, tmp_path)
    with pytest.raises(InvalidInput, match="nothing was changed") as told:
        there.plan(tmp_path / "b", "local", replace=True)
    [line] = [line for line in str(told.value).splitlines() if line.startswith("  ")]
    assert line.startswith(f"  {name}")
    with pytest.raises(InvalidInput, match="drop them"):
        there.restore(tmp_path / "b", "local", quiet, replace=True)
    run(world.database, "DROP SCHEMA analysts CASCADE", "DROP PUBLICATION IF EXISTS abroad")
    there.restore(tmp_path / "b", "local", quiet, replace=True)


def test_what_hangs_on_what_a_killed_restore_has_set_aside_is_named_too(world: World, tmp_path: Path):
    backup_of(world.database, tmp_path / "b")
    run(world.database, "CREATE VIEW public.first AS SELECT id FROM dct.events")
    run(world.database, "CREATE VIEW public.second AS SELECT id FROM public.first")
    killed_while_restoring(world.database)
    with pytest.raises(InvalidInput, match=r"view public\.first .*\n  view public\.second") as told:
        restoring_into(world.database, tmp_path).plan(tmp_path / "b", "local", replace=True)
    assert len(str(told.value).splitlines()) == 4


GRANTS = (
    "GRANT USAGE ON SCHEMA metrics, dct TO {}",
    "GRANT SELECT ON ALL TABLES IN SCHEMA metrics TO {}",
    "GRANT SELECT, UPDATE ON dct.events TO {} WITH GRANT OPTION",
    "GRANT SELECT (name) ON dct.connections TO {}",
    "GRANT SELECT ON dct.workspaces TO PUBLIC",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA dct GRANT SELECT ON TABLES TO {}",
    "CREATE TABLE dct.later (n int)",
    "CREATE TABLE dct.y2k PARTITION OF dct.events FOR VALUES FROM ('2000-01-01') TO ('2000-02-01')",
    "GRANT SELECT ON dct.y2k TO {}",
)


def granted(database: Database, analyst: str) -> list[object]:
    """What the analyst may do, as the server itself says it."""
    asked = text("""
        SELECT has_schema_privilege(:who, 'metrics', 'USAGE'), has_schema_privilege(:who, 'dct', 'USAGE'),
            (SELECT bool_and(has_table_privilege(:who, oid, 'SELECT')) FROM pg_class
             WHERE relnamespace = 'metrics'::regnamespace AND relkind IN ('r', 'p')),
            has_table_privilege(:who, 'dct.events', 'UPDATE WITH GRANT OPTION'),
            has_column_privilege(:who, 'dct.connections', 'name', 'SELECT'),
            has_column_privilege(:who, 'dct.connections', 'id', 'SELECT'),
            has_table_privilege(:who, 'dct.workspaces', 'SELECT'),
            has_table_privilege(:who, 'dct.leases', 'SELECT')
        """)
    with database.connect() as connection:
        return list(connection.execute(asked, {"who": analyst.strip('"')}).one())


@pytest.mark.parametrize("was_killed", [False, True])
def test_what_was_granted_is_granted_again(world: World, analyst: str, tmp_path: Path, was_killed: bool):
    backup_of(world.database, tmp_path / "b")
    run(world.database, *(statement.format(analyst) for statement in GRANTS))
    before = granted(world.database, analyst)
    assert before == [True, True, True, True, True, False, True, False]
    if was_killed:
        killed_while_restoring(world.database)
    there = restoring_into(world.database, tmp_path)
    planned = [str(one) for one in there.plan(tmp_path / "b", "local", replace=True).grants]
    assert f"SELECT, UPDATE on dct.events to {analyst}" in planned
    assert f"USAGE on schema metrics to {analyst}" in planned
    done = there.restore(tmp_path / "b", "local", quiet, replace=True)
    assert [str(one) for one in done.lost] == [f"SELECT on dct.later to {analyst}"]
    assert granted(world.database, analyst) == before
    run(world.database, "CREATE TABLE dct.made_after (n int)")
    with world.database.connect() as connection:
        asked = text("SELECT has_table_privilege(:who, 'dct.made_after', 'SELECT')")
        assert connection.scalar(asked, {"who": analyst.strip('"')})


def test_where_nobody_else_is_there_is_nothing_to_tell(world: World, tmp_path: Path):
    backup_of(world.database, tmp_path / "b")
    assert restoring_into(world.database, tmp_path).plan(tmp_path / "b", "local", replace=True).grants == ()
    assert len(ids(world.database, tables.events)) == 1
