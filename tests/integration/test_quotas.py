"""Quotas: those of the settings, and what operators set instead."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from dct_pipelines.domain.errors import InvalidInput, NotFound, NotPermitted
from dct_pipelines.domain.quotas import Quota, Quotas
from dct_pipelines.engine.quotas import OFF, QuotaInForce, QuotaService
from dct_pipelines.store import quotas
from dct_pipelines.store.database import Database
from dct_pipelines.store.definitions import people
from tests.support.command_line import *  # noqa: F403
from tests.support.command_line import Dct
from tests.support.stage import Stage

pytestmark = pytest.mark.integration
DEFAULTS = Quotas(50, 100, 30, 200)


def test_the_settings_count_until_somebody_sets_something_else_and_again_afterwards(database: Database):
    with database.begin() as connection:
        assert quotas.in_force(connection, DEFAULTS) == DEFAULTS
        quotas.put(connection, Quota.AGENTS, 7, "kim")
        quotas.put(connection, Quota.AGENTS, 0, "alex")
        assert quotas.in_force(connection, DEFAULTS) == Quotas(50, 0, 30, 200)
        found = quotas.set_by_operators(connection)[Quota.AGENTS]
        assert (found.value, found.set_by) == (0, "alex")
        quotas.remove(connection, Quota.AGENTS)
        assert quotas.in_force(connection, DEFAULTS) == DEFAULTS


def test_whether_quotas_are_on_is_the_settings(database: Database):
    off = Quotas(50, 100, 30, 200, enabled=False)
    with database.begin() as connection:
        quotas.put(connection, Quota.WORKSPACES, 1, "kim")
        assert quotas.in_force(connection, off) == Quotas(50, 100, 30, 1, enabled=False)


@pytest.mark.parametrize(("quota", "value"), [(Quota.AGENTS, -1), (Quota.AGENT_RESERVATION_PERCENT, 101)])
def test_the_table_takes_no_value_that_means_nothing(database: Database, quota: Quota, value: int):
    with pytest.raises(IntegrityError), database.begin() as connection:
        quotas.put(connection, quota, value, "kim")


@pytest.fixture
def service(database: Database) -> QuotaService:
    return QuotaService(database, DEFAULTS)


def shown(service: QuotaService, quota: Quota) -> QuotaInForce:
    return next(one for one in service.show().quotas if one.name is quota)


def test_what_is_shown_says_where_each_value_comes_from(service: QuotaService):
    by_setting = shown(service, Quota.WORKSPACES)
    assert (by_setting.value, by_setting.setting) == (200, "MAX_CONCURRENT_WORKSPACES")
    assert (by_setting.set_by, by_setting.in_use) == (None, 0)
    service.set("workspaces", 3, "local")
    by_hand = shown(service, Quota.WORKSPACES)
    assert (by_hand.value, by_hand.default, by_hand.set_by) == (3, 200, "local")
    assert by_hand.set_at is not None


def test_what_is_shown_says_what_is_in_use_and_what_is_kept(database: Database, service: QuotaService):
    stage = Stage(database)
    stage.execution(priority=5, agents=2, workspaces=1)
    stage.execution(priority=9, agents=1)
    report = service.show()
    assert {one.name.value: one.in_use for one in report.quotas} == {
        "executions": 2,
        "agents": 3,
        "agent_reservation_percent": None,
        "workspaces": 1,
    }
    assert (report.reserved_agents, report.standard_agents, report.standard_agents_in_use) == (30, 70, 2)
    stage.stop()


def test_a_quota_may_be_lowered_below_what_is_in_use_and_says_what_follows(
    database: Database, service: QuotaService
):
    stage = Stage(database)
    stage.execution(agents=4)
    stage.stop()
    change = service.set("agents", 2, "local")
    assert (change.before, change.after) == (100, 2)
    assert change.follows == (
        "0 of 2 agents are kept for priority 8 and above",
        "agents in use: 4; nothing is stopped, and nothing new starts above 2",
        "agents below priority 8 in use: 4; nothing is stopped, and nothing new starts above 2",
    )
    assert service.set("executions", 0, "local").follows[0].startswith("executions in use: 1; nothing is")
    assert service.set("workspaces", 0, "local").follows == ("no workspaces start until it is raised",)


def test_a_dry_run_says_the_same_and_changes_nothing(service: QuotaService):
    assert service.set("agents", 2, "local", dry_run=True).after == 2
    assert shown(service, Quota.AGENTS).value == 100


def test_every_change_is_noted_with_who_made_it(database: Database, service: QuotaService):
    service.set("agents", 2, "local")
    assert service.unset("agents", "local").after == 100
    with database.connect() as connection:
        changes = people.audited(connection, "quota", "agents")
    assert [(one["verb"], one["actor"], one["detail"]) for one in changes] == [
        ("unset", "local", {"from": 2, "to": 100}),
        ("set", "local", {"from": 100, "to": 2}),
    ]


def test_only_operators_and_admins_change_quotas(database: Database, service: QuotaService):
    with database.begin() as connection:
        people.save(connection, "olga", "operator", None)
        people.save(connection, "dan", "developer", None)
    service.set("agents", 5, "olga")
    with pytest.raises(NotPermitted, match="a developer may look at quotas, not change them"):
        service.set("agents", 6, "dan")
    with pytest.raises(NotPermitted):
        service.unset("agents", "dan", dry_run=True)
    assert shown(service, Quota.AGENTS).value == 5


@pytest.mark.parametrize(("name", "value"), [("agents", -1), ("agent_reservation_percent", 101)])
def test_a_value_that_means_nothing_is_refused(service: QuotaService, name: str, value: int):
    with pytest.raises(InvalidInput, match=f"{name} is a number from 0 to"):
        service.set(name, value, "local")


def test_a_name_that_is_not_there_is_answered_with_the_nearest(service: QuotaService):
    with pytest.raises(NotFound, match="there is no quota 'agent'; did you mean 'agents'"):
        service.set("agent", 1, "local")


def test_quotas_that_are_off_are_shown_as_such_and_can_be_prepared(database: Database):
    service = QuotaService(database, Quotas(50, 100, 30, 200, enabled=False))
    assert not service.show().is_enabled
    assert service.set("agents", 2, "local").follows == (OFF,)


def test_the_command_line_shows_sets_and_unsets(dct: Dct):
    assert "MAX_CONCURRENT_AGENTS" in dct("quota", "show").out
    assert dct("quota", "set", "agents", "10", "--dry-run").out.startswith(
        "agents: 100 → 10 (nothing was changed)"
    )
    assert dct("quota", "set", "agents", "10").out == (
        "agents: 100 → 10\n3 of 10 agents are kept for priority 8 and above\n"
    )
    assert "(MAX_CONCURRENT_AGENTS says 100)" in dct("quota", "show").out
    found = dct("quota", "show", "--json").data
    assert (found["is_enabled"], found["reserved_agents"]) == (True, 3)
    assert dct("quota", "set", "agents", "10", "--json").data["after"] == 10
    assert dct("quota", "unset", "agents").out.startswith("agents: 10 → 100\n")
    assert dct("quota", "unset", "agents").out.startswith("agents stays 100\n")


def test_the_command_line_refuses_what_cannot_be(dct: Dct):
    said = dct("quota", "set", "workspace", "1")
    assert (said.code, "did you mean 'workspaces'" in said.err) == (2, True)
    assert dct("quota", "set", "workspaces", "many").code == 2
    assert dct("user", "add", "dan", "--role", "developer").code == 0
    assert dct("quota", "set", "workspaces", "1", "--as", "dan").code == 3


def test_the_command_line_says_when_quotas_are_off(dct: Dct, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRIGGER_RESOURCE_LIMITS_ENABLED", "false")
    assert OFF in dct("quota", "show").out
    assert OFF in dct("quota", "set", "agents", "1").out
    assert f"quotas: {OFF}" in dct("status").out


def test_the_status_says_what_is_in_use(dct: Dct):
    said = dct("status").out
    assert "quotas: 0 of 50 executions, 0 of 100 agents, 0 of 200 workspaces" in said
