"""The sensor of alerts: what its tick does, and which results the checks get from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.sensor_definition import SensorExecutionData
from sqlalchemy import insert, update

from dct_pipelines.assets.alert_checks import CHECK, alert_assets, alert_checks, evaluations, key_of
from dct_pipelines.bootstrap import App, build
from dct_pipelines.domain.incidents import AlertRule
from dct_pipelines.sensors.alerts import alerts_sensor
from dct_pipelines.sensors.ticks import RESOURCE
from dct_pipelines.settings import load_settings
from dct_pipelines.store import tables
from dct_pipelines.store.incidents import lock
from tests.fakes.gateway import FakeGateway
from tests.support.deployment import *  # noqa: F403
from tests.support.deployment import loaded
from tests.support.receiver import Receiver, receiver

pytestmark = pytest.mark.dagster


class Resource:
    """The resource with services that the test built."""

    def __init__(self, app: App) -> None:
        self.app = app


@pytest.fixture
def listening() -> Iterator[Receiver]:
    with receiver() as server:
        yield server


@pytest.fixture(name="app")
def app_that_tells(project: Path, listening: Receiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    monkeypatch.setenv("ALERT_WEBHOOK_URL", listening.url)
    monkeypatch.setenv("DCT_HEARTBEAT_URL", f"{listening.url}/alive")
    monkeypatch.setenv("DCT_ALERT_CHANNELS", "outbox, mail:kim@example.org")
    built = build(load_settings(), FakeGateway())
    yield built
    built.database.dispose()


def tick(app: App, cursor: str | None = None) -> SensorExecutionData:
    with dg.build_sensor_context(resources={RESOURCE: Resource(app)}, cursor=cursor) as context:
        return alerts_sensor(evaluations, 60).evaluate_tick(context)


def results(answer: SensorExecutionData) -> dict[str, bool]:
    """By rule whether its check passed, of those that were reported."""
    found = (event for event in answer.asset_events if isinstance(event, dg.AssetCheckEvaluation))
    return {event.asset_key.path[-1]: event.passed for event in found}


def add_connection(app: App) -> None:
    down = {"consecutive_failures": 3, "health": "down", "health_detail": "no route"}
    with app.database.begin() as connection:
        row = {"name": "here", "kind": "git", "created_by": "local"}
        connection.execute(insert(tables.connections).values(**row, **down))


def paths(listening: Receiver) -> list[str]:
    return [one.path for one in listening.requests]


def test_the_first_tick_reports_every_check_and_later_ones_what_has_changed(app: App):
    first = tick(app)
    assert first.skip_message == "no incident"
    assert results(first) == dict.fromkeys((rule.value for rule in AlertRule), True)
    second = tick(app, first.cursor)
    assert results(second) == {}
    add_connection(app)
    third = tick(app, second.cursor)
    assert results(third) == {"connection": False}
    assert (third.skip_message or "").startswith("1 incident, 1 new; 2 messages sent, 1 message not")
    assert results(tick(app, third.cursor)) == {}


def test_a_tick_tells_the_webhook_the_channels_and_the_monitor(app: App, listening: Receiver):
    add_connection(app)
    tick(app)
    assert paths(listening) == ["/hook/alive", "/hook"]
    assert len(list((app.settings.home / "outbox").glob("*.json"))) == 1
    assert (app.settings.home / "heartbeat.json").exists()


def test_while_another_process_evaluates_no_check_is_reported(app: App):
    with app.database.begin() as connection:
        assert lock(connection)
        answer = tick(app)
    assert (answer.skip_message, results(answer)) == ("another process evaluates", {})


def test_while_the_database_is_away_the_tick_is_skipped_and_the_monitor_misses_us(
    project: Path, listening: Receiver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DCT_HEARTBEAT_URL", listening.url)
    monkeypatch.setenv("DCT_DATABASE_URL", "postgresql://dct@127.0.0.1:1/dct")
    answer = tick(build(load_settings(), FakeGateway()))
    assert "waiting for the database" in (answer.skip_message or "")
    assert listening.requests == []


def test_a_check_that_is_executed_asks_the_incidents(app: App):
    add_connection(app)
    tick(app)
    definitions = dg.Definitions(
        assets=alert_assets(), asset_checks=alert_checks(), resources={RESOURCE: Resource(app)}
    )
    job = definitions.resolve_implicit_global_asset_job_def()
    done = job.execute_in_process()
    passed = {one.asset_key: one.passed for one in done.get_asset_check_evaluations()}
    assert {key: passed[key_of(AlertRule(key.path[-1]))] for key in passed} == passed
    assert [key.path[-1] for key, good in passed.items() if not good] == ["connection"]


def test_every_rule_is_an_asset_with_a_check_in_the_code_location(project: Path):
    graph = loaded().resolve_asset_graph()
    assert {(key_of(rule), CHECK) for rule in AlertRule} <= {
        (one.asset_key, one.name) for one in graph.asset_check_keys
    }


def test_what_is_mended_is_reported_as_passed(app: App):
    add_connection(app)
    cursor = tick(app).cursor
    with app.database.begin() as connection:
        connection.execute(update(tables.incidents).values(state="resolved"))
        connection.execute(update(tables.connections).values(consecutive_failures=0))
    assert results(tick(app, cursor)) == {"connection": True}
