"""The queue when very much came at once and the planner believes that nobody waits: it reads no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text

from dct_pipelines.domain.admission import Hold
from dct_pipelines.domain.trigger import ResourceLimits
from dct_pipelines.domain.words import WaitReason
from dct_pipelines.store import dispatching, queueing, waiting
from dct_pipelines.store.database import Database
from tests.fakes.ports import NOON
from tests.support.postgres import administrator
from tests.support.world import World

pytestmark = pytest.mark.integration
COHORTS = 20
WAITING = 8_000
_FILL = text("""
INSERT INTO dct.trigger_executions (
    trigger_id, item_id, connection_id, subject, line_order, triggered_by, created_by, priority, job_name,
    status, completed_at, actions, resource_limits, created_at, waits_since, not_before, context_snapshot
)
SELECT :trigger, :item, :connection, 'subject ' || n % :cohorts || ' ' || n / (2 * :cohorts), n, 'event',
    'trigger', 1 + n % 10, 'job ' || n / 10 % (:cohorts / 10), :status,
    CASE WHEN :status = 'completed' THEN now() END, '[]',
    CAST(:limits AS jsonb), now(), now() + n * interval '1 ms', :not_before, jsonb_build_object('n', n)
FROM generate_series(1, :count) AS n
""")


@pytest.fixture
def world(database: Database) -> World:
    """In which nobody waited when the table was last analyzed, and nobody analyzes it again."""
    world = World(database)
    fill(world, 2_000, "completed")
    with administrator(database.engine.url.render_as_string(hide_password=False)) as connection:
        connection.execute(text("ALTER TABLE dct.trigger_executions SET (autovacuum_enabled = off)"))
        connection.execute(text("VACUUM (ANALYZE) dct.trigger_executions"))
    return world


def fill(world: World, count: int, status: str, not_before: datetime | None = None) -> None:
    """So many executions in one insert, two a line, of all cohorts."""
    values: dict[str, Any] = {
        "trigger": world.trigger(f"of-{uuid4()}"),
        "item": world.item_id,
        "connection": world.connection_id,
        "limits": ResourceLimits().model_dump_json(),
        "cohorts": COHORTS,
    }
    told = {"count": count, "status": status, "not_before": not_before}
    with world.database.begin() as connection:
        connection.execute(_FILL, values | told)


@contextmanager
def counted(database: Database) -> Iterator[tuple[Connection, Callable[[], int]]]:
    """A transaction, and how many rows of executions it has read so far."""
    read = text(
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables"
        " WHERE relname = 'trigger_executions'"
    )
    with database.begin() as connection:
        before = connection.scalar(read) or 0
        yield connection, lambda: (connection.scalar(read) or 0) - before


def test_the_first_of_each_cohort_is_found_by_one_look(world: World) -> None:
    fill(world, WAITING, "waiting")
    with counted(world.database) as (connection, rows_read):
        assert len(queueing.heads(connection)) == COHORTS
        assert rows_read() < 10 * COHORTS


def test_what_may_start_is_found_by_reading_what_starts(world: World) -> None:
    fill(world, WAITING, "waiting")
    with world.database.connect() as connection:
        heads = queueing.heads(connection)
    asks = [queueing.Ask(head.cohort, 0.0, *queueing.BEFORE_ALL, one_by_one=True) for head in heads]
    with counted(world.database) as (connection, rows_read):
        found = queueing.ready(connection, asks, (10, 50), ([1], [2]), whoever_is_behind=False)
        assert len(found) == 50
        assert rows_read() < 40 * len(asks) + 10 * len(found)


def test_what_is_handed_over_and_what_is_told_why_not_are_found_by_their_ids(world: World) -> None:
    fill(world, WAITING, "waiting")
    with world.database.connect() as connection:
        one, other = [head.id for head in queueing.heads(connection)][:2]
    with counted(world.database) as (connection, rows_read):
        assert len(dispatching.dispatch(connection, [one], NOON)) == 1
        dispatching.store_holds(connection, {other: Hold(WaitReason.RUN_SLOTS, "all are taken")})
        assert waiting.needs(connection, [other])[0].wait_detail == "all are taken"
        assert rows_read() < 50


def test_an_idle_look_reads_nothing_of_what_pauses(world: World) -> None:
    fill(world, WAITING, "waiting", NOON + timedelta(hours=1))
    with counted(world.database) as (connection, rows_read):
        pulse = queueing.pulse(connection, NOON)
        assert (pulse.ready, pulse.due) == (False, False)
        assert rows_read() < 10


def test_pauses_that_are_over_are_found_by_reading_a_few(world: World) -> None:
    fill(world, WAITING, "waiting", NOON)
    with counted(world.database) as (connection, rows_read):
        assert len(queueing.overdue(connection, NOON)) == queueing.MOST_OVERDUE
        assert rows_read() < 5 * queueing.MOST_OVERDUE
