"""Admission within the quotas: none is exceeded, high priority has its reserve, and nothing starves."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dct_pipelines.domain.admission import Candidate, Load, Plan, plan
from dct_pipelines.domain.ageing import HIGHEST, place
from dct_pipelines.domain.quotas import HIGH_PRIORITY, UNLIMITED, Quotas, Usage, most_runs
from dct_pipelines.domain.room import Room
from dct_pipelines.domain.trigger import ResourceLimits
from dct_pipelines.domain.words import WaitReason

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
STEP = 20.0
LONGEST = 6
"""Seconds that an execution of these runs takes at most."""
LONGEST_TURN = 2 * (LONGEST + 1)
"""Seconds until what is first has all that it needs: workspaces, then the rest."""
QUOTAS = Quotas(executions=6, agents=5, agent_reservation_percent=40, workspaces=4)


def candidate(number: int, priority: int = 5, **given_: int) -> Candidate:
    return Candidate(
        execution_id=UUID(int=1000 + number),
        trigger_id=None,
        subject=None,
        priority=priority,
        waits_since=NOON,
        order=number,
        job_name="job",
        limits=ResourceLimits(),
        agents=given_.get("agents", 0),
        workspaces=given_.get("workspaces", 0),
    )


def held(rows: list[Candidate], usage: Usage, quotas: Quotas = QUOTAS, now: datetime = NOON) -> Plan:
    return plan(rows, Load(50, frozenset({"job"}), Room(quotas, usage)), now, STEP)


def test_standard_priority_leaves_the_reserve_alone_and_high_priority_uses_it():
    usage = Usage(agents=3, standard_agents=3)
    standard, high = candidate(1, agents=1), candidate(2, HIGH_PRIORITY, agents=1)
    planned = held([standard, high], usage)
    assert planned.admitted == (high,)
    hold = planned.held[standard.execution_id]
    assert hold.reason is WaitReason.AGENT_QUOTA
    assert (
        hold.detail == "all 3 agents of standard priority are taken, and 2 are kept for priority 8 and above"
    )


def test_waiting_makes_no_standard_execution_a_high_one():
    long_after = NOON + timedelta(seconds=100 * STEP)
    standard = candidate(1, agents=1)
    planned = held([standard], Usage(agents=3, standard_agents=3), now=long_after)
    assert planned.held[standard.execution_id].reason is WaitReason.AGENT_QUOTA


def test_what_needs_more_than_there_may_ever_be_is_told_and_keeps_nothing_from_others():
    long_after = NOON + timedelta(seconds=100 * STEP)
    greedy, modest = candidate(1, agents=4), candidate(2, agents=1)
    planned = held([greedy, modest], Usage(), now=long_after)
    assert planned.admitted == (modest,)
    detail = planned.held[greedy.execution_id].detail
    assert detail.startswith("it needs 4 agents, and standard priority may have 3; raise it with")


def test_a_full_quota_of_workspaces_holds_only_what_makes_one():
    makes_one, makes_none = candidate(1, workspaces=1), candidate(2)
    planned = held([makes_one, makes_none], Usage(workspaces=4))
    assert planned.admitted == (makes_none,)
    assert planned.held[makes_one.execution_id].reason is WaitReason.WORKSPACE_QUOTA


def test_quotas_that_are_off_hold_nothing():
    off = Quotas(0, 0, 100, 0, enabled=False)
    rows = [candidate(number, agents=9, workspaces=9) for number in range(3)]
    assert len(held(rows, Usage(), off).admitted) == 3


def test_runs_are_as_many_as_the_quota_and_the_place_allow_and_as_the_place_alone_without_quotas():
    off = replace(QUOTAS, executions=0, enabled=False)
    assert (most_runs(QUOTAS, 9), most_runs(QUOTAS, 4), most_runs(QUOTAS)) == (6, 4, 6)
    assert (most_runs(off, 4), most_runs(off)) == (4, UNLIMITED)


@pytest.mark.parametrize("priority", [1, 10])
def test_what_needs_several_agents_keeps_those_that_get_free_once_it_has_aged(priority: int):
    needs_two, needs_one = candidate(1, priority, agents=2), candidate(2, priority, agents=1)
    long_after = NOON + timedelta(seconds=9 * STEP)
    busy = Usage(agents=4, standard_agents=2)
    planned = held([needs_two, needs_one], busy, now=long_after)
    assert planned.admitted == ()
    assert "kept for what has waited longer" in planned.held[needs_one.execution_id].detail


def test_what_waits_for_a_workspace_keeps_no_agent_from_others():
    long_after = NOON + timedelta(seconds=100 * STEP)
    rows = [candidate(1, 10, agents=1, workspaces=1), candidate(2, 10, agents=1)]
    planned = held(rows, Usage(agents=4, standard_agents=0, workspaces=4), now=long_after)
    assert planned.admitted == (rows[1],)


def test_of_those_that_wait_for_an_environment_only_the_next_one_keeps_an_agent():
    long_after = NOON + timedelta(seconds=100 * STEP)
    to_qa = [replace(candidate(n, 10, agents=1), leases=frozenset({"environment:qa"})) for n in range(3)]
    elsewhere = candidate(9, 10, agents=1)
    load = Load(50, frozenset({"job"}), Room(QUOTAS, Usage(agents=3)), leases={"environment:qa": "somebody"})
    assert plan([*to_qa, elsewhere], load, long_after, STEP).admitted == (elsewhere,)


@dataclass
class Site:
    """A deployment in which more arrives than can be done, of high priority for the most part, for ever."""

    dice: random.Random
    now: datetime = NOON
    waiting: list[Candidate] = field(default_factory=list)
    running: dict[UUID, tuple[Candidate, datetime]] = field(default_factory=dict)
    due: dict[UUID, tuple[datetime, int]] = field(default_factory=dict)
    """When each is due: nothing that comes later is ahead of it; and how many were, then."""
    arrived: int = 0

    def second(self) -> Plan:
        """What arrives, ends and is admitted in one second."""
        self.now += timedelta(seconds=1)
        self.running = {key: one for key, one in self.running.items() if one[1] > self.now}
        self.waiting += list(self._arrivals())
        load = Load(QUOTAS.executions - len(self.running), frozenset({"job"}), Room(QUOTAS, self.usage()))
        planned = plan(self.waiting, load, self.now, STEP)
        for one in planned.admitted:
            until = self.now + timedelta(seconds=self.dice.randint(1, LONGEST))
            self.running[one.execution_id] = one, until
        self.waiting = [one for one in self.waiting if one.execution_id in planned.held]
        self._note_due()
        return planned

    def usage(self) -> Usage:
        """What runs now."""
        at_work = [one for one, _ in self.running.values()]
        return Usage(
            executions=len(at_work),
            agents=sum(one.agents for one in at_work),
            standard_agents=sum(one.agents for one in at_work if one.priority < HIGH_PRIORITY),
            workspaces=sum(one.workspaces for one in at_work),
        )

    def _arrivals(self) -> Iterator[Candidate]:
        for _ in range(self.dice.choice((2, 2, 3))):
            self.arrived += 1
            priority = self.dice.choice((10, 10, 10, 9, 8, self.dice.randint(1, 10)))
            most = 2 if priority >= HIGH_PRIORITY else 3
            needs = {"agents": self.dice.randint(0, most), "workspaces": self.dice.choice((0, 0, 1))}
            made = candidate(self.arrived, priority, **needs)
            yield replace(made, waits_since=self.now)

    def _note_due(self) -> None:
        places = {
            one.execution_id: place(one.priority, one.waits_since, one.order, STEP) for one in self.waiting
        }
        for one in self.waiting:
            waited = (self.now - one.waits_since).total_seconds()
            if one.execution_id not in self.due and waited >= (HIGHEST - one.priority) * STEP:
                mine = places[one.execution_id]
                self.due[one.execution_id] = self.now, sum(other < mine for other in places.values())


@settings(max_examples=4)
@given(st.integers(0, 10**6))
def test_no_quota_is_ever_exceeded_and_whatever_waits_starts_within_the_bound(seed: int):
    site = Site(random.Random(seed))
    lowest_started = 0
    for _ in range(400):
        planned = site.second()
        used = site.usage()
        assert used.executions <= QUOTAS.executions
        assert used.agents <= QUOTAS.agents
        assert used.standard_agents <= QUOTAS.standard_agents
        assert used.workspaces <= QUOTAS.workspaces
        lowest_started += sum(one.priority <= 3 for one in planned.admitted)
        for one in planned.admitted:
            due, ahead = site.due.get(one.execution_id, (site.now, 0))
            assert site.now <= due + timedelta(seconds=(ahead + 1) * LONGEST_TURN)
        _the_reserve_is_there(site, planned)
    for one in site.waiting:
        due, ahead = site.due.get(one.execution_id, (site.now, 0))
        assert site.now <= due + timedelta(seconds=(ahead + 1) * LONGEST_TURN)
    assert lowest_started > 0


def _the_reserve_is_there(site: Site, planned: Plan) -> None:
    """The best of high priority that waits for agents does so because others of high priority have them."""
    high = [one for one in site.waiting if one.priority >= HIGH_PRIORITY]
    best = min(high, key=lambda one: place(one.priority, one.waits_since, one.order, STEP), default=None)
    if best is None or planned.held[best.execution_id].reason is not WaitReason.AGENT_QUOTA:
        return
    used, reserve = site.usage(), QUOTAS.agents - QUOTAS.standard_agents
    assert used.agents - used.standard_agents + best.agents > reserve
