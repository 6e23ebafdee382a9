"""Dispatch: best first, each once, and the truthful reason for everything that waits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from dct_pipelines.domain.ageing import queue_priority
from dct_pipelines.domain.trigger import TriggerSpec
from dct_pipelines.engine.dispatch import Dispatcher
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from tests.support.stage import QUOTAS
from tests.support.world import World

JOBS = frozenset({"notify_users", "deploy_environment"})
DEPLOY = {"type": "deploy_environment", "config": {"environment": "qa"}}


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def dispatcher(world: World, **settings: Any) -> Dispatcher:
    defaults: dict[str, Any] = {"quotas": QUOTAS, "ageing_step_seconds": 300}
    return Dispatcher(world.database, world.clock, **defaults | settings)


def fire(world: World, *branches: str) -> None:
    world.intake.ingest(world.connection_id, world.page(*(world.assessed(branch) for branch in branches)))


def reasons(world: World) -> list[str | None]:
    return sorted(row["wait_reason"] for row in world.rows(tables.trigger_executions) if row["wait_reason"])


def test_an_order_carries_the_run_key_job_and_tags_of_its_attempt(world: World) -> None:
    world.trigger("to-qa", priority=7)
    fire(world, "feature/x")
    [order] = dispatcher(world).dispatch(JOBS, 10).orders
    assert order.run_key == f"{order.execution_id}:1"
    assert order.job_name == "notify_users"
    assert order.tags["dct/trigger"] == "to-qa"
    placed = queue_priority(7, world.clock.now(), 300)
    assert order.tags["dagster/priority"] == str(placed)
    assert [row["state"] for row in world.rows(tables.execution_attempts)] == ["dispatched"]


def test_many_dispatchers_at_once_hand_each_execution_over_once(world: World) -> None:
    world.trigger("to-qa")
    fire(world, *(f"feature/{n}" for n in range(20)))
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: dispatcher(world).dispatch(JOBS, 100), range(8)))
    handed = [order.execution_id for report in reports for order in report.orders]
    assert len(handed) == len(set(handed)) == 20


def test_a_job_that_is_not_loaded_yet_makes_its_executions_wait_for_it(world: World) -> None:
    world.trigger("to-qa")
    fire(world, "feature/x")
    report = dispatcher(world).dispatch(frozenset(), 10)
    assert report.missing_jobs == {"notify_users"}
    assert reasons(world) == ["job_loading"]
    assert [row["outcome"] for row in world.rows(tables.decisions)] == ["held"]


def test_a_second_deployment_to_a_busy_environment_waits_and_names_who_holds_it(world: World) -> None:
    world.trigger("to-qa", actions=[DEPLOY])
    fire(world, "feature/x", "feature/y")
    [order] = dispatcher(world).dispatch(JOBS, 10).orders
    assert reasons(world) == ["environment_busy"]
    waiting = [row for row in world.rows(tables.trigger_executions) if row["status"] == "waiting"]
    assert str(order.execution_id) in waiting[0]["wait_detail"]


def test_a_higher_priority_goes_first_until_the_lower_one_has_waited_long_enough(world: World) -> None:
    world.trigger("low", priority=1)
    fire(world, "feature/low")
    world.clock.advance(seconds=3000)
    world.trigger("high", priority=9)
    fire(world, "feature/high")
    orders = dispatcher(world).dispatch(JOBS, 10).orders
    assert [order.tags["dct/trigger"] for order in orders] == ["low", "high", "low"]


def test_a_paused_trigger_holds_what_already_waits(world: World) -> None:
    trigger_id = world.trigger("to-qa")
    fire(world, "feature/x")
    spec = world.rows(tables.trigger_versions)[0]["spec"]
    world.change(trigger_id, TriggerSpec.model_validate(spec), status="paused")
    assert dispatcher(world).dispatch(JOBS, 10).orders == ()
    assert reasons(world) == ["paused"]


def test_what_waits_for_a_paused_trigger_that_was_deleted_is_told_the_way_out(world: World) -> None:
    trigger_id = world.trigger("to-qa")
    fire(world, "feature/x")
    spec = world.rows(tables.trigger_versions)[0]["spec"]
    world.change(trigger_id, TriggerSpec.model_validate(spec), status="paused")
    with world.database.begin() as connection:
        connection.execute(update(tables.dynamic_context_triggers).values(deleted_at=world.clock.now()))
    assert dispatcher(world).dispatch(JOBS, 10).orders == ()
    [execution] = world.rows(tables.trigger_executions)
    assert "resume" not in execution["wait_detail"]
    assert f"`dct execution cancel {execution['id']}`" in execution["wait_detail"]


def test_no_more_than_the_window_is_handed_over(world: World) -> None:
    world.trigger("to-qa")
    fire(world, *(f"feature/{n}" for n in range(9)))
    report = dispatcher(world, quotas=replace(QUOTAS, executions=2)).dispatch(JOBS, 100)
    assert len(report.orders) == 4
    assert report.waiting == {"run_slots": 5}


def test_an_execution_that_pauses_keeps_the_reason_that_its_pause_was_given(world: World) -> None:
    trigger_id = world.trigger("to-qa")
    fire(world, "feature/x")
    executions = tables.trigger_executions
    until = world.clock.now() + timedelta(minutes=1)
    for reason in ("environment_busy", "retry_backoff", "workspace_quota"):
        with world.database.begin() as connection:
            waits = {"not_before": until, "wait_reason": reason, "wait_detail": "for long", "attempt": 1}
            connection.execute(update(executions).values(**waits))
        assert dispatcher(world).dispatch(JOBS, 10).orders == ()
        assert reasons(world) == [reason]
    spec = world.rows(tables.trigger_versions)[0]["spec"]
    world.change(trigger_id, TriggerSpec.model_validate(spec), status="paused")
    world.clock.advance(seconds=61)
    assert dispatcher(world).dispatch(JOBS, 10).orders == ()
    assert reasons(world) == ["paused"]
    world.change(trigger_id, TriggerSpec.model_validate(spec))
    [order] = dispatcher(world).dispatch(JOBS, 10).orders
    assert order.attempt == 2
