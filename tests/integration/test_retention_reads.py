"""What retention reads grows with what there is, not with what there is times the number of its batches."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from dct_pipelines.domain.retention import RetentionPolicy
from dct_pipelines.engine.pacing import Pace
from dct_pipelines.engine.retention import Retention
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from tests.fakes.ports import NOON
from tests.support.history import History
from tests.support.postgres import administrator
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
OLD = NOON - timedelta(days=200)
RECENT = NOON - timedelta(days=5)


@pytest.fixture
def history(database: Database) -> History:
    return History.of(database)


@pytest.fixture
def retention(history: History) -> Retention:
    """In batches of three rows or pages."""
    pace = Pace(pause=lambda _: None, fewest=3, most=3)
    return Retention(history.database, history.world.clock, RetentionPolicy(90, 90), pace)


def rows_read(database: Database, tables_like: str) -> int:
    """How many rows of tables, whose names are like that, were read by whom whose session is over."""
    database.dispose()
    with administrator(database.engine.url.render_as_string(hide_password=False)) as connection:
        others = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        assert eventually(lambda: connection.scalar(others) == 0)
        read = text(
            "SELECT sum(seq_tup_read + COALESCE(idx_tup_fetch, 0)) FROM pg_stat_user_tables"
            " WHERE relname LIKE :like"
        )
        return int(connection.scalar(read, {"like": tables_like}) or 0)


def fill(history: History, statement: str, count: int) -> None:
    """Run SQL about `:count` rows of the history's own trigger and item."""
    values = {"trigger": history.trigger_id, "item": history.world.item_id, "count": count}
    with history.database.begin() as connection:
        connection.execute(text(statement), values | {"old": OLD, "recent": RECENT})
        connection.commit()
    with administrator(history.database.engine.url.render_as_string(hide_password=False)) as connection:
        connection.execute(text("ANALYZE"))


def test_decisions_are_read_once_for_the_keys_of_all_firings(history: History, retention: Retention) -> None:
    fill(
        history,
        "INSERT INTO dct.trigger_firings (trigger_id, once_key, execution_id, created_at)"
        " SELECT :trigger, n, gen_random_uuid(), :old + n * interval '1 s' FROM generate_series(1, :count) n;"
        "INSERT INTO dct.decisions"
        " (event_id, trigger_id, trigger_version, outcome, because, once_key, release, decided_at)"
        " SELECT gen_random_uuid(), :trigger, 1, 'deduplicated', '', 4 * n, '', :recent"
        " FROM generate_series(1, 2 * :count) n",
        300,
    )
    before = rows_read(history.database, "decisions%")
    assert retention.keys().counts["trigger_firings"] == 225
    assert rows_read(history.database, "decisions%") - before <= 2 * 600
    left = history.ids(tables.trigger_firings, "once_key")
    assert left == {str(4 * place) for place in range(1, 76)}


def test_the_states_of_a_repository_are_read_once_for_all_its_checks(
    history: History, retention: Retention
) -> None:
    fill(
        history,
        "INSERT INTO dct.checks (repository_item_id, commit, name, state, reported_at, summary)"
        " SELECT :item, n, 'unit', 'success', :old, repeat('x', 900) FROM generate_series(1, :count) n;"
        "INSERT INTO dct.snapshots (item_id, subject, from_seq, state, observed_at)"
        " SELECT :item, n, n, jsonb_build_object('head', 4 * n), :old FROM generate_series(1, :count) n",
        300,
    )
    before = rows_read(history.database, "snapshots"), rows_read(history.database, "checks")
    assert retention.traces().counts["checks"] == 225
    assert rows_read(history.database, "snapshots") - before[0] <= 2 * 300
    assert rows_read(history.database, "checks") - before[1] <= 4 * 300


def test_a_batch_looks_at_its_rows_only_also_where_nearly_all_of_them_stay(
    history: History, retention: Retention
) -> None:
    """Of which one alone is to go, and lies at the end."""
    fill(
        history,
        "INSERT INTO dct.event_keys (connection_id, dedup_key, event_id, created_at)"
        " SELECT id, n, (CASE WHEN n = :count THEN gen_random_uuid() ELSE md5(n::text)::uuid END),"
        " :old + n * interval '1 s' FROM dct.connections, generate_series(1, :count) n;"
        "INSERT INTO dct.events"
        " (id, seq, connection_id, item_id, subject, kind, dedup_key, occurred_at, observed_at, release)"
        " SELECT md5(n::text)::uuid, n, :item, :item, '', '', '', :recent, :recent, ''"
        " FROM generate_series(1, :count) n",
        3000,
    )
    retention = replace(retention, pace=replace(retention.pace, fewest=100, most=100))
    before = rows_read(history.database, "events%"), rows_read(history.database, "event_keys")
    assert retention.keys().counts["event_keys"] == 1
    assert rows_read(history.database, "events%") - before[0] <= 3000
    assert rows_read(history.database, "event_keys") - before[1] <= 3 * 3000


def test_rows_of_one_moment_go_together_however_many_they_are(history: History, retention: Retention) -> None:
    fill(history, "INSERT INTO dct.activity (kind, at) SELECT 'x', :old FROM generate_series(1, :count)", 20)
    assert retention.traces().counts == {"activity": 20}
    with history.database.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.activity)) == 0


def test_what_is_gathered_for_one_step_is_gone_with_it(history: History, retention: Retention) -> None:
    retention.keys()
    retention.keys(dry_run=True)
    with history.database.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM pg_class WHERE relpersistence = 't'")) == 0
