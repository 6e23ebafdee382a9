"""Sensors: what a tick answers, and what it leaves to the next one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.sensor_definition import SensorExecutionData
from sqlalchemy import insert, select

from dct_pipelines.bootstrap import App, build
from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.domain.shapes import job_name, step_names
from dct_pipelines.sensors.dispatching import dispatch_sensor
from dct_pipelines.sensors.listening import listener_sensor
from dct_pipelines.sensors.reconciling import reconcile_sensor
from dct_pipelines.sensors.ticks import RESOURCE, ticking
from dct_pipelines.settings import load_settings
from dct_pipelines.store import tables
from dct_pipelines.store.lane import Lane
from tests.fakes.gateway import FakeGateway
from tests.support.deployment import *  # noqa: F403
from tests.support.deployment import loaded, outbox_config

pytestmark = pytest.mark.dagster
NEW = ("notify_users",) * 3


class Resource:
    """The resource with services that the test built."""

    def __init__(self, app: App) -> None:
        self.app = app


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture(name="app")
def app_with_fake_runs(project: Path, gateway: FakeGateway) -> Iterator[App]:
    built = build(load_settings(), gateway)
    yield built
    built.database.dispose()


def tick(sensor: dg.SensorDefinition, app: App) -> SensorExecutionData:
    """What one evaluation of the sensor gives Dagster's daemon."""
    with dg.build_sensor_context(resources={RESOURCE: Resource(app)}) as context:
        return sensor.evaluate_tick(context)


def jobs(*names: str) -> list[dg.JobDefinition]:
    definitions = loaded()
    return [definitions.get_job_def(name) for name in names]


def waiting(app: App, shape: tuple[str, ...] = ("notify_users",)) -> None:
    """An execution that nothing holds back but its job."""
    steps = zip(shape, step_names(shape), strict=True)
    actions = [{"type": kind, "name": name, "config": outbox_config()} for kind, name in steps]
    with app.database.begin() as connection:
        connection.execute(
            insert(tables.trigger_executions).values(
                triggered_by="manual",
                created_by="local",
                job_name=job_name(shape),
                actions=actions,
                resource_limits={},
                context_snapshot={},
            )
        )


def shape_row(app: App, shape: tuple[str, ...]) -> None:
    with app.database.begin() as connection:
        connection.execute(insert(tables.shapes).values(job_name=job_name(shape), actions=list(shape)))


def test_a_waiting_execution_becomes_a_request_with_its_attempt_as_key(app: App):
    waiting(app)
    answer = tick(dispatch_sensor(jobs("notify_users")), app)
    (request,) = answer.run_requests or ()
    assert request.job_name == "notify_users"
    assert request.run_key == f"{request.tags['dct/execution']}:1"
    assert request.tags["dct/attempt"] == "1"
    assert "dagster/priority" in request.tags


def test_nothing_is_requested_twice(app: App):
    waiting(app)
    sensor = dispatch_sensor(jobs("notify_users"))
    tick(sensor, app)
    assert not tick(sensor, app).run_requests


def test_an_execution_whose_job_is_not_loaded_waits_and_has_the_code_reloaded(app: App, gateway: FakeGateway):
    shape_row(app, NEW)
    waiting(app, NEW)
    answer = tick(dispatch_sensor(jobs("notify_users")), app)
    assert "new jobs" in str(answer.skip_message)
    assert gateway.reloads == 1


def test_a_reload_waits_until_no_request_is_on_its_way(app: App, gateway: FakeGateway):
    """A reload replaces the code server that answers this tick."""
    shape_row(app, NEW)
    waiting(app, NEW)
    waiting(app)
    sensor = dispatch_sensor(jobs("notify_users"))
    assert tick(sensor, app).run_requests
    assert gateway.reloads == 0
    assert not tick(sensor, app).run_requests
    assert gateway.reloads == 1


def test_a_job_that_this_release_cannot_build_has_nothing_reloaded(app: App, gateway: FakeGateway):
    shape_row(app, ("teleport",))
    waiting(app, ("teleport",))
    answer = tick(dispatch_sensor(jobs("notify_users")), app)
    assert gateway.reloads == 0
    assert "1 job_loading" in str(answer.skip_message)


def test_the_dispatcher_notes_which_jobs_are_loaded(app: App):
    from dct_pipelines.clients.stack.notes import read_loaded_jobs

    tick(dispatch_sensor(jobs("notify_users", "run_tests")), app)
    assert read_loaded_jobs(app.settings.home) == {"notify_users", "run_tests"}


def test_a_listener_says_what_it_saw_and_brings_along_what_waits(app: App):
    sensor = listener_sensor("git", "Reads repositories.", jobs("notify_users"), 5)
    assert tick(sensor, app).skip_message == "0 items of 0 connections read, no new events"
    waiting(app)
    assert tick(sensor, app).run_requests


def test_a_listener_that_read_for_long_leaves_what_fired_to_the_dispatcher(app: App):
    waiting(app)
    moments = iter([0.0, 50.0])
    slow = listener_sensor("git", "Reads repositories.", jobs("notify_users"), 5, lambda: next(moments))
    assert "dispatcher" in (tick(slow, app).skip_message or "")
    assert tick(dispatch_sensor(jobs("notify_users")), app).run_requests


def sensor_of(work: Callable[[App], Any]) -> dg.SensorDefinition:
    return dg.SensorDefinition(name="sensor", evaluation_fn=ticking(work), required_resource_keys={RESOURCE})


def test_while_the_database_is_away_a_tick_is_skipped_and_says_so(app: App):
    def work(_app: App) -> Any:
        raise DatabaseUnavailable("it does not answer")

    assert tick(sensor_of(work), app).skip_message == "waiting for the database: it does not answer"


def test_any_other_error_is_shown_by_dagster(app: App):
    def work(_app: App) -> Any:
        raise LookupError("a fault of ours")

    with pytest.raises(LookupError):
        tick(sensor_of(work), app)


def test_the_sweep_says_what_it_settled(app: App, gateway: FakeGateway):
    assert tick(reconcile_sensor(), app).skip_message == "every execution is where it should be"


def test_a_run_that_died_is_settled_by_the_sweep(app: App, gateway: FakeGateway):
    waiting(app)
    (order,) = app.dispatcher.dispatch(frozenset({"notify_users"}), 1).orders
    gateway.begin("run", order.execution_id, order.attempt)
    gateway.end("run", "FAILURE")
    assert "before it began" in str(tick(reconcile_sensor(), app).skip_message)
    rows = tables.trigger_executions
    with app.database.connect() as connection:
        row = connection.execute(select(rows).where(rows.c.id == order.execution_id)).one()
    assert (row.status, row.wait_reason) == ("waiting", "retry_backoff")


def connection_row(app: App, kind: str) -> None:
    with app.database.begin() as connection:
        connection.execute(insert(tables.connections).values(name=kind, kind=kind, created_by="local"))


def test_the_first_connection_of_a_kind_has_the_listeners_loaded_anew(app: App, gateway: FakeGateway):
    sensor = dispatch_sensor(jobs("notify_users"), frozenset({"git"}))
    connection_row(app, "git")
    tick(sensor, app)
    assert gateway.reloads == 0
    connection_row(app, "jira")
    assert "new kind of connection" in str(tick(sensor, app).skip_message)
    assert gateway.reloads == 1


def test_listeners_of_kinds_without_a_connection_tick_rarely(app: App):
    connection_row(app, "git")
    intervals = {sensor.name: sensor.minimum_interval_seconds for sensor in loaded().sensors or []}
    assert intervals["git_listener"] == 4
    assert intervals["jira_listener"] == 299


def test_while_a_daemon_hands_over_directly_no_sensor_does(app: App):
    waiting(app)
    lane = Lane(app.settings)
    assert lane.take()
    sensor = dispatch_sensor(jobs("notify_users"))
    assert not tick(sensor, app).run_requests
    listener = listener_sensor("git", "Reads repositories.", jobs("notify_users"), 5)
    assert "the daemon hands over" in (tick(listener, app).skip_message or "")
    lane.leave()
    assert tick(sensor, app).run_requests


def test_every_sensor_runs_unless_somebody_stops_it(project: Path):
    sensors = loaded().sensors or []
    providers = ("git", "github", "gitlab", "gitea", "jira", "mail", "slack")
    assert {sensor.name for sensor in sensors} == {
        *(f"{provider}_listener" for provider in providers),
        "dispatcher",
        "reconciler",
        "alerts",
    }
    assert all(sensor.default_status is dg.DefaultSensorStatus.RUNNING for sensor in sensors)
