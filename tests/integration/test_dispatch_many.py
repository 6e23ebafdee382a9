"""Dispatch while much waits: as if all of it was read; whoever is blocked slows nobody; quotas hold."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, text, update

from dct_pipelines.domain.admission import Candidate, Load, plan
from dct_pipelines.domain.quotas import Quotas
from dct_pipelines.domain.room import Room
from dct_pipelines.domain.trigger import ResourceLimits
from dct_pipelines.domain.words import TriggerStatus
from dct_pipelines.engine.dispatch import Dispatcher, DispatchReport
from dct_pipelines.store import slots, tables
from dct_pipelines.store.database import Database
from tests.support.stage import QUOTAS
from tests.support.statements import statements_to
from tests.support.world import World

JOB = "notify_users"
STEP = 300
PLACES = itertools.count()
ONE_BY_ONE = ResourceLimits()
LIMITS = (
    ONE_BY_ONE,
    ResourceLimits(max_concurrent_executions=3),
    ResourceLimits(max_executions_per_hour=4),
    ResourceLimits(max_concurrent_per_item=2),
)


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def wait(world: World, trigger_id: UUID, count: int, **columns: Any) -> list[UUID]:
    """Executions that wait, each for a subject of its own unless `columns` say otherwise, a second apart."""
    begun = world.clock.now() - timedelta(hours=1)
    made: list[dict[str, Any]] = []
    for number in range(count):
        since = begun + timedelta(seconds=number)
        values: dict[str, Any] = {
            "id": uuid4(),
            "trigger_id": trigger_id,
            "item_id": world.item_id,
            "connection_id": world.connection_id,
            "subject": f"{trigger_id} {number}",
            "line_order": next(PLACES),
            "triggered_by": "event",
            "created_by": "trigger",
            "job_name": JOB,
            "actions": [],
            "resource_limits": ONE_BY_ONE.model_dump(mode="json"),
            "context_snapshot": {},
            "created_at": since,
            "waits_since": since,
        }
        made.append(values | columns)
    with world.database.begin() as connection:
        connection.execute(insert(tables.trigger_executions), made)
    return [row["id"] for row in made]


def dispatch(world: World, limit: int = 10, quotas: Quotas = QUOTAS) -> DispatchReport:
    return Dispatcher(world.database, world.clock, quotas, STEP).dispatch(frozenset({JOB}), limit)


def handed_over(report: DispatchReport) -> list[UUID]:
    return [order.execution_id for order in report.orders]


@pytest.fixture
def statements(database: Database) -> Iterator[list[str]]:
    """What is said to the database."""
    with statements_to(database) as said:
        yield said


def test_a_pass_with_nothing_to_do_asks_once(world: World, statements: list[str]) -> None:
    dispatch(world)
    statements.clear()
    assert dispatch(world).orders == ()
    assert len(statements) == 1


def test_what_a_blocked_trigger_has_waiting_is_neither_read_nor_written_again(
    world: World, statements: list[str]
) -> None:
    blocked, free = world.trigger("blocked", priority=9), world.trigger("free", priority=2)
    wait(world, blocked, 400, priority=9)
    fast = wait(world, free, 30, priority=2)
    with world.database.begin() as connection:
        paused = tables.dynamic_context_triggers.c.id == blocked
        connection.execute(update(tables.dynamic_context_triggers).where(paused).values(status="paused"))
    assert handed_over(dispatch(world)) == fast[:10]
    statements.clear()
    assert handed_over(dispatch(world)) == fast[10:20]
    assert len(statements) < 20
    told = [row for row in world.rows(tables.trigger_executions) if row["wait_reason"] == "paused"]
    assert len(told) == 1


def test_of_a_long_line_only_the_first_is_in_the_way_of_others(world: World) -> None:
    trigger_id = world.trigger("to-qa")
    line = wait(world, trigger_id, 300, subject="one")
    others = wait(world, trigger_id, 20)
    assert sorted(handed_over(dispatch(world))) == sorted([line[0], *others[:9]])
    assert sorted(handed_over(dispatch(world, limit=5))) == sorted(others[9:14])


def test_deployments_to_a_busy_environment_keep_nobody_else_waiting(world: World) -> None:
    trigger_id = world.trigger("to-qa")
    to_qa = wait(world, trigger_id, 100, lease_keys=["environment:qa"])
    elsewhere = wait(world, trigger_id, 5, lease_keys=["environment:staging"], subject="other")
    assert handed_over(dispatch(world)) == [to_qa[0], elsewhere[0]]
    assert dispatch(world).orders == ()


def test_agents_and_workspaces_are_counted_and_the_reserve_is_kept(world: World) -> None:
    standard, high = world.trigger("standard", priority=5), world.trigger("high", priority=8)
    wait(world, standard, 10, agents=1, priority=5)
    wait(world, high, 10, agents=1, workspaces=1, priority=8)
    quotas = replace(QUOTAS, agents=6, agent_reservation_percent=50, workspaces=2)
    orders = dispatch(world, quotas=quotas).orders
    tags = [order.tags for order in orders]
    assert sorted(one["dct/agent_class"] for one in tags) == ["high"] * 2 + ["standard"] * 3
    assert [one["dct/workspace"] for one in tags if "dct/workspace" in one] == ["1", "1"]
    with world.database.connect() as connection:
        usage = slots.usage(connection)
    assert (usage.agents, usage.standard_agents, usage.workspaces) == (5, 3, 2)
    assert dispatch(world, quotas=quotas).waiting == {"agent_quota": 1, "workspace_quota": 1}


def test_switched_off_limits_leave_the_order_of_a_line_and_exclusive_environments(world: World) -> None:
    limits = ResourceLimits(max_executions_per_hour=1).model_dump(mode="json")
    trigger_id = world.trigger("to-qa")
    line = wait(world, trigger_id, 5, subject="one", resource_limits=limits, agents=9)
    to_qa = wait(world, trigger_id, 5, lease_keys=["environment:qa"], resource_limits=limits)
    off = Quotas(0, 0, 0, 0, enabled=False)
    assert sorted(handed_over(dispatch(world, quotas=off))) == sorted([line[0], to_qa[0]])


def test_a_retry_is_not_held_by_the_rate_that_holds_new_firings(world: World) -> None:
    limits = ResourceLimits(max_executions_per_hour=1).model_dump(mode="json")
    trigger_id = world.trigger("to-qa")
    [first, *_] = wait(world, trigger_id, 3, resource_limits=limits)
    assert handed_over(dispatch(world)) == [first]
    with world.database.begin() as connection:
        again = tables.trigger_executions.c.id == first
        connection.execute(update(tables.trigger_executions).where(again).values(status="waiting"))
    report = dispatch(world)
    assert handed_over(report) == [first]
    assert report.waiting == {"rate_limit": 1}
    world.clock.advance(minutes=61)
    assert len(dispatch(world).orders) == 1


def test_an_order_says_what_it_takes(world: World) -> None:
    trigger_id = world.trigger("to-qa")
    wait(world, trigger_id, 1, lease_keys=["environment:qa", "workspace:x"], priority=5)
    [order] = dispatch(world).orders
    assert order.tags["dct/environment"] == "qa"
    assert order.tags["dct/line"].lstrip("-").isdigit()
    assert {"dct/agent", "dct/agent_class", "dct/workspace"}.isdisjoint(order.tags)


def test_a_row_that_somebody_else_holds_is_left_for_the_next_pass(world: World) -> None:
    first, second = wait(world, world.trigger("to-qa"), 2)
    with world.database.begin() as other:
        other.execute(text("SELECT FROM dct.trigger_executions WHERE id = :id FOR UPDATE"), {"id": first})
        assert handed_over(dispatch(world)) == [second]
    assert handed_over(dispatch(world)) == [first]


@pytest.mark.parametrize("seed", range(6))
def test_a_pass_hands_over_what_it_would_if_it_read_everything(world: World, seed: int) -> None:
    dice = random.Random(seed)
    triggers = {world.trigger(f"trigger-{number}"): dice.choice(LIMITS) for number in range(6)}
    paused = next(iter(triggers))
    with world.database.begin() as connection:
        is_paused = tables.dynamic_context_triggers.c.id == paused
        connection.execute(update(tables.dynamic_context_triggers).where(is_paused).values(status="paused"))
    quotas = Quotas(executions=40, agents=4, agent_reservation_percent=50, workspaces=3)
    for _ in range(4):
        for trigger_id, limits in triggers.items():
            for _ in range(dice.randint(1, 13)):
                wait(world, trigger_id, 1, **_random_needs(dice, world, limits))
        limit = dice.randint(1, 9)
        expected = _planned(world, quotas, limit, {paused})
        assert handed_over(dispatch(world, limit, quotas)) == expected
        world.clock.advance(minutes=dice.randint(1, 40))
        with world.database.begin() as connection:
            ended = text(
                "UPDATE dct.trigger_executions SET status = 'completed' WHERE id = ANY(CAST(:ids AS uuid[]))"
            )
            connection.execute(ended, {"ids": [str(one) for one in expected if dice.random() < 0.6]})


def _random_needs(dice: random.Random, world: World, limits: ResourceLimits) -> dict[str, Any]:
    since = world.clock.now() - timedelta(seconds=dice.randint(0, 4000))
    needs: dict[str, Any] = dice.choice(
        [
            {},
            {},
            {"agents": 1},
            {"workspaces": 1},
            {"lease_keys": ["environment:qa"]},
            {"lease_keys": ["environment:staging"]},
        ]
    )
    return {
        "subject": f"branch-{dice.randint(0, 4)}",
        "line_order": int(since.timestamp()) * 10**6 + next(PLACES),
        "priority": dice.randint(1, 10),
        "created_at": since,
        "waits_since": since,
        "resource_limits": limits.model_dump(mode="json"),
        **needs,
    }


def _planned(world: World, quotas: Quotas, limit: int, paused: set[UUID]) -> list[UUID]:
    """What admission says of everything that waits."""
    rows = world.rows(tables.trigger_executions)
    holding = [row for row in rows if row["status"] == "dispatched"]
    with world.database.connect() as connection:
        room = Room(quotas, slots.usage(connection))
    load = Load(min(limit, 2 * quotas.executions - len(holding)), frozenset({JOB}), room)
    for row in holding:
        load.leases |= dict.fromkeys(row["lease_keys"], f"execution {row['id']}")
        load.trigger(row["trigger_id"]).running += 1
        load.subjects[(row["trigger_id"], (row["item_id"], row["subject"]))] += 1
    for row in rows:
        if row["first_dispatched_at"] is not None:
            load.trigger(row["trigger_id"]).starts.append(row["first_dispatched_at"])
    waiting = [_candidate(row, paused) for row in rows if row["status"] == "waiting"]
    return [one.execution_id for one in plan(waiting, load, world.clock.now(), STEP).admitted]


def _candidate(row: Mapping[str, Any], paused: set[UUID]) -> Candidate:
    return Candidate(
        execution_id=row["id"],
        trigger_id=row["trigger_id"],
        subject=(row["item_id"], row["subject"]),
        priority=row["priority"],
        waits_since=row["waits_since"],
        order=row["line_order"],
        job_name=row["job_name"],
        limits=ResourceLimits.model_validate(row["resource_limits"]),
        trigger_status=TriggerStatus.PAUSED if row["trigger_id"] in paused else TriggerStatus.ACTIVE,
        leases=frozenset(row["lease_keys"]),
        agents=row["agents"],
        workspaces=row["workspaces"],
    )
