"""Alerts on the real stack: executions that really fail are told once, and their end once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, insert, text

from dct_pipelines.bootstrap import App, build
from dct_pipelines.cli.supervisor import running
from dct_pipelines.settings import load_settings
from dct_pipelines.store import tables
from tests.support.deployment import *  # noqa: F403
from tests.support.deployment import outbox_config
from tests.support.postgres import *  # noqa: F403
from tests.support.receiver import Receiver, receiver

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]
PATIENCE_SECONDS = 180
"""Two turns of the sensor, on a machine that does much else at the same time."""


def wait_for(what: Callable[[], bool]) -> None:
    begun = time.monotonic()
    while not what():
        assert time.monotonic() - begun < PATIENCE_SECONDS, "it did not happen in time"
        time.sleep(0.2)


@pytest.fixture
def listening(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiver() as server:
        monkeypatch.setenv("ALERT_WEBHOOK_URL", server.url)
        monkeypatch.setenv("DCT_HEARTBEAT_URL", server.url.replace("/hook", "/alive"))
        yield server


@pytest.fixture(name="app")
def services(listening: Receiver) -> Iterator[App]:
    built = build(load_settings()).ready()
    yield built
    built.database.dispose()


def told(listening: Receiver) -> list[str]:
    posted = [one for one in listening.requests if one.method == "POST"]
    return [json.loads(one.body)["type"] for one in posted]


def ask_for_failures(app: App, count: int) -> None:
    """Executions of a trigger whose only action tells a channel that nobody has defined."""
    trigger = tables.dynamic_context_triggers
    values = {
        "name": "to-nobody",
        "trigger_type": "testing",
        "job_name": "notify_users",
        "created_by": "local",
    }
    action = {"type": "notify_users", "name": "notify_users", "config": outbox_config("nobody")}
    with app.database.begin() as connection:
        made = insert(trigger).values(**values, active_since=func.now()).returning(trigger.c.id)
        trigger_id = connection.execute(made).scalar_one()
        row = {
            "triggered_by": "event",
            "created_by": "local",
            "job_name": "notify_users",
            "actions": [action],
        }
        about = {"trigger_id": trigger_id, "resource_limits": {}, "context_snapshot": {}}
        connection.execute(insert(tables.trigger_executions), [row | about] * count)


def test_a_trigger_that_fails_is_told_and_its_end_too(listening: Receiver, app: App):
    ask_for_failures(app, 12)
    with running(load_settings(), ui=False):
        wait_for(lambda: told(listening) == ["incidents_opened"])
        assert [one.subject for one in app.alerts.latest()] == ["to-nobody"]
        assert any(one.path == "/alive" for one in listening.requests)
        with app.database.begin() as connection:
            connection.execute(
                text("UPDATE dct.trigger_executions SET completed_at = completed_at - interval '9 min'")
            )
            connection.execute(text("UPDATE dct.incidents SET well_since = now() - interval '9 min'"))
        wait_for(lambda: len(told(listening)) == 2)
        assert told(listening) == ["incidents_opened", "incidents_resolved"]
        assert json.loads((app.settings.home / "heartbeat.json").read_text())["is_working"]
