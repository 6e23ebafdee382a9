"""Connections as operators handle them: checked before they are stored, paused, and how they stand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, update

from dct_pipelines.domain.connected import Finding
from dct_pipelines.domain.errors import CredentialRefused, NotFound, NotPermitted
from dct_pipelines.domain.listener import DeadLetter
from dct_pipelines.domain.words import ItemKind
from dct_pipelines.engine.manage.connections import ConnectionService
from dct_pipelines.store import tables
from dct_pipelines.store.budgets import StoredBudgets
from dct_pipelines.store.database import Database
from dct_pipelines.store.watching import letters, sources
from tests.fakes.ports import NOON, FakeClock
from tests.support.command_line import *  # noqa: F403
from tests.support.command_line import Dct
from tests.support.servers.jira_server import JiraServer
from tests.support.world import World

pytestmark = pytest.mark.integration


@dataclass
class FakeClient:
    """A provider's word about an account and its items."""

    findings: tuple[Finding, ...] = (Finding("account", True, "bot"),)
    error: Exception | None = None

    def check(self) -> tuple[Finding, ...]:
        if self.error is not None:
            raise self.error
        return self.findings

    def look(self, _kind: ItemKind, location: str, _config: Mapping[str, Any]) -> str:
        return f"{location} is there"


@dataclass
class FakeClients:
    client: FakeClient = field(default_factory=FakeClient)
    asked: list[Mapping[str, Any]] = field(default_factory=list)

    def candidate(self, spec: Mapping[str, Any]) -> FakeClient:
        self.asked.append(spec)
        return self.client


@pytest.fixture
def clients() -> FakeClients:
    return FakeClients()


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@pytest.fixture
def service(database: Database, clients: FakeClients) -> ConnectionService:
    return ConnectionService(database, FakeClock(), clients)


def letter(database: Database, connection_id: UUID, key: str) -> UUID:
    with database.begin() as connection:
        letters.store(connection, connection_id, [DeadLetter(key, "{half", "no JSON")], NOON)
        return letters.of_connection(connection, connection_id)[0].id


def test_a_connection_that_the_provider_refuses_is_a_finding_and_no_crash(service, clients):
    assert service.check({"name": "tickets"}) == (Finding("account", True, "bot"),)
    clients.client.error = CredentialRefused("the credential was refused; renew it")
    assert service.check({"name": "tickets"}) == (
        Finding("connection", False, "the credential was refused; renew it"),
    )


def test_a_connection_stands_with_its_lag_its_calls_and_what_is_left(service, database, world):
    budget = StoredBudgets(database, "git git env:TOKEN", service.clock)
    for _ in range(3):
        budget.take("rest", 10)
    with database.begin() as connection:
        found = sources.of_items(connection, [world.item_id])[0]
        connection.execute(update(tables.connections).values(credential_ref="env:TOKEN", health="ok"))
        connection.execute(
            insert(tables.item_cursors).values(
                item_id=world.item_id,
                connection_id=found.id,
                state="ok",
                read_ok_at=NOON - timedelta(seconds=90),
            )
        )
    [here] = service.standings()
    assert (here.name, here.state, here.lag_seconds, here.items) == ("here", "ok", 90, 1)
    assert (here.calls, here.calls_before, here.left()) == (3, 0, "rest: 7 this minute")
    budget.told("rest", remaining=2, resets_at=NOON + timedelta(minutes=5))
    assert service.standings()[0].left() == "rest: 2 until 12:05:00"
    budget.told("rest", not_before=NOON + timedelta(minutes=1))
    assert service.standings()[0].left() == "rest: none until 12:01:00"


def test_a_connection_whose_items_are_read_together_lags_by_its_own_cursor(service, database, world):
    with database.begin() as connection:
        connection.execute(
            insert(tables.connection_cursors).values(
                connection_id=world.connection_id, token={}, read_ok_at=NOON - timedelta(seconds=5)
            )
        )
    assert service.standings()[0].lag_seconds == 5


def test_a_paused_connection_is_not_due_until_it_is_resumed(service, database, world):
    assert service.switch(["here"], "local", is_enabled=False) == ["here"]
    assert service.switch(["here"], "local", is_enabled=False) == []
    with database.connect() as connection:
        assert sources.due(connection, "git", NOON) == []
    assert service.standings()[0].state == "paused"
    service.switch(["here"], "local", is_enabled=True)
    with database.connect() as connection:
        assert [one.name for one in sources.due(connection, "git", NOON)] == ["here"]


def test_resuming_ends_the_pause_after_a_failure(service, database, world):
    until = NOON + timedelta(minutes=15)
    with database.begin() as connection:
        pause: dict[str, Any] = {"health": "down", "why": "refused", "not_before": until}
        sources.unhealthy(connection, world.connection_id, NOON, **pause)
    assert service.standings()[0].next_due_at == until
    assert service.switch(["here"], "local", is_enabled=True) == ["here"]
    with database.connect() as connection:
        assert [one.name for one in sources.due(connection, "git", NOON)] == ["here"]
    assert service.switch(["here"], "local", is_enabled=True) == []


def test_letters_are_shown_and_discarded_by_the_beginning_of_their_id(service, database, world):
    first, second = letter(database, world.connection_id, "a"), letter(database, world.connection_id, "b")
    assert {one.key for one in service.letters("here")} == {"a", "b"}
    with pytest.raises(NotFound, match="no letters of here have an id that begins with 'zz'"):
        service.discard("here", ["zz"], "local")
    kept = {first, second} - {service.letters("here")[0].id}
    assert service.discard("here", [str(service.letters("here")[0].id)], "local") == 1
    assert {one.id for one in service.letters("here")} == kept


def test_an_unknown_connection_is_answered_with_the_nearest_name(service, world):
    with pytest.raises(NotFound, match="did you mean 'here'"):
        service.letters("heer")


def test_only_operators_pause_and_discard(service, database, world):
    with database.begin() as connection:
        connection.execute(insert(tables.users).values(name="lead", role="developer"))
    with pytest.raises(NotPermitted):
        service.switch(["here"], "lead", is_enabled=False)
    with pytest.raises(NotPermitted):
        service.discard("here", ["a"], "lead")


def test_the_type_may_stand_before_the_name(dct: Dct):
    added = dct("connection", "add", "git", "code", "--base", "repositories", "--json")
    assert (added.code, added.data["stored"]) == (0, True)
    [listed] = dct("connection", "list", "--json").data
    assert (listed["name"], listed["type"], listed["state"], listed["calls"]) == ("code", "git", "unknown", 0)
    assert dct("connection", "add", "git", "code", "more").code == 2


def test_a_failed_check_stores_nothing_unless_it_is_not_asked_for(dct: Dct):
    asked = ("connection", "add", "git", "code", "--base", "/srv", "--credential", "env:NOT_SET_ANYWHERE")
    refused = dct(*asked, "--json")
    assert (refused.code, refused.data["stored"]) == (1, False)
    assert "env:NOT_SET_ANYWHERE holds no secret" in refused.data["findings"][0]["said"]
    assert dct("connection", "list", "--json").data == []
    assert dct(*asked).code == 1
    assert dct(*asked, "--no-check").code == 0
    assert dct("connection", "check", "code").code == 1
    assert dct("connection", "pause", "code").out.strip() == "code paused"
    assert dct("connection", "resume", "code", "--json").data == {"resumed": ["code"]}
    assert dct("connection", "letters", "code", "--json").data == {"discarded": 0, "letters": []}


def test_a_dry_run_checks_and_stores_nothing(dct: Dct):
    tried = dct("connection", "add", "git", "code", "--dry-run", "--json")
    assert (tried.code, tried.data["stored"], len(tried.data["findings"])) == (0, False, 1)
    assert dct("connection", "list", "--json").data == []


def test_settings_of_a_connection_are_json_or_text(dct: Dct):
    said = dct("connection", "add", "git", "code", "--set", "projects=[1]", "--set", "x=a=b", "--json")
    assert said.code == 2
    assert {tuple(one["path"]) for one in json.loads(said.err)["faults"]} == {
        ("config", "projects"),
        ("config", "x"),
    }
    assert dct("connection", "add", "git", "code", "--set", "nothing").code == 2


def test_a_real_jira_is_asked_before_its_connection_is_stored(
    dct: Dct, jira: JiraServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("JIRA_API_TOKEN", "any")
    named = ("connection", "add", "jira", "tickets", "--base", jira.base_url)
    asked = (*named, "--credential", "env:JIRA_API_TOKEN", "--set", "deployment=data_center", "--json")
    guarded = dct(*asked)
    assert (guarded.code, guarded.data["stored"]) == (1, False)
    assert "private network" in guarded.data["findings"][0]["said"]
    added = dct(*asked, "--allow-private-network")
    assert (added.code, added.data["stored"]) == (0, True)
    findings = {one["what"]: one for one in added.data["findings"]}
    assert {"account", "permissions", "clock", "limits"} <= findings.keys()
    assert "admin" in findings["account"]["said"]
    key = jira.create("Checkout fails")
    item = ("item", "add", "pay", "--type", "jira_ticket", "--connection", "tickets", "--location")
    assert dct(*item, "SHOP-99999").code == 2
    assert dct(*item, key).code == 0
    assert dct("connection", "check", "tickets", "--json").data["items"][0]["ok"]
    [listed] = dct("connection", "list", "--json").data
    assert listed["calls"] + listed["calls_before"] > 0
    assert listed["buckets"][0]["bucket"]


def test_the_status_of_many_items_is_told_once_and_only_what_is_not_well_by_itself(
    dct: Dct, database: Database, world: World
):
    now = datetime.now(UTC)
    with database.begin() as connection:
        connection.execute(update(tables.connections).values(health="ok"))
    ids = [world.item(f"item-{number:02}") for number in range(40)]
    with database.begin() as connection:
        cursor = {"connection_id": world.connection_id, "polled_at": now, "read_ok_at": now, "state": "ok"}
        rows = [{"item_id": one, **cursor} for one in (*ids, world.item_id)]
        connection.execute(insert(tables.item_cursors), rows)
        gone = {"state": "unreadable", "detail": "nobody lets us in"}
        connection.execute(
            update(tables.item_cursors).where(tables.item_cursors.c.item_id == ids[7]).values(gone)
        )
    lines = dct("status").out.splitlines()
    assert [line for line in lines if "item-07" in line and not line.startswith("!")]
    assert "40 of 41 items of here are well; --json has each." in lines
    assert not [line for line in lines if "item-08" in line]
    with database.begin() as connection:
        connection.execute(update(tables.connections).values(health="down", health_detail="no route"))
    assert dct("status").out.count("Connection here is down: no route") == 2
