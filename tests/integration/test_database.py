"""Connections, transactions, JSON, and the database's errors in our words."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from sqlalchemy import Column, MetaData, Table, column, insert, make_url, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError

from dct_pipelines.domain.errors import DatabaseUnavailable, InvalidSetting
from dct_pipelines.settings import Settings, load_settings
from dct_pipelines.store.database import Database
from dct_pipelines.store.texts import dump_json
from tests.support.postgres import administrator

pytestmark = pytest.mark.integration


class Fact(BaseModel):
    at: datetime
    by: UUID


def run(database: Database, *statements: str) -> None:
    with database.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_a_block_that_ends_well_is_committed_and_one_that_fails_is_not(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(text("CREATE TABLE public.t (n int PRIMARY KEY)"))
        connection.execute(text("INSERT INTO public.t VALUES (1)"))
    with pytest.raises(IntegrityError):
        run(database, "INSERT INTO public.t VALUES (2)", "INSERT INTO public.t VALUES (1)")
    with database.connect() as connection:
        assert connection.scalars(text("SELECT n FROM public.t")).all() == [1]


def test_json_carries_times_ids_and_models(database: Database) -> None:
    table = Table("j", MetaData(), Column("v", JSONB))
    value = {"fact": Fact(at=datetime(2026, 1, 2, tzinfo=UTC), by=UUID(int=7)), "path": Path("a/b")}
    with database.begin() as connection:
        table.create(connection)
        connection.execute(insert(table).values(v=value))
        assert connection.scalar(select(table.c.v)) == {
            "fact": {"at": "2026-01-02T00:00:00Z", "by": "00000000-0000-0000-0000-000000000007"},
            "path": "a/b",
        }


@given(st.text(alphabet=st.sampled_from("\0\\u0a\"'")))
def test_json_never_holds_a_nul_and_is_otherwise_unchanged(value: str) -> None:
    assert json.loads(dump_json([value])) == [value.replace("\0", "\ufffd")]


def test_times_come_back_aware_and_in_utc(database: Database) -> None:
    with database.connect() as connection:
        now = connection.scalar(text("SELECT clock_timestamp()"))
    assert now.utcoffset() == datetime.now(UTC).utcoffset()


def test_a_role_named_like_our_schema_is_no_trap(database: Database) -> None:
    with database.connect() as connection:
        assert connection.scalar(text("SELECT current_user")) == "dct"
        assert connection.scalar(text("SELECT current_schema()")) == "public"


def test_a_session_says_what_it_belongs_to_and_has_a_timeout(database_settings: Settings) -> None:
    opened = Database.open(database_settings, application="dct-listener")
    with opened.connect() as connection:
        assert re.fullmatch(r"dct-listener:\d+", connection.scalar(text("SHOW application_name")))
        assert connection.scalar(text("SHOW statement_timeout")) == "1min"
    opened.dispose()


def test_the_server_looks_whether_a_client_that_says_nothing_is_still_there(database: Database) -> None:
    """Through a socket of the machine, as here, the values themselves show as 0."""
    with database.connect() as connection:
        asked = text(
            "SELECT count(*) FROM pg_settings WHERE name LIKE 'tcp_keepalives%' AND source = 'session'"
        )
        assert connection.scalar(asked) == 3


def test_a_session_that_the_server_ended_is_a_transient_error_and_the_next_one_works(
    database: Database,
) -> None:
    with pytest.raises(DatabaseUnavailable), database.begin() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    with database.begin() as connection:
        assert connection.scalar(select(column("1", is_literal=True))) == 1


def test_idle_sessions_that_the_server_ended_are_replaced_unseen(
    database: Database, database_url: str
) -> None:
    with database.connect() as connection:
        name = connection.scalar(text("SELECT current_database()"))
    with administrator(database_url) as other:
        ended = other.scalars(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = :name AND pid <> pg_backend_pid()"
            ),
            {"name": name},
        ).all()
    assert ended == [True]
    with database.begin() as connection:
        assert connection.scalar(text("SELECT 1")) == 1


def test_a_statement_that_takes_too_long_is_a_transient_error(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable, match="did not finish a statement"):
        run(database, "SET LOCAL statement_timeout = 20", "SELECT pg_sleep(5)")


def test_a_broken_rule_of_one_statement_stays_what_it_is(database: Database) -> None:
    with pytest.raises(IntegrityError):
        run(database, "CREATE TABLE public.k (n int PRIMARY KEY)", "INSERT INTO public.k VALUES (1), (1)")


def test_a_pool_without_a_free_connection_says_which_setting_to_raise(database_settings: Settings) -> None:
    small = database_settings.model_copy(update={"database_pool_size": 1})
    opened = Database.open(small, pool_wait_seconds=0.05)
    with ExitStack() as busy:
        for _ in range(3):
            busy.enter_context(opened.connect())
        with pytest.raises(DatabaseUnavailable, match="DCT_DATABASE_POOL_SIZE"):
            busy.enter_context(opened.connect())
    opened.dispose()


def test_a_url_that_the_server_refuses_is_a_fault_of_the_setting(database_url: str, tmp_path: Path) -> None:
    url = str(make_url(database_url).set(database="nowhere"))
    opened = Database.open(load_settings({"DAGSTER_HOME": str(tmp_path), "DCT_DATABASE_URL": url}))
    with pytest.raises(InvalidSetting, match=r"refuses DCT_DATABASE_URL.*nowhere"), opened.connect():
        pass


def test_a_server_that_is_not_there_is_a_transient_error(tmp_path: Path) -> None:
    url = f"postgresql://dct@/dct?host={tmp_path}"
    opened = Database.open(load_settings({"DAGSTER_HOME": str(tmp_path), "DCT_DATABASE_URL": url}))
    with pytest.raises(DatabaseUnavailable, match="does not answer"), opened.connect():
        pass


def test_opening_does_nothing_until_the_first_use(tmp_path: Path) -> None:
    Database.open(load_settings({"DAGSTER_HOME": str(tmp_path)}))
    assert list(tmp_path.iterdir()) == []


def test_the_embedded_server_is_started_by_the_first_use_and_after_it_stopped(
    reachable_directory: Path,
) -> None:
    opened = Database.open(load_settings({"DAGSTER_HOME": str(reachable_directory)}))
    assert opened.embedded is not None
    try:
        for _ in range(2):
            with opened.begin() as connection:
                assert connection.scalar(text("SELECT 1")) == 1
            assert opened.embedded.stop()
    finally:
        opened.dispose()
        opened.embedded.stop()
