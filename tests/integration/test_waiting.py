"""Why executions wait, who is ahead and until when: true also of what no pass has looked at."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from dct_pipelines.domain.quotas import Quotas
from dct_pipelines.domain.trigger import ResourceLimits
from dct_pipelines.domain.words import WaitReason
from dct_pipelines.engine.waiting import Wait, WaitingService
from dct_pipelines.settings import Settings
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.lane import Lane
from tests.integration.test_dispatch_many import JOB, STEP, dispatch, wait
from tests.support.stage import QUOTAS
from tests.support.world import World


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def service(world: World, quotas: Quotas = QUOTAS) -> WaitingService:
    return WaitingService(world.database, world.clock, quotas, STEP, lambda: frozenset({JOB}))


def why(world: World, execution_id: UUID) -> Wait:
    return service(world).of([execution_id])[execution_id]


def pause(world: World, trigger_id: UUID) -> None:
    with world.database.begin() as connection:
        row = tables.dynamic_context_triggers.c.id == trigger_id
        connection.execute(update(tables.dynamic_context_triggers).where(row).values(status="paused"))


def counts(world: World) -> dict[WaitReason | None, int]:
    return {one.reason: one.count for one in service(world).by_reason()}


def test_what_waits_for_a_paused_trigger_says_so_however_many_are_before_it(world: World) -> None:
    trigger_id = world.trigger("to-qa")
    waiting = wait(world, trigger_id, 80)
    pause(world, trigger_id)
    dispatch(world)
    last = why(world, waiting[-1])
    assert (last.reason, last.ahead) == (WaitReason.PAUSED, 0)
    assert counts(world) == {WaitReason.PAUSED: 80}


def test_the_place_counts_all_that_is_ahead_by_aged_priority(world: World) -> None:
    low, high = world.trigger("low", priority=1), world.trigger("high", priority=9)
    [first] = wait(world, low, 1, priority=1)
    highs = wait(world, high, 5, priority=9)
    assert why(world, first).ahead == 5
    since = world.clock.now() - timedelta(hours=3)
    with world.database.begin() as connection:
        row = tables.trigger_executions.c.id == first
        connection.execute(update(tables.trigger_executions).where(row).values(waits_since=since))
    assert why(world, first).ahead == 0
    assert why(world, highs[0]).ahead == 1


def test_what_is_paused_does_not_count_as_ahead(world: World) -> None:
    paused, active = world.trigger("paused", priority=9), world.trigger("active", priority=1)
    wait(world, paused, 5, priority=9)
    retrying = {"subject": "one that failed", "not_before": world.clock.now() + timedelta(hours=1)}
    wait(world, active, 4, priority=8, **retrying)
    [first, second] = wait(world, active, 2, priority=1)
    assert why(world, second).ahead == 6
    pause(world, paused)
    told = service(world, Quotas(1, 100, 30, 200)).of([first, second])
    assert [(told[one].reason, told[one].ahead) for one in (first, second)] == [(None, 0), (None, 1)]


def test_of_a_line_each_names_the_one_that_goes_first(world: World) -> None:
    line = wait(world, world.trigger("to-qa"), 4, subject="one")
    waits = service(world).of(line)
    assert waits[line[0]].reason is None
    assert {(waits[one].reason, waits[one].behind) for one in line[1:]} == {(WaitReason.ITEM_BUSY, line[0])}
    assert counts(world) == {WaitReason.ITEM_BUSY: 3, None: 1}
    dispatch(world)
    assert why(world, line[1]).behind == line[0]
    assert counts(world) == {WaitReason.ITEM_BUSY: 3}


def test_a_rate_and_a_pause_say_until_when(world: World) -> None:
    limits = ResourceLimits(max_executions_per_hour=1).model_dump(mode="json")
    waiting = wait(world, world.trigger("to-qa"), 2, resource_limits=limits)
    dispatch(world)
    assert why(world, waiting[1]).until == world.clock.now() + timedelta(hours=1)
    until = world.clock.now() + timedelta(minutes=5)
    told: dict[str, Any] = {
        "not_before": until,
        "wait_reason": "retry_backoff",
        "wait_detail": "its run died",
    }
    with world.database.begin() as connection:
        row = tables.trigger_executions.c.id == waiting[1]
        connection.execute(update(tables.trigger_executions).where(row).values(**told))
    paused = why(world, waiting[1])
    assert (paused.reason, paused.detail, paused.until) == (WaitReason.RETRY_BACKOFF, "its run died", until)
    [counted] = service(world).by_reason()
    assert (counted.reason, counted.until) == (WaitReason.RETRY_BACKOFF, until)


def test_what_nothing_blocks_waits_for_its_turn_or_for_a_slot(world: World) -> None:
    waiting = wait(world, world.trigger("to-qa"), 9)
    one_slot = Quotas(1, 100, 30, 200)
    waits = service(world, one_slot).of(waiting)
    assert [waits[one].reason for one in waiting] == [None] * 2 + [WaitReason.RUN_SLOTS] * 7
    assert waits[waiting[-1]].detail == "8 that wait come before it"


def test_who_holds_an_environment_is_named_to_all_that_wait_for_it(world: World) -> None:
    waiting = wait(world, world.trigger("to-qa"), 30, lease_keys=["environment:qa"])
    [order] = dispatch(world).orders
    told = why(world, waiting[-1])
    assert told.reason is WaitReason.ENVIRONMENT_BUSY
    assert str(order.execution_id) in told.detail


def test_what_does_not_wait_has_no_reason_to(world: World) -> None:
    [first] = wait(world, world.trigger("to-qa"), 1)
    dispatch(world)
    assert service(world).of([first]) == {}
    told = [{"id": first, "status": "dispatched"}]
    service(world).tell(told)
    assert told[0]["ahead"] is None


def test_where_a_daemon_starts_what_has_a_slot_nothing_else_is_said_to_be_next(
    world: World, database_settings: Settings
) -> None:
    two = replace(QUOTAS, executions=2)
    waiting = wait(world, world.trigger("to-qa"), 5)
    lane = Lane(database_settings)
    assert lane.take()
    try:
        dispatch(world, limit=2, quotas=two)
        held = service(world, two)
        assert held.of([waiting[2]])[waiting[2]].reason is WaitReason.RUN_SLOTS
        assert {one.reason: one.count for one in held.by_reason()} == {WaitReason.RUN_SLOTS: 3}
    finally:
        lane.leave()
    assert service(world, two).of([waiting[2]])[waiting[2]].reason is None
