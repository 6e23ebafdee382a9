"""Where alerts go in a deployment as it is wired: to channels of manifests, and to the webhook."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from dct_pipelines.bootstrap import App, build
from dct_pipelines.settings import load_settings
from dct_pipelines.store import tables
from tests.support.command_line import *  # noqa: F403
from tests.support.command_line import Dct
from tests.support.receiver import Receiver, receiver

pytestmark = pytest.mark.integration


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Whom ALERT_WEBHOOK_URL names."""
    with receiver() as server:
        monkeypatch.setenv("ALERT_WEBHOOK_URL", server.url)
        yield server


@pytest.fixture
def app(dct: Dct, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """Tells the channel `ops`, in which a connection is down."""
    monkeypatch.setenv("DCT_ALERT_CHANNELS", "ops")
    built = build(load_settings())
    down = {"kind": "jira", "created_by": "local", "consecutive_failures": 3, "health": "down"}
    with built.database.begin() as connection:
        connection.execute(insert(tables.connections).values(name="tickets", **down))
    yield built
    built.database.dispose()


def define(dct: Dct, path: Path, manifest: str) -> None:
    path.write_text(manifest)
    assert dct("apply", "-f", str(path)).code == 0


def store(app: App, spec: dict[str, Any]) -> None:
    """As another release would have stored the channel."""
    with app.database.begin() as connection:
        connection.execute(update(tables.channels).values(spec=spec))


def messages(app: App) -> dict[str, Any]:
    """By destination what the last attempt said; None: it has arrived."""
    with app.database.connect() as connection:
        rows = connection.execute(tables.alert_messages.select()).all()
    return {row.destination: row.last_error for row in rows}


OPS = "kind: channel\nname: ops\ntype: outbox\n"


def test_a_channel_that_this_release_cannot_read_silences_itself_only(
    dct: Dct, listening: Receiver, app: App, tmp_path: Path
):
    define(dct, tmp_path / "ops.yaml", OPS)
    store(app, {"name": "ops", "type": "pager", "password": "hunter2"})
    app.alerts.turn()
    (why,) = (error for error in messages(app).values() if error)
    assert why.startswith("channel 'ops' cannot be read, another release stored it")
    assert "hunter2" not in why
    assert len(listening.requests) == 1
    tried = dct("alert", "test", "--json").data
    assert [one["error"] is None for one in tried] == [True, False]
    said = dct("doctor").out
    assert "incidents are told to 2 destinations" in said
    assert "check broke" not in said
    store(app, {"name": "ops", "type": "outbox", "description": ""})
    with app.database.begin() as connection:
        connection.execute(update(tables.alert_messages).values(next_attempt_at=app.outside.clock.now()))
    app.alerts.turn()
    assert set(messages(app).values()) == {None}


def test_incidents_are_acknowledged_though_a_definition_cannot_be_read(dct: Dct, app: App, tmp_path: Path):
    define(dct, tmp_path / "ops.yaml", OPS)
    store(app, {"name": "ops", "type": "pager"})
    app.alerts.turn()
    (incident,) = dct("alert", "list", "--json").data
    assert "is acknowledged" in dct("alert", "acknowledge", incident["id"]).out


def test_a_channel_that_is_called_webhook_and_the_webhook_of_the_settings_are_both_told(
    dct: Dct, listening: Receiver, app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with receiver() as server:
        channel = (
            f"kind: channel\nname: webhook\ntype: webhook\nurl: {server.url}\nallow_private_network: true\n"
        )
        define(dct, tmp_path / "webhook.yaml", channel)
        monkeypatch.setenv("DCT_ALERT_CHANNELS", "webhook")
        said = dct("alert", "test").out
        assert said.splitlines() == ["ALERT_WEBHOOK_URL: arrived", "webhook:webhook: arrived"]
        assert (len(listening.requests), len(server.requests)) == (1, 1)


def test_a_message_to_the_webhook_that_an_earlier_release_has_written_still_arrives(
    listening: Receiver, app: App
):
    wording = {"subject": "Incident", "text": "down", "incidents": []}
    row = {"kind": "incidents_opened", "destination": "webhook", "message": wording, "incident_ids": []}
    now = app.outside.clock.now()
    with app.database.begin() as connection:
        connection.execute(insert(tables.alert_messages).values(**row, created_at=now, next_attempt_at=now))
    app.alerts.turn()
    assert messages(app)["webhook"] is None
    assert len(listening.requests) == 2
