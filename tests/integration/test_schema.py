"""Migrations, and the comparison of the database with the models."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic import command
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from dct_pipelines.domain.errors import SchemaMismatch
from dct_pipelines.store import revision
from dct_pipelines.store.database import Database
from dct_pipelines.store.embedded import EmbeddedPostgres
from dct_pipelines.store.schema import (
    NOTHING_THERE,
    alembic_config,
    current_revision,
    head_revision,
    migrate,
    optimize,
    verify,
)
from tests.support.postgres import administrator

pytestmark = pytest.mark.integration


@pytest.fixture
def empty(postgres: EmbeddedPostgres) -> Iterator[Database]:
    """A database that was never migrated."""
    url = make_url(postgres.ensure())
    with administrator(str(url)) as connection:
        connection.execute(text("CREATE DATABASE never_migrated"))
    database = Database(create_engine(url.set(database="never_migrated"), poolclass=NullPool), None)
    yield database
    with administrator(str(url)) as connection:
        connection.execute(text("DROP DATABASE never_migrated"))


def run(database: Database, *statements: str) -> None:
    with database.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_the_migrations_make_exactly_the_tables_of_the_models(database: Database) -> None:
    assert verify(database) == []


def test_migrating_says_what_it_applied_and_nothing_the_second_time(empty: Database) -> None:
    assert verify(empty) == [NOTHING_THERE]
    assert optimize(empty) == [NOTHING_THERE]
    assert migrate(empty)[-1] == head_revision()
    assert migrate(empty) == []
    assert verify(empty) == []


def test_a_database_of_the_first_release_is_brought_here_with_what_is_in_it(empty: Database) -> None:
    with empty.begin() as connection:
        connection.execute(text("CREATE SCHEMA dct"))
        command.upgrade(alembic_config(connection), "0001")
    run(empty, "INSERT INTO dct.connections (name, kind, created_by) VALUES ('here', 'git', 'local')")
    assert "the database is at revision 0001" in verify(empty)[0]
    applied = migrate(empty)
    assert (applied[0], applied[-1]) == ("0002", head_revision())
    assert verify(empty) == []
    with empty.begin() as connection:
        assert connection.scalar(text("SELECT name FROM dct.connections")) == "here"


def test_what_lives_or_waits_already_gets_its_slot_or_its_needs(empty: Database) -> None:
    with empty.begin() as connection:
        connection.execute(text("CREATE SCHEMA dct"))
        command.upgrade(alembic_config(connection), "0002")
    actions = [
        {"type": "create_workspace"},
        {"type": "deploy_environment", "config": {"environment": "qa"}},
        {"type": "deploy_environment", "config": {"environment": "qa", "workspace": "look"}},
    ]
    workspace = (
        "INSERT INTO dct.workspaces"
        " (title, repository_item_id, branch, start_commit, directory, execution_id, state)"
        " SELECT '', id, '', '', '', gen_random_uuid(), '{state}' FROM dct.context_library"
    )
    run(
        empty,
        "INSERT INTO dct.context_library (name, kind, location, created_by)"
        " VALUES ('shop', 'git_repository', '/srv', 'local')",
        workspace.format(state="open"),
        workspace.format(state="archived"),
    )
    with empty.begin() as connection:
        waiting = text(
            "INSERT INTO dct.trigger_executions (triggered_by, created_by, job_name, actions)"
            " VALUES ('event', 'trigger', 'job', CAST(:actions AS jsonb))"
        )
        connection.execute(waiting, {"actions": json.dumps(actions)})
    migrate(empty)
    with empty.begin() as connection:
        columns = "agents, workspaces, lease_keys, waits_since = created_at"
        needs = text(f"SELECT {columns} FROM dct.trigger_executions")
        assert tuple(connection.execute(needs).one()) == (0, 2, ["environment:qa"], True)
        held = text("SELECT state FROM dct.slots JOIN dct.workspaces ON id = holder")
        assert connection.scalars(held).all() == ["open"]


def test_six_may_migrate_at_once(empty: Database) -> None:
    together = threading.Barrier(6)

    def one(_: int) -> list[str]:
        together.wait()
        return migrate(empty)

    with ThreadPoolExecutor(6) as pool:
        applied = list(pool.map(one, range(6)))
    assert sorted(map(bool, applied)) == [False] * 5 + [True]
    assert verify(empty) == []


def test_a_migration_that_fails_leaves_nothing_behind(empty: Database) -> None:
    run(empty, "CREATE SCHEMA dct", "CREATE TABLE dct.users (id int)")
    with pytest.raises(Exception, match='relation "users" already exists'):
        migrate(empty)
    with empty.connect() as connection:
        assert connection.scalars(
            text("SELECT relname FROM pg_class WHERE relnamespace = 'dct'::regnamespace AND relkind = 'r'")
        ).all() == ["users"]


def test_a_database_of_a_newer_release_is_refused_and_says_so(database: Database) -> None:
    run(database, "UPDATE dct.schema_version SET version_num = '9999'")
    with pytest.raises(SchemaMismatch, match="revision 9999, which this release does not know"):
        migrate(database)
    assert verify(database) == [
        f"the database is at revision 9999, this release at {head_revision()}: run `dct db migrate`"
    ]


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("DROP TABLE dct.intake_order", "table dct.intake_order is missing"),
        ("CREATE TABLE dct.stray (n int)", "table dct.stray is not one of this release"),
        ("ALTER TABLE dct.connections DROP COLUMN config", "column dct.connections.config is missing: jsonb"),
        (
            "ALTER TABLE dct.events ADD extra int",
            "column dct.events.extra is not one of this release: integer",
        ),
        (
            "ALTER TABLE dct.connections ALTER name TYPE varchar(9)",
            "column dct.connections.name is character varying(9) NOT NULL, and should be text NOT NULL",
        ),
        ("ALTER TABLE dct.connections ALTER kind DROP NOT NULL", "is text, and should be text NOT NULL"),
        (
            "ALTER TABLE dct.connections ALTER is_enabled SET DEFAULT false",
            "should be boolean NOT NULL DEFAULT true",
        ),
        (
            "ALTER TABLE dct.connections DROP CONSTRAINT ck_connections_health_known",
            "check constraint ck_connections_health_known of dct.connections is missing: CHECK (",
        ),
        (
            "ALTER TABLE dct.connections ADD CONSTRAINT ck_extra CHECK (name <> '')",
            "check constraint ck_extra of dct.connections is not one of this release",
        ),
        (
            "ALTER TABLE dct.intake_order DROP CONSTRAINT ck_intake_order_single_row,"
            " ADD CONSTRAINT ck_intake_order_single_row CHECK (id = 2)",
            "of dct.intake_order is CHECK ((id = 2)), and should be CHECK ((id = 1))",
        ),
        (
            "ALTER TABLE dct.connections DROP CONSTRAINT uq_connections_name",
            "unique constraint uq_connections_name of dct.connections is missing",
        ),
        (
            "DROP INDEX dct.ix_trigger_executions_status",
            "index ix_trigger_executions_status of dct.trigger_ex",
        ),
        (
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'dct.ix_activity_at'::regclass",
            "index ix_activity_at of dct.activity is invalid",
        ),
        ("CREATE INDEX mine ON dct.events (id)", "index mine of dct.events is not one of this"),
    ],
)
def test_each_difference_is_named(database: Database, statement: str, sentence: str) -> None:
    run(database, statement)
    assert sentence in "\n".join(verify(database))


def test_optimizing_repairs_indexes_says_so_and_then_has_nothing_to_do(database: Database) -> None:
    run(
        database,
        "DROP INDEX dct.ix_trigger_executions_status",
        "DROP INDEX dct.ix_trigger_executions_queue",
        "DROP INDEX dct.ix_activity_at",
        "CREATE INDEX ix_activity_at ON dct.activity (kind)",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'dct.ix_audit_log_at'::regclass",
        "CREATE INDEX left_over ON dct.events (id)",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'dct.left_over'::regclass",
    )
    done = optimize(database)
    assert done[:-1] == [
        "replaced the changed index ix_activity_at of dct.activity",
        "rebuilt the invalid index ix_audit_log_at of dct.audit_log",
        "dropped the invalid left-over index left_over of dct.events",
        "built the missing index ix_trigger_executions_queue of dct.trigger_executions",
        "built the missing index ix_trigger_executions_status of dct.trigger_executions",
    ]
    assert done[-1].startswith("refreshed the statistics of ")
    assert verify(database) == []
    assert len(optimize(database)) == 1


def test_comparing_leaves_no_scratch_schema_behind(database: Database) -> None:
    verify(database)
    with database.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'dct_%'")) == 0


def test_the_revision_is_told_without_alembic_as_alembic_tells_it(database: Database):
    assert revision.newest() == head_revision()
    with database.connect() as connection:
        assert revision.found(connection) == current_revision(connection) == head_revision()


def test_a_database_without_our_tables_has_no_revision(postgres: EmbeddedPostgres):
    engine = create_engine(make_url(postgres.ensure()).set(database="postgres"), poolclass=NullPool)
    with engine.connect() as connection:
        assert revision.found(connection) is None
