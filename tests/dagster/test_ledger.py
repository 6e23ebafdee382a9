"""What a worker writes of its run: what the stock way writes but noise, in few statements, durably."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import DagsterEventType
from dagster._serdes import deserialize_value
from sqlalchemy import create_engine, text

from dct_pipelines.instance.launcher import launch_of
from dct_pipelines.instance.ledger import NOISE, RunLedger
from dct_pipelines.instance.storage import PooledEventLogStorage, PooledRunStorage
from tests.support.deployment import *  # noqa: F403
from tests.support.postgres import terminate_all
from tests.support.statements import statements_to
from tests.support.warm import Workshop, kinds

pytestmark = pytest.mark.dagster
MODULE = "tests.support.warm_jobs"
NOISE_KINDS = {kind.value for kind in NOISE} | {DagsterEventType.ENGINE_EVENT.value}


@pytest.fixture
def workshop(project: Path) -> Iterator[Workshop]:
    opened = Workshop(project, MODULE)
    yield opened
    opened.close()


def stock(workshop: Workshop, job_name: str) -> dg.DagsterRun:
    """The same job by Dagster's own way."""
    job = workshop.repository.get_reconstructable_job(job_name)
    return dg.execute_job(job, workshop.instance, raise_on_error=False).dagster_run


def storage(workshop: Workshop) -> PooledRunStorage:
    found = workshop.instance.run_storage
    assert isinstance(found, PooledRunStorage)
    return found


@pytest.mark.parametrize("job_name", ["three", "breaks"])
def test_a_run_has_the_events_of_the_stock_way_without_the_noise(workshop: Workshop, job_name: str):
    expected = [
        (kind, step)
        for kind, step in kinds(workshop.instance, stock(workshop, job_name).run_id)
        if kind not in NOISE_KINDS
    ]
    run = workshop.do(workshop.make(job_name))
    assert kinds(workshop.instance, run.run_id) == expected


def test_a_run_ends_with_status_and_times(workshop: Workshop):
    before = time.time()
    run = workshop.do(workshop.make("three", {"a": "tag"}))
    record = workshop.instance.get_run_record_by_id(run.run_id)
    assert record is not None
    assert record.dagster_run.status is dg.DagsterRunStatus.SUCCESS
    assert record.dagster_run.tags["a"] == "tag"
    assert record.start_time is not None
    assert record.end_time is not None
    assert before <= record.start_time <= record.end_time <= time.time()


def test_a_failed_run_says_which_step_failed_and_why_it_is_tagged(workshop: Workshop):
    run = workshop.do(workshop.make("breaks"))
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert run.tags["dagster/failure_reason"] == "STEP_FAILURE"
    stats = workshop.instance.get_run_stats(run.run_id)
    assert (stats.steps_succeeded, stats.steps_failed) == (1, 1)


def test_metadata_and_logs_of_steps_are_kept(workshop: Workshop):
    run = workshop.do(workshop.make("three"))
    entries = workshop.instance.all_logs(run.run_id)
    outputs = [
        one.dagster_event for one in entries if one.dagster_event and one.dagster_event.is_successful_output
    ]
    assert [one.step_output_data.metadata["what"].value for one in outputs] == ["said"] * 3
    assert [one.user_message for one in entries if one.dagster_event is None] == ["said by a step"] * 3


def test_a_short_run_is_looked_at_by_one_statement_and_written_by_another(workshop: Workshop):
    workshop.do(workshop.make("three"))
    run = workshop.make("three")
    with statements_to(storage(workshop)._engine) as said:
        workshop.worker.work(launch_of(run))
    looked, *written = (statement.split()[1] for statement in said if not statement.startswith("PREPARE"))
    assert looked == "is_run_due"
    assert set(written) == {"write_ledger"}
    assert len(written) <= 2  # the second one where half a second is over just then


def test_every_column_of_an_event_is_what_stock_storage_stores(workshop: Workshop):
    events = workshop.instance.event_log_storage
    assert isinstance(events, PooledEventLogStorage)
    run = workshop.do(workshop.make("breaks"))
    with storage(workshop)._engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM event_logs WHERE run_id = :id"), {"id": run.run_id})
        stored = [dict(row) for row in rows.mappings()]
    assert len(stored) > 5
    for row in stored:
        del row["id"]
        assert row == events._event_to_row(deserialize_value(row["event"], dg.EventLogEntry))


def test_how_a_run_ended_waits_for_the_disk_whoever_writes_it(workshop: Workshop):
    written: list[Mapping[str, Any]] = []
    engine = storage(workshop)._engine
    ledger = RunLedger(lambda: engine, lambda _connection, values: written.append(values))
    with ledger.recording(workshop.make("three")):
        ledger.move(dg.DagsterEvent("PIPELINE_START", "three"), None)
        ledger.flush(is_relaxed=True)
        ledger.move(dg.DagsterEvent("PIPELINE_SUCCESS", "three"), None)
        ledger.flush(is_relaxed=True)
    assert [(one["status"], one["is_relaxed"]) for one in written] == [("STARTED", True), ("SUCCESS", False)]


def test_a_write_that_does_not_wait_for_the_disk_leaves_the_next_ones_as_they_were(workshop: Workshop):
    ledger, engine = storage(workshop).ledger, storage(workshop)._engine
    run = workshop.make("three")
    with engine.connect() as connection:
        connection.execute(text("SET synchronous_commit = remote_write"))
    with ledger.recording(run):
        began = dg.DagsterEvent(event_type_value="PIPELINE_START", job_name=run.job_name)
        workshop.instance.report_dagster_event(began, run.run_id)
        ledger.flush(is_relaxed=True)
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT count(*) FROM event_logs")) == 1
            assert connection.scalar(text("SHOW synchronous_commit")) == "remote_write"


def test_a_long_run_shows_what_it_did_while_it_is_at_work(workshop: Workshop, database_url: str):
    run = workshop.make("slow")
    seen: list[tuple[str, int]] = []
    other = create_engine(database_url)

    def look() -> None:
        until = time.monotonic() + 5
        while time.monotonic() < until and not seen:
            with other.connect() as connection:
                status = connection.scalar(
                    text("SELECT status FROM dagster.runs WHERE run_id = :id"), {"id": run.run_id}
                )
                events = connection.scalar(
                    text("SELECT count(*) FROM dagster.event_logs WHERE run_id = :id"), {"id": run.run_id}
                )
            if status == "STARTED" and events:
                seen.append((status, events))
            time.sleep(0.02)

    watcher = threading.Thread(target=look)
    watcher.start()
    ended = workshop.do(run)
    watcher.join()
    other.dispose()
    assert seen
    assert ended.status is dg.DagsterRunStatus.SUCCESS


def test_somebody_who_ended_the_run_meanwhile_keeps_the_last_word(workshop: Workshop):
    run = workshop.make("three")
    with storage(workshop).ledger.recording(run):
        started = dg.DagsterEvent(event_type_value="PIPELINE_START", job_name=run.job_name)
        workshop.instance.report_dagster_event(started, run.run_id)
        with storage(workshop)._engine.connect() as connection:
            connection.execute(
                text("UPDATE runs SET status = 'FAILURE' WHERE run_id = :id"), {"id": run.run_id}
            )
        ended = dg.DagsterEvent(event_type_value="PIPELINE_SUCCESS", job_name=run.job_name)
        workshop.instance.report_dagster_event(ended, run.run_id)
    found = workshop.instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.status is dg.DagsterRunStatus.FAILURE


def test_a_run_that_was_told_to_stop_is_cancelled_not_failed(workshop: Workshop):
    run = workshop.make("interrupted")
    ledger = storage(workshop).ledger
    with storage(workshop)._engine.connect() as connection:
        connection.execute(
            text("UPDATE runs SET status = 'CANCELING' WHERE run_id = :id"), {"id": run.run_id}
        )
    ended = workshop.do(run)
    assert ended.status is dg.DagsterRunStatus.CANCELED
    assert not ledger.holds(run.run_id)


def test_other_runs_are_read_and_written_as_ever_while_a_ledger_is_open(workshop: Workshop):
    mine, other = workshop.make("three"), workshop.make("three")
    with storage(workshop).ledger.recording(mine):
        workshop.instance.report_run_canceled(other)
        found = workshop.instance.get_run_by_id(other.run_id)
        assert found is not None
        assert found.status is dg.DagsterRunStatus.CANCELED


def test_the_end_of_a_run_waits_for_a_database_that_is_away(workshop: Workshop, database_url: str):
    run = workshop.make("three")
    with storage(workshop).ledger.recording(run):
        ended = dg.DagsterEvent(event_type_value="PIPELINE_SUCCESS", job_name=run.job_name)
        workshop.instance.report_dagster_event(ended, run.run_id)
        terminate_all(database_url)
    found = workshop.instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.status is dg.DagsterRunStatus.SUCCESS


def test_without_an_open_run_events_are_stored_at_once(workshop: Workshop):
    run = workshop.make("three")
    at = datetime.now(UTC)
    workshop.instance.report_engine_event("somebody says something", run)
    (entry,) = workshop.instance.all_logs(run.run_id)
    assert entry.timestamp >= at.timestamp() - 1
