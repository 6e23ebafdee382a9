"""`dct maintenance run`, and what the steps say."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, text

from dct_pipelines.bootstrap import build
from dct_pipelines.engine.maintenance import STEPS
from dct_pipelines.settings import load_settings
from dct_pipelines.store import tables, turn
from dct_pipelines.store.database import Database
from tests.architecture.tree import ROOT
from tests.support.command_line import *  # noqa: F403
from tests.support.command_line import Dct
from tests.support.history import History

pytestmark = pytest.mark.integration
OLD = datetime.now(UTC) - timedelta(days=200)


@pytest.fixture
def history(database: Database) -> History:
    return History.of(database)


def test_a_dry_run_says_what_would_go_and_the_run_lets_it_go(dct: Dct, history: History) -> None:
    event = history.event(OLD)
    history.decision(event, OLD, history.execution(event, OLD, OLD))
    plain = dct("maintenance", "run", "--dry-run")
    assert "executions: would delete 1 of trigger_executions" in plain.out
    assert history.ids(tables.trigger_executions) != set()
    said = dct("maintenance", "run", "--json").data
    assert said["dry_run"] is False
    assert [step["step"] for step in said["steps"]] == list(STEPS)
    deleted = {table: n for step in said["steps"] for table, n in step["deleted"].items()}
    assert deleted == {
        "trigger_executions": 1,
        "execution_attempts": 1,
        "action_results": 1,
        "events": 1,
        "decisions": 1,
    }
    assert history.ids(tables.events) == set()
    assert "executions: deleted nothing" in dct("maintenance", "run", "--step", "executions").out


def test_an_unknown_step_names_those_that_there_are(dct: Dct) -> None:
    said = dct("maintenance", "run", "--step", "evnts")
    assert said.code == 2
    assert "months, executions, events" in said.err


def test_two_do_not_maintain_at_once(dct: Dct, history: History) -> None:
    history.put(tables.activity, kind="x", at=OLD)
    with turn.taken(history.database, turn.MAINTENANCE) as is_mine:
        assert is_mine
        assert "another maintenance is at work" in dct("maintenance", "run", "--step", "traces").out
    assert "deleted 1 of activity" in dct("maintenance", "run", "--step", "traces").out


def test_tokens_that_expire_are_warned_of(dct: Dct, database: Database, database_settings) -> None:
    history = History.of(database)
    user, gone = uuid4(), uuid4()
    history.put(tables.users, id=user, name="ann", role="admin")
    history.put(tables.users, id=gone, name="bob", role="admin", is_active=False)
    now = datetime.now(UTC)
    for name, whose, days in (("ci", user, 3), ("old", user, -3), ("later", user, 30), ("off", gone, 3)):
        expires_at = now + timedelta(days=days)
        history.put(tables.api_tokens, user_id=whose, name=name, token_sha256=name, expires_at=expires_at)
    revoked = {"user_id": user, "name": "revoked", "token_sha256": "revoked", "revoked_at": now}
    history.put(tables.api_tokens, **revoked, expires_at=now)
    [step] = dct("maintenance", "run", "--step", "credentials", "--json").data["steps"]
    assert [warning.split(" on ")[0] for warning in step["warnings"]] == [
        "token 'old' of ann expired",
        "token 'ci' of ann expires",
    ]


def test_each_setting_of_retention_is_heeded(dct: Dct, history: History, monkeypatch) -> None:
    for name, days in {"METRICS_RETENTION_DAYS": 300, "DCT_KEY_RETENTION_DAYS": 400}.items():
        monkeypatch.setenv(name, str(days))
    built = build(load_settings())
    maintenance = built.maintenance
    assert (maintenance.retention.policy.days, maintenance.retention.policy.key_days) == (300, 400)
    assert (maintenance.workspaces.idle_days, maintenance.workspaces.notice_days) == (14, 3)
    history.put(tables.activity, kind="x", at=OLD)
    maintenance.run("traces")
    with history.database.connect() as connection:
        assert connection.scalar(select(tables.activity.c.kind)) == "x"
    built.database.dispose()


def test_old_notes_of_what_was_sent_go_with_the_keys(dct: Dct, history: History, database_settings) -> None:
    notes = database_settings.home / "sent"
    notes.mkdir(parents=True)
    for number, days in enumerate((731 + 31, 700)):
        then = (datetime.now(UTC) - timedelta(days=days)).timestamp()
        (notes / f"{number:064x}").write_text("sent")
        os.utime(notes / f"{number:064x}", (then, then))
    dry = dct("maintenance", "run", "--step", "keys", "--dry-run").out
    assert "keys: would delete 1 of notes of what was sent" in dry
    assert len(list(notes.iterdir())) == 2
    assert "keys: deleted 1 of notes of what was sent" in dct("maintenance", "run", "--step", "keys").out
    assert [path.name for path in notes.iterdir()] == [f"{1:064x}"]


def test_the_lock_of_maintenance_is_nobody_elses() -> None:
    """The daemon holds the lane's all the time."""
    found = [
        int(key)
        for path in (ROOT / "dct_pipelines").rglob("*.py")
        for key in re.findall(r"^[A-Z_]+ = (7_266_\d+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert turn.MAINTENANCE in found
    assert len(set(found)) == len(found)


def test_a_step_that_deletes_nothing_by_nature_says_what_it_did(dct: Dct, history: History) -> None:
    said = dct("maintenance", "run").out
    assert "months: no month is missing (" in said
    assert "workspaces: no workspace has become idle (" in said
    assert "credentials: found no token and no credential that ended or will before long (" in said
    assert "executions: deleted nothing (" in said
    with history.database.begin() as connection:
        this_month = f"events_{datetime.now(UTC):%Y_%m}"
        connection.execute(text(f"DROP TABLE dct.{this_month}"))
    said = dct("maintenance", "run", "--step", "months", "--dry-run").out
    assert "months: of the coming months 1 partitions were missing" in said
    assert f"{this_month} would be made" in said
    assert f"made {this_month}" in dct("maintenance", "run", "--step", "months").out
