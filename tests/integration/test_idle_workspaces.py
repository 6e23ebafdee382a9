"""Idle workspaces: told of first, archived later, and kept as soon as somebody works in them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, select, text, update

from dct_pipelines.engine.dispatch import Dispatcher
from dct_pipelines.engine.idle import ASKED_BY, IdleReport, IdleWorkspaces
from dct_pipelines.store import idle as store
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from tests.fakes.ports import NOON
from tests.fakes.workspaces import FakeWorkspaceFiles
from tests.support.history import History
from tests.support.stage import QUOTAS

pytestmark = pytest.mark.integration
LONG_AGO = NOON - timedelta(days=20)


@pytest.fixture
def history(database: Database) -> History:
    return History.of(database)


@pytest.fixture
def files() -> FakeWorkspaceFiles:
    return FakeWorkspaceFiles()


@pytest.fixture
def idle(history: History, files: FakeWorkspaceFiles) -> IdleWorkspaces:
    return IdleWorkspaces(history.database, history.world.clock, files, idle_days=14, notice_days=3)


def open_one(history: History, files: FakeWorkspaceFiles, title: str = "look", **values) -> UUID:
    """A workspace in which nothing was done for twenty days."""
    execution = history.execution(None, LONG_AGO, LONG_AGO)
    found = history.workspace(execution, **{"title": title, "updated_at": LONG_AGO} | values)
    files.touched[found] = LONG_AGO
    return found


def executions(history: History) -> list:
    row = tables.trigger_executions
    with history.database.connect() as connection:
        return list(connection.execute(select(row).where(row.c.created_by == ASKED_BY)))


def test_an_idle_workspace_is_told_of_and_archived_when_the_notice_is_over(history, files, idle):
    workspace = open_one(history, files)
    assert idle.look() == IdleReport(told=("look",))
    assert idle.look() == IdleReport()
    history.world.clock.advance(days=2)
    assert idle.look() == IdleReport()
    history.world.clock.advance(days=1)
    assert idle.look() == IdleReport(archiving=("look",))
    assert idle.look() == IdleReport(withdrawn=1)  # it is waited for now
    [execution] = executions(history)
    assert execution.actions[0]["config"] == {"workspace": str(workspace)}
    assert execution.lease_keys == [f"workspace:{workspace}"]
    kinds = history.ids(tables.activity, "kind")
    assert {"workspace_idle", "workspace_archiving"} <= kinds


def test_the_archiving_is_handed_over_like_any_other_execution(history, files, idle):
    open_one(history, files)
    idle.look()
    history.world.clock.advance(days=3)
    idle.look()
    dispatcher = Dispatcher(history.database, history.world.clock, QUOTAS, 300)
    [order] = dispatcher.dispatch(frozenset({"archive_workspace"}), 5).orders
    assert order.job_name == "archive_workspace"
    assert order.execution_id == executions(history)[0].id


def test_a_change_in_its_directory_or_its_row_withdraws_the_notice(history, files, idle):
    in_directory, in_row = open_one(history, files, "one"), open_one(history, files, "two")
    assert set(idle.look().told) == {"one", "two"}
    history.world.clock.advance(days=3)
    files.touched[in_directory] = NOON
    with history.database.begin() as connection:
        row = tables.workspaces
        connection.execute(update(row).where(row.c.id == in_row).values(updated_at=NOON))
    assert idle.look() == IdleReport(withdrawn=2)
    history.world.clock.advance(days=20)
    assert set(idle.look().told) == {"one", "two"}


def test_a_workspace_in_use_is_not_idle(history, files, idle):
    open_one(history, files, "to be kept", retain_until=NOON + timedelta(days=1))
    open_one(history, files, "archived", state="archived")
    files.touched.pop(open_one(history, files, "its directory is gone"))
    waits = history.execution(None, LONG_AGO, None)
    files.touched[history.workspace(waits, title="its execution waits", updated_at=LONG_AGO)] = LONG_AGO
    used = open_one(history, files, "another execution needs it")
    history.execution(None, LONG_AGO, None, lease_keys=[f"workspace:{used}"])
    entered = open_one(history, files, "another execution is in it")
    history.execution(None, LONG_AGO, None, workspace_id=entered)
    agent = open_one(history, files, "an agent works in it")
    history.put(tables.agents, profile="coder", workspace_id=agent, status="running", started_at=LONG_AGO)
    slot = history.execution(None, LONG_AGO, LONG_AGO)
    files.touched[history.workspace(slot, title="an agent has a slot", updated_at=LONG_AGO)] = LONG_AGO
    taken = {"kind": "agent", "holder": uuid4(), "agent_class": "high", "heartbeat_at": NOON}
    history.put(tables.slots, **taken, execution_id=slot)
    assert idle.look() == IdleReport()


def test_what_keeps_a_workspace_in_use_is_found_by_indexes_among_all_executions(history, files):
    open_one(history, files)
    said: list[tuple[str, Any]] = []
    with history.database.begin() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        event.listen(connection, "before_cursor_execute", lambda *told: said.append(told[2:4]))
        store.idle(connection, NOON, NOON)
        ((statement, parameters),) = said
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars())
    assert "on trigger_executions" in plan
    assert "Seq Scan on trigger_executions" not in plan


def test_a_dry_run_tells_nobody(history, files, idle):
    open_one(history, files)
    assert idle.look(dry_run=True) == IdleReport(told=("look",))
    assert history.ids(tables.workspaces, "notified_at") == {None}
    assert history.ids(tables.activity) == set()
