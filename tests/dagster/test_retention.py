"""Old runs of executions go with all that is theirs; nothing else does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._daemon.controller import get_daemon_statuses
from dagster._daemon.types import DaemonHeartbeat
from sqlalchemy import text

from dct_pipelines.assets.alert_checks import CHECK, evaluations, key_of
from dct_pipelines.domain import run_tags
from dct_pipelines.domain.incidents import AlertRule
from dct_pipelines.instance.retention import RetentionDaemon, delete_results, delete_runs, watched_over
from dct_pipelines.instance.storage import PooledRunStorage
from tests.support.deployment import *  # noqa: F403
from tests.support.runs import a_run

pytestmark = pytest.mark.dagster
OURS = {run_tags.EXECUTION: "0c3c8d5e-0000-4000-8000-000000000001"}


@pytest.fixture
def storage(instance: dg.DagsterInstance) -> PooledRunStorage:
    found = instance.run_storage
    assert isinstance(found, PooledRunStorage)
    return found


def test_dagster_asks_after_our_daemon_as_after_its_own(instance: dg.DagsterInstance):
    name = RetentionDaemon.daemon_type()
    instance.add_daemon_heartbeat(DaemonHeartbeat(datetime.now(UTC).timestamp(), name, "id", []))
    assert get_daemon_statuses(instance, [name])[name].healthy is None
    undo = watched_over()
    try:
        assert get_daemon_statuses(instance, [name])[name].healthy is True
    finally:
        undo()
    assert get_daemon_statuses(instance, [name])[name].required is False


def ended(instance: dg.DagsterInstance, days_ago: float, tags: dict[str, str] | None = None) -> str:
    """A run with an event, that ended then."""
    run = a_run(instance, "SUCCESS", OURS if tags is None else tags)
    instance.report_engine_event("something happened", run)
    at = datetime.now(UTC) - timedelta(days=days_ago)
    assert isinstance(instance.run_storage, PooledRunStorage)
    with instance.run_storage.transaction() as connection:
        moved = text("UPDATE runs SET update_timestamp = :at WHERE run_id = :id")
        connection.execute(moved, {"at": at.replace(tzinfo=None), "id": run.run_id})
    return run.run_id


def left(storage: PooledRunStorage, table: str) -> set[str]:
    with storage.transaction() as connection:
        return set(connection.scalars(text(f"SELECT run_id FROM {table}")))


def test_what_is_old_goes_with_its_events_and_tags(instance: dg.DagsterInstance, storage: PooledRunStorage):
    old, young = ended(instance, 31), ended(instance, 29)
    assert delete_runs(storage, datetime.now(UTC) - timedelta(days=30), 10) == 1
    for table in ("runs", "run_tags", "event_logs"):
        assert left(storage, table) == {young}, old


def test_runs_that_are_at_work_or_of_nobody_of_ours_stay(
    instance: dg.DagsterInstance, storage: PooledRunStorage
):
    other = ended(instance, 400, tags={"somebody": "else"})
    at_work = a_run(instance, "STARTED", OURS).run_id
    with storage.transaction() as connection:
        connection.execute(text("UPDATE runs SET update_timestamp = '2020-01-01'"))
    assert delete_runs(storage, datetime.now(UTC), 10) == 0
    assert left(storage, "runs") == {other, at_work}


def test_many_go_in_batches(instance: dg.DagsterInstance, storage: PooledRunStorage):
    for _ in range(5):
        ended(instance, 40)
    limit = datetime.now(UTC) - timedelta(days=30)
    assert [delete_runs(storage, limit, 2) for _ in range(4)] == [2, 2, 1, 0]


def test_the_daemon_deletes_what_is_older_than_its_days(
    instance: dg.DagsterInstance, storage: PooledRunStorage
):
    ended(instance, 8)
    kept = ended(instance, 6)
    for _ in RetentionDaemon(storage, kept_days=7, metrics_days=90).run_iteration(None):  # type: ignore[arg-type]
        pass
    assert left(storage, "runs") == {kept}


def results(storage: PooledRunStorage) -> int:
    """How many results of alerts' checks there are, and as many events of them."""
    with storage.transaction() as connection:
        rows = connection.scalar(text("SELECT count(*) FROM asset_check_executions"))
        kind = "ASSET_CHECK_EVALUATION"
        events = text("SELECT count(*) FROM event_logs WHERE dagster_event_type = :kind")
        assert connection.scalar(events, {"kind": kind}) == rows
    return int(rows or 0)


def report_all(instance: dg.DagsterInstance) -> None:
    """What the sensor reports of all rules."""
    for evaluation in evaluations([], None):
        instance.report_runless_asset_event(evaluation)


def test_results_of_alerts_go_but_the_newest_of_each_check(
    instance: dg.DagsterInstance, storage: PooledRunStorage
):
    rules = len(AlertRule)
    for _ in range(3):
        report_all(instance)
    now = datetime.now(UTC)
    assert delete_results(storage, now - timedelta(days=1), 100) == 0
    later = now + timedelta(days=1)
    assert [delete_results(storage, later, rules) for _ in range(3)] == [rules, rules, 0]
    assert results(storage) == rules
    key = dg.AssetCheckKey(key_of(AlertRule.WAIT), CHECK)
    [record] = instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
    assert record.status.value == "SUCCEEDED"


def test_results_that_somebody_else_gave_without_a_run_stay(
    instance: dg.DagsterInstance, storage: PooledRunStorage
):
    for _ in range(2):
        other = dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey("theirs"), check_name=CHECK, passed=True, metadata={}
        )
        instance.report_runless_asset_event(other)
    assert delete_results(storage, datetime.now(UTC) + timedelta(days=1), 100) == 0
    assert results(storage) == 2


def test_the_daemon_lets_old_results_go(instance: dg.DagsterInstance, storage: PooledRunStorage):
    for _ in range(2):
        report_all(instance)
    with storage.transaction() as connection:
        connection.execute(
            text("UPDATE asset_check_executions SET evaluation_event_timestamp = '2020-01-01'")
        )
    daemon = RetentionDaemon(storage, kept_days=7, metrics_days=90)
    for _ in daemon.run_iteration(None):  # type: ignore[arg-type]
        pass
    assert results(storage) == len(AlertRule)
