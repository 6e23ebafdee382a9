"""The pooled storage: Dagster's own contract, one pool, first creation by many, and reconnecting."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._daemon.types import DaemonHeartbeat
from sqlalchemy import event, text

from dct_pipelines.instance.storage import PooledRunStorage, PooledStorage
from tests.support.postgres import administrator, terminate_all

pytestmark = pytest.mark.dagster

ROOT = Path(__file__).resolve().parents[2]


@dg.op
def one() -> int:
    return 1


@dg.job(executor_def=dg.in_process_executor)
def small() -> None:
    one()


@pytest.fixture
def environment(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A project directory with our dagster.yaml, on a database without Dagster's tables."""
    (tmp_path / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    ours = {"DAGSTER_HOME": str(tmp_path), "DCT_DATABASE_URL": database_url}
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    return os.environ | ours


@pytest.fixture
def instance(environment: dict[str, str]) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as opened:
        yield opened


def test_our_dagster_yaml_is_valid_and_names_this_storage(instance: dg.DagsterInstance) -> None:
    assert isinstance(instance.run_storage, PooledRunStorage)
    assert isinstance(instance.run_coordinator, QueuedRunCoordinator)
    assert instance.run_coordinator.dequeue_interval_seconds == 1
    assert instance.run_monitoring_enabled
    assert not instance.telemetry_enabled


def test_a_job_runs_and_its_run_and_events_are_read_back(instance: dg.DagsterInstance) -> None:
    result = small.execute_in_process(instance=instance)
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.is_success
    assert {
        record.event_log_entry.dagster_event_type
        for record in instance.get_records_for_run(result.run_id).records
    } >= {
        dg.DagsterEventType.RUN_START,
        dg.DagsterEventType.STEP_SUCCESS,
        dg.DagsterEventType.RUN_SUCCESS,
    }
    [stats] = instance.get_run_step_stats(result.run_id)
    assert stats.step_key == "one"
    instance.delete_run(result.run_id)
    assert instance.get_runs() == []


def test_cursors_and_heartbeats_are_kept(instance: dg.DagsterInstance) -> None:
    instance.run_storage.set_cursor_values({"place": "1"})
    instance.run_storage.set_cursor_values({"place": "2"})
    assert instance.run_storage.get_cursor_values({"place"}) == {"place": "2"}
    instance.add_daemon_heartbeat(DaemonHeartbeat(1.0, "SENSOR", "id", []))
    assert [*instance.get_daemon_heartbeats()] == ["SENSOR"]


def test_dagster_keeps_to_its_schema(instance: dg.DagsterInstance, database_url: str) -> None:
    with administrator(database_url) as connection:
        found = connection.execute(
            text("SELECT schemaname, count(*) FROM pg_tables WHERE tablename = 'runs' GROUP BY 1")
        )
        assert [tuple(row) for row in found] == [("dagster", 1)]


def test_the_three_storages_share_one_pool_also_in_the_web_server(instance: dg.DagsterInstance) -> None:
    parts = (instance.run_storage, instance.event_log_storage, instance.schedule_storage)
    before = {id(part._engine) for part in parts}  # type: ignore[union-attr]
    instance.optimize_for_webserver(statement_timeout=1500, pool_recycle=60, max_overflow=7)
    after = {id(part._engine) for part in parts}  # type: ignore[union-attr]
    assert len(before) == len(after) == 1
    assert before != after
    with instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
        assert connection.scalar(text("SHOW statement_timeout")) == "1500ms"
        assert connection.scalar(text("SHOW search_path")) == "dagster"


def test_sessions_that_the_server_ended_are_replaced_unseen(
    instance: dg.DagsterInstance, database_url: str
) -> None:
    assert instance.get_runs() == []
    assert terminate_all(database_url) >= 1
    assert instance.get_runs() == []
    assert instance.all_instigator_state() == []


def test_many_processes_may_create_the_tables_at_once(environment: dict[str, str], database_url: str) -> None:
    command = [sys.executable, "-c", "import dagster as dg; dg.DagsterInstance.get().get_runs()"]

    def start(_: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)

    with ThreadPoolExecutor(4) as pool:
        for done in pool.map(start, range(4)):
            assert done.returncode == 0, done.stderr
    with administrator(database_url) as connection:
        assert connection.scalar(text("SELECT count(*) FROM dagster.alembic_version")) == 1


def test_a_second_process_finds_everything_and_changes_nothing(
    instance: dg.DagsterInstance, database_url: str
) -> None:
    newest = text("SELECT max(oid::bigint) FROM pg_class")
    with administrator(database_url) as connection:
        before = connection.scalar(newest)
        second = PooledStorage()
        assert list(second.run_storage.get_runs()) == []
        assert connection.scalar(newest) == before
    second.run_storage.dispose()


def test_reading_runs_reflects_the_table_only_once(instance: dg.DagsterInstance) -> None:
    statements: list[str] = []
    instance.get_run_records()
    event.listen(
        instance.run_storage._engine,  # type: ignore[attr-defined]
        "before_cursor_execute",
        lambda *call: statements.append(call[2]),
    )
    instance.get_run_records()
    instance.get_run_records()
    assert len(statements) == 2
    assert not any("pg_catalog" in statement for statement in statements)


def test_dagsters_own_migration_works_on_the_pool(instance: dg.DagsterInstance) -> None:
    instance.upgrade()
    instance.reindex()
    assert instance.run_storage.alembic_version()[0] == instance.run_storage.alembic_version()[1]  # type: ignore[index]
