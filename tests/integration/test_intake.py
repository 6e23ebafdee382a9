"""Intake: one transaction a page, each event once, decided in one total order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import insert

from dct_pipelines.domain.trigger import TriggerSpec
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from tests.support.world import NOTIFY, READY, World


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def test_an_event_that_matches_makes_one_waiting_execution_and_a_decision_that_says_why(world: World) -> None:
    trigger_id = world.trigger("to-qa")
    report = world.intake.ingest(world.connection_id, world.page(world.assessed("feature/x")))
    assert (report.decided.fired, len(report.events)) == (1, 1)
    [execution], [decision] = world.rows(tables.trigger_executions), world.rows(tables.decisions)
    assert execution["status"] == "waiting"
    assert execution["trigger_id"] == trigger_id == decision["trigger_id"]
    assert execution["context_snapshot"]["event"]["branch"] == "feature/x"
    assert decision["outcome"] == "fired"
    assert "feature/x" in decision["because"]
    assert decision["execution_id"] == execution["id"]


def test_a_page_that_is_read_again_stores_and_fires_nothing_again(world: World) -> None:
    world.trigger("to-qa")
    page = world.page(world.assessed("feature/x"))
    world.intake.ingest(world.connection_id, page)
    report = world.intake.ingest(world.connection_id, page)
    assert (len(report.events), report.repeats, report.decided.fired) == (0, 1, 0)
    assert len(world.rows(tables.trigger_executions)) == 1


def test_the_same_change_reported_twice_in_one_page_is_one_event(world: World) -> None:
    world.trigger("to-qa")
    draft = world.assessed("feature/x")
    report = world.intake.ingest(world.connection_id, world.page(draft, draft))
    assert (len(report.events), report.decided.fired) == (1, 1)


def test_a_trigger_fires_once_for_a_head_even_when_two_events_say_that_it_is_ready(world: World) -> None:
    world.trigger("to-qa")
    world.intake.ingest(world.connection_id, world.page(world.assessed("feature/x")))
    report = world.intake.ingest(world.connection_id, world.page(world.assessed("feature/x", behind=1)))
    assert (report.decided.fired, report.decided.deduplicated) == (0, 1)
    outcomes = sorted(row["outcome"] for row in world.rows(tables.decisions))
    assert outcomes == ["deduplicated", "fired"]


def test_two_events_for_one_head_in_one_page_fire_once(world: World) -> None:
    world.trigger("to-qa")
    both = world.page(world.assessed("feature/x"), world.assessed("feature/x", behind=1))
    report = world.intake.ingest(world.connection_id, both)
    assert (report.decided.fired, report.decided.deduplicated) == (1, 1)


def test_a_plain_no_leaves_no_row(world: World) -> None:
    world.trigger("to-qa")
    world.intake.ingest(world.connection_id, world.page(world.assessed("feature/x", ahead=0)))
    assert world.rows(tables.decisions) == []
    assert len(world.rows(tables.events)) == 1


def test_many_pages_at_once_give_events_one_gapless_order(world: World) -> None:
    world.trigger("to-qa")
    pages = [world.page(*(world.assessed(f"feature/{p}-{n}") for n in range(5))) for p in range(8)]
    with ThreadPoolExecutor(8) as pool:
        reports = list(pool.map(lambda page: world.intake.ingest(world.connection_id, page), pages))
    assert sum(report.decided.fired for report in reports) == 40
    assert sorted(row["seq"] for row in world.rows(tables.events)) == list(range(1, 41))
    for report in reports:
        seqs = [event.seq for event in report.events]
        assert seqs == list(range(seqs[0], seqs[0] + 5))


def test_the_same_page_from_a_poll_and_a_webhook_at_once_is_taken_in_once(world: World) -> None:
    world.trigger("to-qa")
    page = world.page(*(world.assessed(f"feature/{n}") for n in range(10)))
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: world.intake.ingest(world.connection_id, page), range(4)))
    assert sum(len(report.events) for report in reports) == 10
    assert len(world.rows(tables.trigger_executions)) == 10


def test_what_happened_before_a_trigger_was_active_is_ignored_and_says_so(world: World) -> None:
    draft = world.assessed("feature/x").model_copy(
        update={"occurred_at": world.clock.now() - timedelta(seconds=1)}
    )
    world.trigger("to-qa")
    report = world.intake.ingest(world.connection_id, world.page(draft))
    assert (report.decided.fired, report.decided.ignored) == (0, 1)
    assert [row["ignored_because"] for row in world.rows(tables.decisions)] == ["older_than_trigger"]


def test_a_paused_trigger_records_what_it_would_have_fired_on(world: World) -> None:
    world.trigger("to-qa", status="paused")
    report = world.intake.ingest(world.connection_id, world.page(world.assessed("feature/x")))
    assert report.decided.ignored == 1
    assert [row["ignored_because"] for row in world.rows(tables.decisions)] == ["trigger_paused"]


def test_an_event_of_our_own_write_carries_its_cause_and_does_not_fire_its_own_trigger(world: World) -> None:
    trigger_id = world.trigger("to-qa", on_own_writes=True)
    execution_id = uuid4()
    with world.database.begin() as connection:
        connection.execute(
            insert(tables.own_writes).values(
                item_id=world.item_id, external_id="c" * 40, execution_id=execution_id, chain=[trigger_id]
            )
        )
    draft = world.assessed("feature/x").model_copy(update={"external_ids": ("c" * 40,)})
    report = world.intake.ingest(world.connection_id, world.page(draft))
    assert report.decided.ignored == 1
    cause = report.events[0].cause
    assert cause is not None
    assert cause.execution_id == execution_id


def test_another_trigger_in_the_wake_fires_only_when_it_says_so_and_keeps_the_chain(world: World) -> None:
    first = uuid4()
    second = world.trigger("wants-own-writes", on_own_writes=True)
    world.trigger("does-not")
    with world.database.begin() as connection:
        connection.execute(
            insert(tables.own_writes).values(
                item_id=world.item_id, external_id="c" * 40, execution_id=uuid4(), chain=[first]
            )
        )
    draft = world.assessed("feature/x").model_copy(update={"external_ids": ("c" * 40,)})
    report = world.intake.ingest(world.connection_id, world.page(draft))
    assert (report.decided.fired, report.decided.ignored) == (1, 1)
    [execution] = world.rows(tables.trigger_executions)
    assert execution["cause_chain"] == [first, second]


def test_a_change_of_a_trigger_counts_from_the_next_event_on(world: World) -> None:
    trigger_id = world.trigger("to-qa")
    world.intake.ingest(world.connection_id, world.page(world.assessed("feature/x")))
    narrower = {"type": "branch_ready", "config": {"branch": "release/*", "target_branch": "qa"}}
    spec = {"name": "to-qa", "items": ["sample"], "conditions": [narrower], "actions": [NOTIFY]}
    world.change(trigger_id, TriggerSpec.model_validate(spec))
    report = world.intake.ingest(world.connection_id, world.page(world.assessed("feature/y")))
    assert report.decided.fired == 0


def test_with_all_the_other_condition_looks_at_the_state_stored_with_the_event(world: World) -> None:
    passed = {"type": "tests_passed", "config": {"checks": ["unit"]}}
    world.trigger("both", match="all", conditions=[READY, passed])
    red = world.state("feature/x", checks={"unit": "failure"})
    green = world.state("feature/y", checks={"unit": "success"})
    page = world.page(world.assessed("feature/x"), world.assessed("feature/y"), snapshots=(red, green))
    world.intake.ingest(world.connection_id, page)
    assert [row["subject"] for row in world.rows(tables.trigger_executions)] == ["refs/heads/feature/y"]


def test_a_fault_in_the_middle_of_a_page_stores_nothing_of_it(world: World) -> None:
    world.trigger("to-qa")
    bad = world.page(
        world.assessed("feature/x"), snapshots=(world.state("x").model_copy(update={"item_id": None}),)
    )
    broken = bad.snapshots[0].model_copy(update={"subject": None})
    with pytest.raises(Exception, match="null value"):
        world.intake.ingest(world.connection_id, world.page(world.assessed("feature/x"), snapshots=(broken,)))
    assert world.rows(tables.events) == []
    assert world.rows(tables.event_keys) == []
    report = world.intake.ingest(world.connection_id, world.page(world.assessed("feature/x")))
    assert report.decided.fired == 1


@pytest.mark.parametrize(("role", "is_active"), [("tester", True), ("developer", False)])
def test_a_trigger_whose_owner_may_not_do_it_any_more_is_ignored_and_says_so(
    world: World, role: str, is_active: bool
) -> None:
    world.trigger("to-qa", created_by="somebody")
    with world.database.begin() as connection:
        connection.execute(insert(tables.users).values(name="somebody", role=role, is_active=is_active))
    report = world.intake.ingest(world.connection_id, world.page(world.assessed("feature/x")))
    assert (report.decided.fired, report.decided.ignored) == (0, 1)
    [decision] = world.rows(tables.decisions)
    assert decision["ignored_because"] == "owner_not_permitted"
    assert "its owner somebody" in decision["because"]
