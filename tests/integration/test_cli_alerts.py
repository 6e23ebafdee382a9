"""`dct alert` and what `dct status` says of incidents, on a real database."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from dct_pipelines.bootstrap import App, build
from dct_pipelines.settings import load_settings
from dct_pipelines.store import tables
from tests.support.command_line import *  # noqa: F403
from tests.support.command_line import Dct
from tests.support.receiver import receiver
from tests.support.repos import SampleRepository

pytestmark = pytest.mark.integration
WATCH = """
items: [shop]
conditions: [{type: branch_ready, config: {branch: feature/*, target_branch: main}}]
actions: [{type: notify_users, config: {channels: [{channel: outbox}], subject: ready, text: ready}}]
"""
SHOP = f"""
kind: connection
name: local
type: git
base: repositories
---
kind: item
name: shop
type: git_repository
connection: local
location: shop.git
---
kind: trigger
name: strict
alerts: {{failure_percent: 50, failure_minimum: 2, timeouts: 2}}
{WATCH}
---
kind: trigger
name: usual
{WATCH}
---
kind: trigger
name: lenient
alerts: {{failure_percent: 80}}
{WATCH}
"""


@pytest.fixture
def incident(dct: Dct) -> str:
    """A connection is down, and alerts have been evaluated; the id of the incident."""
    assert "incidents: none" in dct("status").out
    app = build(load_settings())
    row = {"name": "tickets", "kind": "jira", "created_by": "local", "credential_ref": "env:TOKEN"}
    with app.database.begin() as connection:
        connection.execute(insert(tables.connections).values(**row, consecutive_failures=3, health="down"))
    app.alerts.turn()
    (found,) = app.alerts.latest()
    app.database.dispose()
    return str(found.id)


def test_an_incident_is_listed_shown_acknowledged_and_resolved(dct: Dct, incident: str):
    assert "tickets" in dct("alert", "list").out
    (listed,) = dct("alert", "list", "--json").data
    assert (listed["id"], listed["state"]) == (incident, "open")
    assert "Connection tickets (jira) is down" in dct("alert", "show", incident[:8]).out
    assert dct("alert", "show", incident, "--json").data["messages"] == []
    assert "is acknowledged" in dct("alert", "acknowledge", incident[:8]).out
    assert "nothing was changed: it was so already" in dct("alert", "acknowledge", incident).out
    assert "nothing was changed: they were so already" in dct("alert", "acknowledge", incident, incident).out
    assert dct("alert", "resolve", incident, "--json").data[0]["resolved_by"] == "local"
    assert "nothing is out of order" in dct("alert", "list").out
    assert "resolved" in dct("alert", "list", "--all").out


def test_status_counts_incidents_and_an_open_one_needs_attention(dct: Dct, incident: str):
    said = dct("status")
    assert said.code == 1
    assert "incidents: 1 open" in said.out
    assert "1 incident is open: dct alert list" in said.out
    dct("alert", "acknowledge", incident)
    told = dct("status", "--json").data
    assert told["incidents"] == {"acknowledged": 1}
    assert not [one for one in told["problems"] if "incident" in one]


def test_the_doctor_counts_incidents_by_their_rule(dct: Dct, incident: str):
    assert "1 incident of connection is open" in dct("doctor").out


def test_that_nobody_is_told_of_incidents_is_said(dct: Dct, incident: str, monkeypatch: pytest.MonkeyPatch):
    assert "alerts go nowhere: nobody is told of an incident" in dct("alert", "list").out
    said = dct("doctor").out
    assert "warn  alerts: alerts go nowhere" in said
    monkeypatch.setenv("ALERT_WEBHOOK_URL", "http://127.0.0.1:9/hook")
    assert "go nowhere" not in dct("alert", "list").out
    assert "ok    alerts: incidents are told to 1 destination, and every message arrives" in dct("doctor").out


def test_messages_that_do_not_arrive_and_those_given_up_are_said(dct: Dct, incident: str):
    app = build(load_settings())
    ago = {"minutes": timedelta(minutes=16), "days": timedelta(days=4)}
    row = {"kind": "incidents_opened", "message": {}, "attempts": 5, "last_error": "mail cannot be reached"}
    late = row | {"destination": "mail:a@example.org", "created_at": func.now() - ago["minutes"]}
    lost = row | {"destination": "mail:b@example.org", "created_at": func.now() - ago["days"]}
    with app.database.begin() as connection:
        connection.execute(insert(tables.alert_messages).values(**late))
        connection.execute(insert(tables.alert_messages).values(**lost, dropped_at=func.now()))
    app.database.dispose()
    for command in (("alert", "list"), ("doctor", "--quiet")):
        said = dct(*command).out
        assert "1 message did not reach mail for 16 min: mail cannot be reached" in said
        assert "1 message was given up within 7 days that should have told mail: mail cannot be" in said


def test_who_may_not_change_incidents_is_told_so(dct: Dct, incident: str):
    dct("user", "add", "tess", "--role", "tester")
    assert dct("alert", "resolve", incident, "--as", "tess").code == 3
    assert dct("alert", "show", "ffffffff").code == 2


def test_a_test_message_says_where_it_did_not_arrive(dct: Dct, monkeypatch: pytest.MonkeyPatch):
    assert "ALERT_WEBHOOK_URL" in dct("alert", "test").err
    with receiver() as server:
        monkeypatch.setenv("ALERT_WEBHOOK_URL", server.url)
        assert "ALERT_WEBHOOK_URL: arrived" in dct("alert", "test").out
        server.answers = [(404, b"")]
        said = dct("alert", "test", "--json")
        assert said.code == 1
        assert "404" in said.data[0]["error"]


def ended(app: App, trigger: str, *errors: str | None) -> None:
    """Executions of a trigger that have just ended; each with its error, if it failed."""
    name = tables.dynamic_context_triggers.c.name
    with app.database.begin() as connection:
        trigger_id = connection.scalar(select(tables.dynamic_context_triggers.c.id).where(name == trigger))
        about: dict[str, Any] = {"trigger_id": trigger_id, "triggered_by": "event", "created_by": "local"}
        about |= {"job_name": "notify_users", "actions": [], "resource_limits": {}, "context_snapshot": {}}
        rows = [
            {"status": "failed" if error else "completed", "error_message": error, "completed_at": func.now()}
            for error in errors
        ]
        for row in rows:
            connection.execute(insert(tables.trigger_executions).values(**about, **row))


def test_thresholds_of_an_applied_manifest_are_those_of_its_triggers_incidents(dct: Dct, tmp_path: Path):
    repository = SampleRepository.create(tmp_path / "repositories/shop.git")
    repository.commit("main", {"README": "hello"})
    manifest = tmp_path / "shop.yaml"
    manifest.write_text(SHOP)
    assert dct("apply", "-f", str(manifest)).code == 0
    app = build(load_settings())
    timed_out = "check: timed out: the execution ran longer than its limit of 3 s"
    ended(app, "strict", None, "check: no", timed_out)
    ended(app, "usual", "check: no", timed_out)
    ended(app, "lenient", *["check: no"] * 7, *[None] * 3)
    app.alerts.turn()
    told = {(one["rule"], one["subject"]) for one in dct("alert", "list", "--json").data}
    assert told == {("failure_rate", "strict"), ("timeout", "usual")}
    assert dct("trigger", "apply", "-f", str(manifest), "--json").data["changes"][-1]["change"] == "unchanged"
    app.database.dispose()


def test_what_a_trigger_says_of_alerts_is_checked_and_exported(dct: Dct, tmp_path: Path):
    manifest = tmp_path / "trigger.yaml"
    manifest.write_text("kind: trigger\nname: t\nitems: [x]\nalerts: {failure_percent: 0, wait: 3}\n")
    said = dct("apply", "-f", str(manifest))
    assert said.code == 2
    assert "failure_percent" in said.err
    assert "did you mean 'wait_seconds'?" in said.err


def test_a_trigger_that_tells_a_channel_which_is_not_there_is_refused(dct: Dct, tmp_path: Path):
    SampleRepository.create(tmp_path / "repositories/shop.git")
    manifest = tmp_path / "shop.yaml"
    manifest.write_text(SHOP.replace("{failure_percent: 80}", "{channels: [{channel: outbax, to: [x]}]}"))
    said = dct("apply", "-f", str(manifest))
    assert said.code == 2
    assert "there is no channel 'outbax'; did you mean 'outbox'?" in said.err
