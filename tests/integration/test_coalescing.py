"""Debounce and coalesce: what is put off until when, which firing stands for which; both are told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from dct_pipelines.engine.dispatch import Dispatcher
from dct_pipelines.engine.explain import Explainer
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.executions.transitions import reopen
from tests.support.stage import QUOTAS
from tests.support.world import World

JOBS = frozenset({"notify_users"})


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def fire(world: World, branch: str = "feature/x") -> UUID:
    """Fire once more for a branch; returns the execution."""
    before = {row["id"] for row in world.rows(tables.trigger_executions)}
    head = f"{len(before) + 1:040x}"
    world.intake.ingest(world.connection_id, world.page(world.assessed(branch, head=head)))
    [new] = {row["id"] for row in world.rows(tables.trigger_executions)} - before
    return new


def dispatch(world: World) -> list[UUID]:
    report = Dispatcher(world.database, world.clock, QUOTAS, 300).dispatch(JOBS, 10)
    return [order.execution_id for order in report.orders]


def row(world: World, execution_id: UUID) -> dict[str, Any]:
    return next(one for one in world.rows(tables.trigger_executions) if one["id"] == execution_id)


def end(world: World) -> None:
    """Whatever was handed over has ended."""
    with world.database.begin() as connection:
        dispatched = tables.trigger_executions.c.status == "dispatched"
        connection.execute(tables.trigger_executions.update().where(dispatched).values(status="completed"))


def test_a_firing_is_put_off_until_its_subject_was_quiet_for_that_long(world: World) -> None:
    world.trigger("to-qa", limits={"debounce_ms": 5000})
    first = fire(world)
    assert dispatch(world) == []
    assert row(world, first)["wait_reason"] == "debounce"
    world.clock.advance(seconds=4)
    second = fire(world)
    world.clock.advance(seconds=4)
    assert dispatch(world) == []
    assert row(world, first)["not_before"] == world.clock.now() + timedelta(seconds=1)
    world.clock.advance(seconds=1)
    assert dispatch(world) == [first]
    end(world)
    assert dispatch(world) == [second]


def test_another_subject_does_not_put_it_off(world: World) -> None:
    world.trigger("to-qa", limits={"debounce_ms": 5000})
    first = fire(world)
    world.clock.advance(seconds=4)
    fire(world, "feature/y")
    world.clock.advance(seconds=1)
    assert dispatch(world) == [first]


@pytest.mark.parametrize("coalesce", ["all", "latest"])
def test_a_steady_stream_puts_it_off_ten_times_as_long_at_most(world: World, coalesce: str) -> None:
    world.trigger("to-qa", limits={"debounce_ms": 5000, "coalesce": coalesce})
    fired = []
    for _ in range(16):
        fired.append(fire(world))
        world.clock.advance(seconds=3)
        assert dispatch(world) == []
    world.clock.advance(seconds=2)
    assert dispatch(world) == [fired[0] if coalesce == "all" else fired[-1]]


def test_of_several_that_wait_only_the_latest_is_carried_out_and_the_others_name_it(world: World) -> None:
    world.trigger("to-qa", limits={"coalesce": "latest"})
    first, other = fire(world), fire(world, "feature/y")
    second, third = fire(world), fire(world)
    assert sorted(dispatch(world)) == sorted([third, other])
    assert [row(world, one)["status"] for one in (first, second)] == ["cancelled", "cancelled"]
    assert row(world, first)["error_message"].startswith(f"superseded by execution {second}")
    assert row(world, second)["error_message"].startswith(f"superseded by execution {third}")
    assert row(world, third)["waits_since"] == row(world, first)["created_at"]


def test_one_page_with_many_firings_for_a_subject_leaves_the_latest(world: World) -> None:
    world.trigger("to-qa", limits={"coalesce": "latest"})
    events = (world.assessed("feature/x", head=f"{number:040x}") for number in range(1, 6))
    world.intake.ingest(world.connection_id, world.page(*events))
    assert len(dispatch(world)) == 1
    states = sorted(one["status"] for one in world.rows(tables.trigger_executions))
    assert states == ["cancelled"] * 4 + ["dispatched"]
    [trigger] = world.rows(tables.dynamic_context_triggers)
    assert trigger["execution_count"] == 5


def test_what_has_begun_goes_on_and_the_latest_follows_it(world: World) -> None:
    world.trigger("to-qa", limits={"coalesce": "latest"})
    first = fire(world)
    assert dispatch(world) == [first]
    second, third = fire(world), fire(world)
    assert dispatch(world) == []
    assert row(world, second)["status"] == "cancelled"
    with world.database.begin() as connection:
        tried = tables.trigger_executions.c.id == first
        connection.execute(tables.trigger_executions.update().where(tried).values(status="waiting"))
    assert dispatch(world) == [first]
    end(world)
    assert dispatch(world) == [third]


def test_what_was_superseded_may_be_asked_for_again_by_hand(world: World) -> None:
    world.trigger("to-qa", limits={"coalesce": "latest"})
    first, second = fire(world), fire(world)
    with world.database.begin() as connection:
        reopen(connection, first, "asked for again by kim")
    assert dispatch(world) == [first]
    end(world)
    assert dispatch(world) == [second]


def test_explaining_says_what_a_debounce_holds_until_when_and_what_was_superseded(world: World) -> None:
    world.trigger("to-qa", limits={"debounce_ms": 5000, "coalesce": "latest"})
    first, second = fire(world), fire(world)
    explainer = Explainer(world.database, world.clock, world.decider)
    said = explainer.execution(first).events[0].decisions[0].in_words()
    assert f"is cancelled: superseded by execution {second}" in said
    said = explainer.execution(second).events[0].decisions[0].in_words()
    assert "was held by a limit" in said
    until = world.clock.now() + timedelta(seconds=5)
    assert "waits: debounce (until nothing fired it for its subject for 5 s" in said
    assert f"until {until:%Y-%m-%d %H:%M:%S} utc" in said
