"""Runs of metrics: whose they are, what they count against, and that they begin when no slot is free."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.selector import JobSubsetSelector
from dagster._core.run_coordinator import SubmitRunContext
from sqlalchemy import text

from dct_pipelines.assets.scheduling import RANGE
from dct_pipelines.domain import run_tags
from dct_pipelines.domain.quotas import Quota
from dct_pipelines.instance import census, levers
from dct_pipelines.instance.coordinator import QuotaRunCoordinator, is_of_metrics
from dct_pipelines.instance.launcher import launch_of
from dct_pipelines.instance.retention import delete_runs
from dct_pipelines.instance.running import plans_of
from dct_pipelines.store import quotas
from tests.support.deployment import *  # noqa: F403
from tests.support.deployment import loaded
from tests.support.queue import *  # noqa: F403
from tests.support.queue import LIMIT, Ground
from tests.support.runs import a_run
from tests.support.warm import Workshop

pytestmark = pytest.mark.dagster
OURS = dg.AssetKey(["metrics", "hour", "execution_metrics"])
OTHER = dg.AssetKey(["somebody", "elses"])
TAGS = {run_tags.METRICS: "true"}


def submit(ground: Ground, tags: dict[str, str]) -> dg.DagsterRun:
    """A run that somebody asks for."""
    workspace = ground.context.create_request_context()
    location = workspace.get_code_location("dct_pipelines")
    remote = next(iter(location.get_repositories().values())).get_full_job("run_tests")
    made = ground.instance.create_run_for_job(
        loaded().get_job_def("run_tests"),
        tags=tags,
        remote_job_origin=remote.get_remote_origin(),
        job_code_origin=remote.get_python_origin(),
    )
    return ground.instance.submit_run(made.run_id, workspace)


@pytest.mark.parametrize(
    ("assets", "checks", "is_ours"),
    [
        ({OURS}, set(), True),
        (set(), {dg.AssetCheckKey(OURS, "no_gap")}, True),
        ({OURS, OTHER}, set(), False),
        ({OURS}, {dg.AssetCheckKey(OTHER, "no_gap")}, False),
        (set(), set(), False),
    ],
)
def test_a_run_is_of_metrics_when_all_that_it_makes_or_checks_is(
    assets: set[dg.AssetKey], checks: set[dg.AssetCheckKey], is_ours: bool
):
    run = dg.DagsterRun(
        "job",
        "0c3c8d5e-0000-4000-8000-000000000001",
        asset_selection=frozenset(assets) or None,
        asset_check_selection=frozenset(checks) or None,
    )
    assert is_of_metrics(run) is is_ours


def test_a_run_that_somebody_asks_for_in_the_ui_is_marked(instance: dg.DagsterInstance):
    run = a_run(instance, "NOT_STARTED", assets=frozenset({OURS}))
    coordinator = instance.run_coordinator
    assert isinstance(coordinator, QuotaRunCoordinator)
    submitted = coordinator.submit_run(SubmitRunContext(run, workspace=None))  # type: ignore[arg-type]
    assert submitted.tags[run_tags.METRICS] == "true"
    assert submitted.status is dg.DagsterRunStatus.QUEUED


def test_a_run_for_one_table_is_planned_with_its_checks_and_without_other_tables(ground: Ground):
    location = ground.context.create_request_context().get_code_location("dct_pipelines")
    (repository,) = location.get_repositories()
    some = JobSubsetSelector("dct_pipelines", repository, "metrics_hourly", None, [OURS])
    job = location.get_job(some)
    assert job.job_snapshot.node_names == ["metrics__hour__execution_metrics"]
    assert job.tags[run_tags.METRICS] == "true"
    plan = location.get_execution_plan(job, {}, None, None)
    (step,) = plan.execution_plan_snapshot.steps
    assert {one.name for one in step.outputs} >= {"result", "metrics__hour__execution_metrics_no_gap"}


def test_a_run_of_metrics_has_a_worker_of_its_own(instance: dg.DagsterInstance):
    assert launch_of(a_run(instance, "STARTING", TAGS)).alone is True
    assert launch_of(a_run(instance, "STARTING")).alone is False


def test_runs_of_metrics_hold_no_slot(instance: dg.DagsterInstance, ground: Ground):
    a_run(instance, "STARTED", TAGS)
    a_run(instance, "STARTED")
    a_run(instance, "QUEUED", TAGS)
    a_run(instance, "QUEUED")
    assert census.count(ground.storage) == census.Census(active=1, queued=2, metrics=1, queued_metrics=1)
    coordinator = instance.run_coordinator
    assert isinstance(coordinator, QuotaRunCoordinator)
    assert coordinator.get_run_queue_config().max_concurrent_runs == LIMIT + 1


def test_metrics_are_computed_while_no_execution_may_run_one_run_at_a_time(ground: Ground):
    with ground.app.database.begin() as connection:
        quotas.put(connection, Quota.EXECUTIONS, 0, "local")
    first, second = submit(ground, TAGS), submit(ground, TAGS)
    other = submit(ground, {})
    ground.turn()
    assert ground.status_of(first) is dg.DagsterRunStatus.STARTING
    assert ground.status_of(second) is ground.status_of(other) is dg.DagsterRunStatus.QUEUED
    ground.succeed(first)
    ground.turn()
    assert ground.status_of(second) is dg.DagsterRunStatus.STARTING
    assert ground.status_of(other) is dg.DagsterRunStatus.QUEUED


def test_a_run_of_metrics_takes_no_slot_from_executions(ground: Ground):
    submit(ground, TAGS)
    ground.wait(LIMIT + 1)
    ground.turn()
    counted = census.count(ground.storage)
    assert (counted.active, counted.metrics) == (LIMIT, 1)


@pytest.fixture
def workshop(project: Path):
    opened = Workshop(project, "tests.support.warm_assets")
    yield opened
    opened.close()


def events(workshop: Workshop) -> list[tuple[str, str | None, object]]:
    """Of a backfill of three days: each event's kind, its partition and its metadata."""
    days = dict(zip(RANGE, ("2026-03-01", "2026-03-03"), strict=True))
    run = workshop.do(workshop.make("days", days))
    assert run.status is dg.DagsterRunStatus.SUCCESS
    found: list[tuple[str, str | None, object]] = []
    for entry in workshop.instance.all_logs(run.run_id):
        event = entry.dagster_event
        if event is not None and event.is_step_materialization:
            made = event.step_materialization_data.materialization
            found.append((event.event_type_value, made.partition, made.metadata["day"].value))
        elif event is not None:
            found.append((event.event_type_value, None, None))
    return found


def test_a_backfill_says_the_same_with_all_levers(workshop: Workshop):
    expected = events(workshop)
    assert [day for _, day, _ in expected if day] == ["2026-03-01", "2026-03-02", "2026-03-03"]
    undo = levers.pull_all()
    try:
        assert events(workshop) == expected
    finally:
        undo()
    key = dg.AssetKey("of_a_day")
    assert workshop.instance.get_materialized_partitions(key) == {"2026-03-01", "2026-03-02", "2026-03-03"}
    newest = workshop.instance.get_latest_materialization_event(key)
    assert newest is not None
    assert newest.asset_materialization is not None
    assert newest.asset_materialization.partition == "2026-03-03"


def test_a_launch_of_many_partitions_is_one_event_for_each_asset_and_check(workshop: Workshop):
    job = workshop.repository.get_definition().get_job("days")
    days = dict(zip(RANGE, ("2026-01-01", "2026-10-31"), strict=True))
    run = workshop.instance.create_run_for_job(job, tags=days, asset_selection={dg.AssetKey("of_a_day")})
    planned = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    assert len(workshop.instance.all_logs(run.run_id, of_type=planned)) == 1
    with workshop.instance.run_storage.transaction() as connection:  # type: ignore[attr-defined]
        rows = connection.execute(text("SELECT execution_status, partition FROM asset_check_executions"))
        assert [tuple(row) for row in rows] == [("PLANNED", None)]


def test_no_plan_is_kept_of_jobs_of_assets(workshop: Workshop):
    assert plans_of(workshop.repository) == {}


def test_old_runs_of_metrics_go_with_their_checks_and_assets_stay_known(workshop: Workshop):
    events(workshop)
    storage = workshop.instance.run_storage
    later = datetime.now(UTC) + timedelta(days=1)
    assert delete_runs(storage, later, 10, run_tags.METRICS) == 0  # type: ignore[arg-type]
    (run,) = workshop.instance.get_runs()
    workshop.instance.add_run_tags(run.run_id, TAGS)
    assert delete_runs(storage, later, 10, run_tags.METRICS) == 1  # type: ignore[arg-type]
    with storage.transaction() as connection:  # type: ignore[attr-defined]
        for table in ("runs", "run_tags", "event_logs", "asset_event_tags", "asset_check_executions"):
            assert connection.scalar(text(f"SELECT count(*) FROM {table}")) == 0, table
    assert workshop.instance.get_latest_materialization_event(dg.AssetKey("of_a_day")) is not None
