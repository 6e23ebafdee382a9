"""Thousands of runs of mixed priority and needs, through the limits of Dagster's queue and through slots.

No limit is ever exceeded, and what is reserved is there for high priority whenever it asks, whatever happens
in which order: agents that outlive their runs, runs by hand, quotas that change.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from dagster._utils.tags import TagConcurrencyLimitsCounter
from sqlalchemy import Connection, insert, update

from dct_pipelines.domain.errors import QuotaFull
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.domain.quotas import AgentClass, Quota, Quotas, SlotKind, Usage, agent_class
from dct_pipelines.instance.coordinator import tag_limits
from dct_pipelines.store import quotas, slots, tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.slots import Slot

pytestmark = pytest.mark.integration
DEFAULTS = Quotas(executions=60, agents=20, agent_reservation_percent=30, workspaces=15)
TICKS = 80
ARRIVALS = 24
"""Fewer than so many runs arrive in one tick, on average half of it."""


@dataclass(eq=False)
class Run:
    """A run with what it still has to take. One by hand carries no tags until it has stepped aside."""

    priority: int
    agents: int
    workspaces: int
    by_hand: bool = False
    id: UUID = field(default_factory=uuid4)
    to_take: list[Slot] = field(default_factory=list)
    taken: list[Slot] = field(default_factory=list)

    def __post_init__(self) -> None:
        of_class = agent_class(self.priority)
        self.to_take = [Slot(SlotKind.AGENT, uuid4(), of_class, self.id, 1) for _ in range(self.agents)]
        self.to_take += [Slot(SlotKind.WORKSPACE, uuid4(), None, self.id, 1) for _ in range(self.workspaces)]

    @property
    def tags(self) -> dict[str, str]:
        tags: dict[str, str] = {}
        if self.agents and not self.by_hand:
            tags |= {"dct/agent": str(self.agents), "dct/agent_class": agent_class(self.priority)}
        if self.workspaces and not self.by_hand:
            tags["dct/workspace"] = str(self.workspaces)
        return tags

    @property
    def row(self) -> dict[str, Any]:
        needs = {"priority": self.priority, "agents": self.agents, "workspaces": self.workspaces}
        made = {"id": self.id, "triggered_by": "event", "created_by": "tests", "job_name": "job"}
        return made | needs | {"status": "running" if self.by_hand else "waiting"}


class Simulation:
    """A deployment whose time goes in ticks; each happens in one transaction."""

    def __init__(self, seed: int, most_agents: int = 1, by_hand: float = 0.0) -> None:
        self.chance = random.Random(seed)
        self.most_agents, self.by_hand = most_agents, by_hand
        self.waiting: list[Run] = []
        self.active: list[Run] = []
        self.living: list[Slot] = []
        """Slots that have outlived their runs."""
        self.arrived = self.ended = self.refused = 0

    def arrive(self, connection: Connection) -> None:
        made = [self._run() for _ in range(self.chance.randrange(ARRIVALS))]
        if made:
            connection.execute(insert(tables.trigger_executions), [run.row for run in made])
        self.arrived += len(made)
        self.active += [run for run in made if run.by_hand]
        self.waiting += [run for run in made if not run.by_hand]

    def start(self, connection: Connection) -> None:
        """A pass of Dagster's queue."""
        in_force = quotas.in_force(connection, DEFAULTS)
        limits = tag_limits(in_force, slots.usage_beyond_runs(connection), {})
        active: list[Any] = list(self.active)  # it reads nothing but their tags
        counter: Any = TagConcurrencyLimitsCounter(limits, active)
        room = in_force.executions - len(self.active)
        started: list[Run] = []
        for run in sorted(self.waiting, key=lambda run: -run.priority):
            if len(started) < room and not counter.is_blocked(run):
                counter.update_counters_with_launched_item(run)
                started.append(run)
        self._move(connection, started, ExecutionState.RUNNING)
        self.waiting = [run for run in self.waiting if run not in started]
        self.active += started

    def work(self, connection: Connection) -> None:
        """Some runs take a slot each, or step aside when there is none."""
        in_force = quotas.in_force(connection, DEFAULTS)
        aside: list[Run] = []
        for run in self.chance.sample(self.active, len(self.active)):
            if not run.to_take or self.chance.random() < 0.5:
                continue
            try:
                slots.take(connection, run.to_take[-1], in_force)
                run.taken.append(run.to_take.pop())
            except QuotaFull:
                self.refused += 1
                aside.append(run)
        self._move(connection, aside, ExecutionState.WAITING)
        self.active = [run for run in self.active if run not in aside]
        for run in aside:
            run.by_hand = False
        self.waiting += aside

    def end(self, connection: Connection) -> None:
        """Some runs are done, and some of what outlived theirs ends."""
        done = [run for run in self.active if not run.to_take and self.chance.random() < 0.5]
        self._move(connection, done, ExecutionState.COMPLETED)
        self.active = [run for run in self.active if run not in done]
        self.living += [slot for run in done for slot in run.taken]
        self.ended += len(done)
        gone = [slot for slot in self.living if self.chance.random() < 0.3]
        for slot in gone:
            slots.give_back(connection, slot.kind, slot.holder)
        self.living = [slot for slot in self.living if slot not in gone]

    def held(self) -> Usage:
        """The slots that there are, as this simulation knows it."""
        every = [*self.living, *(slot for run in (*self.active, *self.waiting) for slot in run.taken)]
        agents = [slot.agent_class for slot in every if slot.kind is SlotKind.AGENT]
        return Usage(
            agents=len(agents),
            standard_agents=agents.count(AgentClass.STANDARD),
            workspaces=len(every) - len(agents),
        )

    def _run(self) -> Run:
        agents = self.chance.randint(0, self.most_agents)
        by_hand = self.chance.random() < self.by_hand
        return Run(self.chance.randint(1, 10), agents, self.chance.randint(0, 1), by_hand)

    def _move(self, connection: Connection, runs: list[Run], to: ExecutionState) -> None:
        rows = tables.trigger_executions
        moved = update(rows).where(rows.c.id.in_([run.id for run in runs]))
        connection.execute(moved.values(status=to))


def reserve_is_there(connection: Connection, in_force: Quotas, held: Usage) -> bool:
    """Whether high priority gets exactly what is left of all agents."""
    got = 0
    with connection.begin_nested() as probe:
        try:
            while True:
                slots.take(connection, Slot(SlotKind.AGENT, uuid4(), AgentClass.HIGH), in_force)
                got += 1
        except QuotaFull:
            probe.rollback()
    return got == max(0, in_force.agents - held.agents)


def ticks(database: Database) -> Iterator[tuple[int, Connection]]:
    for number in range(TICKS):
        with database.begin() as connection:
            yield number, connection


@pytest.mark.parametrize("seed", [1, 2])
def test_what_the_queue_starts_finds_its_slot_and_high_priority_its_reserve(database: Database, seed: int):
    played = Simulation(seed)
    for number, connection in ticks(database):
        played.arrive(connection)
        played.start(connection)
        used = slots.usage(connection)
        assert used.agents <= DEFAULTS.agents
        assert used.standard_agents <= DEFAULTS.standard_agents
        assert used.workspaces <= DEFAULTS.workspaces
        assert used.executions == len(played.active) <= DEFAULTS.executions
        waits = [run for run in played.waiting if run.agents and not run.workspaces and run.priority >= 8]
        assert not waits or used.agents == DEFAULTS.agents, "the reserve is free, and somebody waits for it"
        played.work(connection)
        if number % 10 == 0:
            assert reserve_is_there(connection, DEFAULTS, played.held())
        played.end(connection)
    assert played.refused == 0
    assert played.ended > TICKS


@pytest.mark.parametrize("seed", [3, 4])
def test_no_limit_is_exceeded_whatever_is_launched_by_hand_takes_several_or_is_changed(
    database: Database, seed: int
):
    played = Simulation(seed, most_agents=3, by_hand=0.2)
    for number, connection in ticks(database):
        if number % 15 == 14:
            quotas.put(connection, Quota.AGENTS, played.chance.randint(0, 25), "olga")
            quotas.put(connection, Quota.AGENT_RESERVATION_PERCENT, played.chance.randint(0, 100), "olga")
            quotas.put(connection, Quota.WORKSPACES, played.chance.randint(0, 20), "olga")
        in_force, before = quotas.in_force(connection, DEFAULTS), played.held()
        played.arrive(connection)
        played.start(connection)
        played.work(connection)
        held = played.held()
        assert held.agents <= max(before.agents, in_force.agents)
        assert held.standard_agents <= max(before.standard_agents, in_force.standard_agents)
        assert held.workspaces <= max(before.workspaces, in_force.workspaces)
        if number % 10 == 0:
            assert reserve_is_there(connection, in_force, held)
        played.end(connection)
        assert slots.usage(connection).workspaces >= played.held().workspaces
    assert played.refused > 0
    assert played.ended > TICKS
