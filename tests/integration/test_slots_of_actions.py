"""Slots where the effect is: an action takes its workspace's before it acts, whoever launched its run."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from dct_pipelines.domain.errors import ActionFailed, QuotaFull, StaleAttempt
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.domain.opening import workspace_id_of
from dct_pipelines.domain.outcome import done
from dct_pipelines.domain.quotas import AgentClass
from dct_pipelines.domain.words import WorkspaceState
from dct_pipelines.engine.execute import RunIdentity
from dct_pipelines.engine.needs import Needs, needs_of
from dct_pipelines.engine.slots import Slots
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.records import Records
from tests.support.command_line import *  # noqa: F403
from tests.support.recorded import workspace
from tests.support.stage import QUOTAS, Stage
from tests.support.workshop import *  # noqa: F403
from tests.support.workshop import Workshop

pytestmark = pytest.mark.integration
OPENS = [{"opens_workspace": True}]
LOOK = """---
kind: draft
name: look
title: "Look at {{ event.branch }}"
repository: shop
---
kind: trigger
name: look
items: [shop]
conditions:
  - type: branch_ready
    config: {branch: "feature/*", target_branch: qa, require_clean_merge: false}
actions:
  - {type: create_workspace, config: {draft: look, commit: "{{ event.head }}"}}
"""


@pytest.fixture
def stage(database: Database) -> Iterator[Stage]:
    """Room for one workspace."""
    stage = Stage(database, quotas=replace(QUOTAS, workspaces=1))
    stage.repository()
    yield stage
    stage.stop()


def held(stage: Stage) -> dict[UUID, tuple[UUID, int]]:
    """By holder: for which attempt it was taken."""
    with stage.database.begin() as connection:
        rows = connection.execute(select(tables.slots)).all()
    return {row.holder: (row.execution_id, row.attempt) for row in rows}


def test_a_slot_is_taken_before_the_action_acts_and_outlives_its_run(stage: Stage):
    seen = []

    def looks(*_):
        seen.append(held(stage))
        return done("looked")

    stage.behaviours["check"] = looks
    execution_id, run = stage.claimed("check", configs=OPENS)
    stage.perform(run)
    taken = {workspace_id_of(execution_id, "check"): (execution_id, 1)}
    assert seen == [taken]
    stage.executor.close(run)
    assert held(stage) == taken


def test_an_action_without_a_workspace_takes_none(stage: Stage):
    _, run = stage.claimed("check")
    stage.perform(run)
    assert held(stage) == {}


def test_a_full_quota_makes_the_execution_step_aside_before_anything_is_recorded(stage: Stage):
    _, first = stage.claimed("check", configs=OPENS)
    stage.perform(first)
    limits = {"retry": {"max_attempts": 2, "backoff_seconds": 0}}
    execution_id = stage.execution("uncertain", configs=OPENS, limits=limits, dispatched=False)
    for _ in range(3):
        run = stage.run(execution_id, stage.dispatch(execution_id))
        with pytest.raises(QuotaFull):
            stage.perform(run)
        row = stage.row(execution_id)
        assert (row.status, row.wait_reason) == ("waiting", "workspace_quota")
        assert row.wait_detail.startswith("uncertain: all 1 workspaces are taken")
        assert stage.result(execution_id) is None
    assert stage.attempts(execution_id) == ["cancelled"] * 3
    assert len(stage.effects) == 1


def test_one_that_stepped_aside_goes_on_when_a_workspace_was_archived(stage: Stage):
    holder, first = stage.claimed("check", configs=OPENS)
    stage.perform(first)
    execution_id, run = stage.claimed("check", configs=OPENS)
    with pytest.raises(QuotaFull):
        stage.perform(run)
    made = workspace(holder).model_copy(update={"id": workspace_id_of(holder, "check")})
    records = Records(stage.database, stage.read(holder))
    records.save_workspace(made)
    records.save_workspace(made.model_copy(update={"state": WorkspaceState.ARCHIVED}))
    stage.perform(stage.run(execution_id, stage.dispatch(execution_id)))
    assert list(held(stage).values()) == [(execution_id, 2)]
    assert len(stage.effects) == 2


def test_a_run_launched_by_hand_takes_its_slot_too(stage: Stage):
    _, first = stage.claimed("check", configs=OPENS)
    stage.perform(first)
    run = RunIdentity(str(uuid4()), "check", None, None, None)
    stage.gateway.begin(run.run_id, None, None)
    claim = stage.executor.claim(run, [{"type": "check", "config": OPENS[0]}])
    with pytest.raises(QuotaFull):
        stage.perform(run)
    assert stage.state(claim.execution_id) is ExecutionState.WAITING


def test_the_next_attempt_keeps_the_slot_of_the_one_that_died(stage: Stage):
    def fails(*_):
        raise ActionFailed("no")

    stage.behaviours["check"] = fails
    execution_id, run = stage.claimed("check", configs=OPENS)
    with pytest.raises(ActionFailed):
        stage.perform(run)
    del stage.behaviours["check"]
    again = stage.run(execution_id, None, parent=run.run_id)
    stage.executor.claim(again)
    stage.perform(again)
    assert held(stage) == {workspace_id_of(execution_id, "check"): (execution_id, 2)}


def test_the_sweep_frees_the_slot_of_a_workspace_that_never_came_to_be(stage: Stage):
    def fails(*_):
        raise ActionFailed("no")

    stage.behaviours["check"] = fails
    execution_id, run = stage.claimed("check", configs=OPENS)
    with pytest.raises(ActionFailed):
        stage.perform(run)
    report = stage.reconciler.sweep()
    assert str(report) == f"freed the slot of workspace {workspace_id_of(execution_id, 'check')}"
    assert held(stage) == {}


def test_many_runs_at_once_open_as_many_workspaces_as_the_quota_allows(database: Database):
    stage = Stage(database, quotas=replace(QUOTAS, workspaces=3))
    runs = [stage.claimed("check", configs=OPENS)[1] for _ in range(12)]

    def work(run: RunIdentity) -> bool:
        try:
            stage.process().perform(run, 0, stage.log.append)
        except QuotaFull:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        opened = list(pool.map(work, runs))
    stage.stop()
    assert (sum(opened), len(stage.effects), len(held(stage))) == (3, 3, 3)


def test_agents_take_renew_and_give_back_slots_of_their_class(stage: Stage):
    slots = Slots(stage.database, replace(QUOTAS, agents=3, agent_reservation_percent=34), stage.times)
    execution_id, _ = stage.claimed("check")
    execution = stage.read(execution_id)
    first, second, third = (uuid4() for _ in range(3))
    slots.take_agent(execution, first, AgentClass.STANDARD)
    slots.take_agent(execution, second, AgentClass.STANDARD)
    with pytest.raises(QuotaFull, match="kept for priority 8 and above"):
        slots.take_agent(execution, third, AgentClass.STANDARD)
    slots.take_agent(execution, third, AgentClass.HIGH)
    assert slots.renew_agent(first)
    slots.give_back_agent(first)
    assert not slots.renew_agent(first)
    assert held(stage).keys() == {second, third}


def test_an_attempt_that_was_overtaken_takes_no_slot(stage: Stage):
    slots = Slots(stage.database, QUOTAS, stage.times)
    execution_id, _ = stage.claimed("check")
    overtaken = stage.read(execution_id)
    stage.executor.claim(stage.run(execution_id, None))
    with pytest.raises(StaleAttempt):
        slots.take_workspace(replace(overtaken, attempt=overtaken.attempt - 1), uuid4())
    assert held(stage) == {}


def test_what_an_execution_needs_is_read_from_its_actions():
    actions = [
        {"type": "create_workspace", "config": {"draft": "review"}},
        {"type": "deploy_environment", "config": {"environment": "qa", "workspace": "{{ item.name }}"}},
        {"type": "deploy_environment", "config": {"environment": "qa"}},
        {"type": "create_workspace", "config": {"unknown": "key"}},
        {"type": "of_a_later_release", "config": {}},
    ]
    assert needs_of(actions) == Needs(agents=0, workspaces=2, lease_keys=("environment:qa",))


def test_an_execution_that_an_event_made_says_what_it_needs_and_takes_it(workshop: Workshop):
    shop = workshop.repository()
    workshop.watch("shop", more=LOOK)
    base = shop.head("main")
    assert base
    shop.commit("feature/pay", {"new": "text"}, parents=[base])
    workshop.tick()
    [order] = workshop.dispatch()
    assert workshop.execution(order).workspaces == 1
    assert workshop.carry_out(order).status == "completed"
    [slot], [made] = workshop.rows(tables.slots), workshop.rows(tables.workspaces)
    assert (slot.holder, slot.execution_id) == (made.id, order.execution_id)
