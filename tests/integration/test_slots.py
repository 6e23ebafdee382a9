"""Slots: counted exactly, never twice, and freed when their holder is dead."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, text, update

from dct_pipelines.domain.errors import QuotaFull
from dct_pipelines.domain.quotas import AgentClass, Quotas, SlotKind, Usage
from dct_pipelines.domain.words import WaitReason, WorkspaceState
from dct_pipelines.store import slots, tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.slots import Slot
from tests.support.recorded import workspace
from tests.support.stage import Stage

pytestmark = pytest.mark.integration
STALE_SECONDS = 5


@pytest.fixture
def stage(database: Database) -> Iterator[Stage]:
    stage = Stage(database)
    stage.repository()
    yield stage
    stage.stop()


def quotas(*, agents: int = 10, reserved: int = 30, workspaces: int = 2, enabled: bool = True) -> Quotas:
    return Quotas(50, agents, reserved, workspaces, enabled)


def usage(database: Database) -> Usage:
    with database.begin() as connection:
        return slots.usage(connection)


def take(database: Database, slot: Slot, limits: Quotas) -> bool:
    """Whether it got one."""
    try:
        with database.begin() as connection:
            slots.take(connection, slot, limits)
    except QuotaFull:
        return False
    return True


def agent(of_class: AgentClass = AgentClass.STANDARD, execution_id: UUID | None = None) -> Slot:
    return Slot(SlotKind.AGENT, uuid4(), of_class, execution_id)


def make_workspace(stage: Stage, execution_id: UUID, state: WorkspaceState = WorkspaceState.OPEN) -> UUID:
    """A row of `workspaces`."""
    made = workspace(execution_id).model_copy(update={"id": uuid4(), "state": state})
    with stage.database.begin() as connection:
        connection.execute(insert(tables.workspaces).values(**made.model_dump()))
    return made.id


def held(database: Database) -> set[UUID]:
    with database.begin() as connection:
        return set(connection.scalars(select(tables.slots.c.holder)))


def reclaim(database: Database) -> list[str]:
    with database.begin() as connection:
        return slots.reclaim(connection, STALE_SECONDS)


def age(database: Database, seconds: int) -> None:
    """Let every agent's last sign of life lie that far back, and the server have been there since."""
    up = text(f"SELECT clock_timestamp() - pg_postmaster_start_time() > interval '{STALE_SECONDS} s'")
    with database.begin() as connection:
        while not connection.scalar(up):
            time.sleep(0.2)
        back = text(f"UPDATE dct.slots SET heartbeat_at = clock_timestamp() - interval '{seconds} s'")
        connection.execute(back)


def test_nothing_is_in_use_at_first(database: Database):
    assert usage(database) == Usage()


def test_a_full_quota_is_refused_with_its_reason_and_keeps_nothing(database: Database):
    for _ in range(2):
        assert take(database, Slot(SlotKind.WORKSPACE, uuid4()), quotas())
    with pytest.raises(QuotaFull, match="all 2 workspaces are taken") as full, database.begin() as connection:
        slots.take(connection, Slot(SlotKind.WORKSPACE, uuid4()), quotas())
    assert full.value.wait_reason is WaitReason.WORKSPACE_QUOTA
    assert usage(database) == Usage(workspaces=2)


def test_a_holder_keeps_its_slot_also_when_the_quota_was_lowered(database: Database):
    slot = Slot(SlotKind.WORKSPACE, uuid4())
    assert take(database, slot, quotas())
    assert take(database, slot, quotas(workspaces=0))
    assert usage(database).workspaces == 1


def test_standard_agents_leave_the_reserve_free_and_high_ones_may_have_all(database: Database):
    limits = quotas(agents=10, reserved=30)
    assert [take(database, agent(), limits) for _ in range(8)] == [True] * 7 + [False]
    assert [take(database, agent(AgentClass.HIGH), limits) for _ in range(4)] == [True] * 3 + [False]
    assert usage(database) == Usage(agents=10, standard_agents=7)


def test_quotas_that_are_off_refuse_nothing_and_count_all_the_same(database: Database):
    limits = quotas(workspaces=0, enabled=False)
    assert take(database, Slot(SlotKind.WORKSPACE, uuid4()), limits)
    assert usage(database).workspaces == 1


def test_an_execution_at_work_counts_what_it_will_take(stage: Stage):
    stage.execution(priority=5, agents=3, workspaces=1)
    stage.execution(priority=8, agents=2)
    stage.execution(dispatched=False, agents=9, workspaces=9)
    found = usage(stage.database)
    assert found == Usage(executions=2, agents=5, standard_agents=3, workspaces=1)
    assert {type(count) for count in astuple(found)} == {int}


def test_what_an_execution_has_taken_is_not_counted_twice(stage: Stage):
    execution_id = stage.execution(agents=2, workspaces=1)
    take(stage.database, Slot(SlotKind.WORKSPACE, uuid4(), None, execution_id), quotas())
    take(stage.database, agent(execution_id=execution_id), quotas())
    assert usage(stage.database) == Usage(executions=1, agents=2, standard_agents=2, workspaces=1)


def test_what_one_execution_has_taken_is_expected_of_the_others_all_the_same(stage: Stage):
    first, _ = (stage.execution(agents=1, workspaces=1) for _ in range(2))
    take(stage.database, Slot(SlotKind.WORKSPACE, uuid4(), None, first), quotas())
    take(stage.database, agent(execution_id=first), quotas())
    assert usage(stage.database) == Usage(executions=2, agents=2, standard_agents=2, workspaces=2)
    make_workspace(stage, first, WorkspaceState.ARCHIVED)
    assert usage(stage.database).workspaces == 2


def test_a_workspace_that_its_execution_archived_again_is_expected_no_more(stage: Stage):
    execution_id = stage.execution(workspaces=1)
    make_workspace(stage, execution_id, WorkspaceState.ARCHIVED)
    assert usage(stage.database) == Usage(executions=1)


def test_slots_outlive_their_execution(stage: Stage):
    execution_id = stage.execution(agents=1)
    take(stage.database, agent(execution_id=execution_id), quotas())
    stage.set(execution_id, status="completed")
    assert usage(stage.database) == Usage(agents=1, standard_agents=1)


def test_only_agents_that_gave_no_sign_of_life_lose_their_slot(database: Database):
    silent, living = agent(), agent()
    take(database, silent, quotas())
    take(database, living, quotas())
    age(database, STALE_SECONDS + 1)
    with database.begin() as connection:
        assert slots.renew(connection, living.holder)
    assert reclaim(database) == [f"agent {silent.holder}"]
    with database.begin() as connection:
        assert not slots.renew(connection, silent.holder)
    assert held(database) == {living.holder}


def test_a_workspace_keeps_its_slot_until_it_is_archived(stage: Stage):
    execution_id = stage.execution(workspaces=1)
    workspace_id = make_workspace(stage, execution_id)
    take(stage.database, Slot(SlotKind.WORKSPACE, workspace_id, None, execution_id), quotas())
    stage.set(execution_id, status="completed")
    assert reclaim(stage.database) == []
    with stage.database.begin() as connection:
        connection.execute(update(tables.workspaces).values(state="archived"))
    assert reclaim(stage.database) == [f"workspace {workspace_id}"]


def test_a_workspace_that_never_came_to_be_loses_its_slot_once_nobody_works_on_it(stage: Stage):
    execution_id = stage.execution(workspaces=1)
    holder = uuid4()
    take(stage.database, Slot(SlotKind.WORKSPACE, holder, None, execution_id), quotas())
    assert reclaim(stage.database) == []
    stage.set(execution_id, status="failed")
    assert reclaim(stage.database) == [f"workspace {holder}"]


def test_a_live_workspace_without_a_slot_gets_one_also_beyond_the_quota(stage: Stage):
    execution_id = stage.execution()
    open_, _ = (
        make_workspace(stage, execution_id),
        make_workspace(stage, execution_id, WorkspaceState.ARCHIVED),
    )
    for _ in range(2):
        with stage.database.begin() as connection:
            slots.renew_workspaces(connection)
    assert held(stage.database) == {open_}


def test_many_that_take_and_give_back_at_once_never_exceed_a_quota(database: Database):
    limits = quotas(agents=8, reserved=50, workspaces=3)

    def works(seed: int) -> list[Usage]:
        chance, mine, seen = random.Random(seed), [], []
        for _ in range(25):
            kind = chance.choice(list(SlotKind))
            of_class = chance.choice(list(AgentClass)) if kind is SlotKind.AGENT else None
            slot = Slot(kind, uuid4(), of_class)
            if take(database, slot, limits):
                mine.append(slot)
            seen.append(usage(database))
            if mine and chance.random() < 0.6:
                gone = mine.pop(chance.randrange(len(mine)))
                with database.begin() as connection:
                    slots.give_back(connection, gone.kind, gone.holder)
        return seen

    with ThreadPoolExecutor(8) as pool:
        seen = [one for many in pool.map(works, range(8)) for one in many]
    assert max(one.agents for one in seen) <= limits.agents
    assert max(one.standard_agents for one in seen) <= limits.standard_agents
    assert max(one.workspaces for one in seen) <= limits.workspaces
