"""The job `maintenance`: visible steps that say what they did, once a day, and no execution."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from sqlalchemy import select, text

from dct_pipelines.bootstrap import App
from dct_pipelines.engine.maintenance import STEPS
from dct_pipelines.jobs.maintenance import FAILED_TAG, MAINTENANCE
from dct_pipelines.store import slots, tables
from tests.support.deployment import *  # noqa: F403
from tests.support.deployment import loaded, run_job
from tests.support.history import History

pytestmark = pytest.mark.dagster
OLD = datetime.now(UTC) - timedelta(days=200)


def test_each_step_of_the_job_says_what_it_deleted(app: App, instance: dg.DagsterInstance) -> None:
    history = History.of(app.database)
    event = history.event(OLD)
    history.decision(event, OLD, history.execution(event, OLD, OLD))
    result = run_job(instance, MAINTENANCE)
    assert result.success
    told = {}
    for entry in result.all_events:
        if entry.event_type_value == "STEP_OUTPUT":
            told[entry.step_key] = entry.event_specific_data.metadata
    assert list(told) == [*STEPS, "judge"]
    assert told["executions"]["deleted from action_results"].value == 1
    assert told["events"]["deleted from events"].value == 1
    assert history.ids(tables.events) == set()


def test_a_maintenance_run_is_no_execution_and_takes_no_quota(app: App, instance: dg.DagsterInstance) -> None:
    run_job(instance, MAINTENANCE)
    with app.database.connect() as connection:
        assert connection.scalars(select(tables.trigger_executions.c.id)).all() == []
        assert slots.usage(connection).executions == 0


def test_a_step_that_fails_keeps_no_other_from_its_work(app: App, instance: dg.DagsterInstance) -> None:
    history = History.of(app.database)
    event = history.event(OLD)
    history.decision(event, OLD, history.execution(event, OLD, OLD))
    with app.database.begin() as connection:
        connection.execute(text("ALTER TABLE dct.api_tokens RENAME TO put_away"))
        connection.execute(text("ALTER TABLE dct.snapshots RENAME TO put_away_too"))
    result = run_job(instance, MAINTENANCE)
    failed = {one.step_key for one in result.all_events if one.event_type_value == "STEP_FAILURE"}
    assert failed == {"judge"}
    assert history.ids(tables.events) == set()
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    told = [name for name in STEPS if f"{FAILED_TAG}/{name}" in run.tags]
    assert told == ["snapshots", "traces", "credentials"]


def test_it_runs_once_a_day_without_being_switched_on():
    [schedule] = [one for one in loaded().schedules or [] if one.name == MAINTENANCE]
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedule.cron_schedule == "17 3 * * *"
