"""Admission: no limit is exceeded, nothing is held without a reason, order and ageing hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.domain.admission import Candidate, Hold, Load, plan
from dct_pipelines.domain.ageing import aged_priority, queue_priority
from dct_pipelines.domain.quotas import Quotas
from dct_pipelines.domain.room import NO_QUOTAS, Room
from dct_pipelines.domain.trigger import ResourceLimits
from dct_pipelines.domain.words import TriggerStatus, WaitReason

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ITEM = UUID(int=1)
PAUSE = Hold(WaitReason.RETRY_BACKOFF, "its run died; attempt 2 follows", NOW + timedelta(seconds=5))
TRIGGERS = [UUID(int=number) for number in range(10, 13)]
LIMITS = {
    trigger: ResourceLimits(
        max_concurrent_executions=most, max_executions_per_hour=hourly, max_concurrent_per_item=per_item
    )
    for trigger, most, hourly, per_item in zip(
        TRIGGERS, (2, None, 5), (None, 3, None), (1, 1, 2), strict=True
    )
}


def candidate(number: int = 1, **given: Any) -> Candidate:
    made = Candidate(
        execution_id=UUID(int=1000 + number),
        trigger_id=TRIGGERS[0],
        subject=(ITEM, f"branch-{number}"),
        priority=5,
        waits_since=NOW - timedelta(seconds=60),
        order=number,
        job_name="job",
        limits=ResourceLimits(),
    )
    return replace(made, **given)


def load(slots: int = 10) -> Load:
    return Load(slots, frozenset({"job"}))


@st.composite
def waiting(draw: st.DrawFn) -> list[Candidate]:
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(TRIGGERS),
                st.integers(0, 3),
                st.integers(1, 10),
                st.integers(0, 4000),
                st.sampled_from(["qa", "staging", None]),
            ),
            max_size=25,
        )
    )
    return [
        candidate(
            number,
            trigger_id=trigger,
            subject=(ITEM, f"branch-{branch}"),
            priority=priority,
            waits_since=NOW - timedelta(seconds=age),
            limits=LIMITS[trigger],
            leases=frozenset({f"environment:{environment}"} if environment else ()),
        )
        for number, (trigger, branch, priority, age, environment) in enumerate(rows)
    ]


@given(waiting(), st.integers(0, 8))
def test_no_limit_is_ever_exceeded_and_everything_held_has_its_reason(
    rows: list[Candidate], slots: int
) -> None:
    planned = plan(rows, load(slots), NOW, 300)
    admitted = planned.admitted
    assert len(admitted) <= slots
    assert {one.execution_id for one in admitted} | planned.held.keys() == {one.execution_id for one in rows}
    assert len(admitted) + len(planned.held) == len(rows)
    per_trigger = Counter(one.trigger_id for one in admitted)
    assert per_trigger[TRIGGERS[0]] <= 2
    assert per_trigger[TRIGGERS[1]] <= 3
    per_subject = Counter((one.trigger_id, one.subject) for one in admitted)
    for (trigger, _), count in per_subject.items():
        assert trigger is not None
        assert count <= LIMITS[trigger].max_concurrent_per_item
    assert max(Counter(key for one in admitted for key in one.leases).values(), default=0) <= 1


@given(waiting(), st.integers(0, 8))
def test_work_of_one_trigger_and_subject_keeps_the_providers_order(rows: list[Candidate], slots: int) -> None:
    admitted = plan(rows, load(slots), NOW, 300).admitted
    for one in admitted:
        if one.limits.max_concurrent_per_item == 1:
            earlier = [
                row
                for row in rows
                if (row.trigger_id, row.subject) == (one.trigger_id, one.subject) and row.order < one.order
            ]
            assert earlier == []


@given(waiting(), st.integers(0, 8))
def test_nothing_is_held_for_slots_while_a_slot_is_free(rows: list[Candidate], slots: int) -> None:
    planned = plan(rows, load(slots), NOW, 300)
    if any(hold.reason is WaitReason.RUN_SLOTS for hold in planned.held.values()):
        assert len(planned.admitted) == slots


@given(st.integers(1, 10), st.floats(0, 1e6), st.floats(1, 3600))
def test_a_priority_grows_with_waiting_up_to_the_highest_and_never_shrinks(
    priority: int, waited: float, step: float
) -> None:
    aged = aged_priority(priority, waited, step)
    assert priority <= aged <= 10
    assert aged_priority(priority, 10 * step, step) == 10
    assert aged_priority(priority, waited + step, step) >= aged


@pytest.mark.parametrize(
    ("given_", "reason"),
    [
        ({"trigger_status": TriggerStatus.PAUSED}, WaitReason.PAUSED),
        ({"pause": PAUSE}, WaitReason.RETRY_BACKOFF),
        ({"connection_down": "no route"}, WaitReason.CONNECTION_DOWN),
        ({"job_name": "new"}, WaitReason.JOB_LOADING),
    ],
)
def test_each_thing_in_the_way_is_named(given_: dict[str, Any], reason: WaitReason) -> None:
    one = candidate(**given_)
    assert plan([one], load(), NOW, 300).held[one.execution_id].reason is reason


def test_a_quota_of_none_is_named_as_what_stands_in_the_way() -> None:
    full = load(0)
    full.room = Room(Quotas(executions=0, agents=1, agent_reservation_percent=0, workspaces=1))
    one = candidate()
    hold = plan([one], full, NOW, 300).held[one.execution_id]
    assert hold.reason is WaitReason.RUN_SLOTS
    assert "the quota of executions is 0" in hold.detail


def test_a_rate_says_until_when_it_holds() -> None:
    busy = load()
    starts = [NOW - timedelta(minutes=50), NOW - timedelta(minutes=10)]
    busy.trigger(TRIGGERS[0]).starts.extend(starts)
    one = candidate(limits=ResourceLimits(max_executions_per_hour=2))
    hold = plan([one], busy, NOW, 300).held[one.execution_id]
    assert (hold.reason, hold.until) == (WaitReason.RATE_LIMIT, NOW + timedelta(minutes=10))


def test_a_shortest_interval_holds_until_it_is_over() -> None:
    busy = load()
    busy.trigger(TRIGGERS[0]).starts.append(NOW - timedelta(seconds=1))
    one = candidate(limits=ResourceLimits(min_trigger_interval_ms=5000))
    assert plan([one], busy, NOW, 300).held[one.execution_id].until == NOW + timedelta(seconds=4)


def test_a_retry_is_not_counted_against_the_rate_again() -> None:
    busy = load()
    busy.trigger(TRIGGERS[0]).starts.append(NOW)
    one = candidate(limits=ResourceLimits(max_executions_per_hour=1), is_retry=True)
    assert plan([one], busy, NOW, 300).admitted == (one,)


def test_an_execution_by_hand_waits_only_for_leases_and_slots() -> None:
    busy = load()
    busy.leases["environment:qa"] = "execution 7"
    one = candidate(trigger_id=None, subject=None, leases=frozenset({"environment:qa"}))
    other = candidate(2, trigger_id=None, subject=None)
    planned = plan([one, other], busy, NOW, 300)
    assert planned.admitted == (other,)
    assert planned.held[one.execution_id].detail == "environment:qa is in use by execution 7"


def test_switched_off_limits_leave_leases_and_slots() -> None:
    off = load()
    off.room.quotas = replace(NO_QUOTAS, enabled=False)
    rows = [candidate(n, limits=ResourceLimits(max_concurrent_executions=1)) for n in range(5)]
    assert len(plan(rows, off, NOW, 300).admitted) == 5


def test_by_ageing_the_lowest_priority_starts_while_higher_work_keeps_arriving() -> None:
    step, low = 10.0, candidate(0, priority=1, trigger_id=None, subject=None, waits_since=NOW)
    started_after = None
    for second in range(200):
        now = NOW + timedelta(seconds=second)
        fresh = candidate(second + 1, priority=9, trigger_id=None, subject=None, waits_since=now)
        if low in plan([low, fresh], load(slots=1), now, step).admitted:
            started_after = second
            break
    assert started_after is not None
    assert started_after <= 8 * step


def test_what_needs_two_environments_starts_while_work_for_either_keeps_arriving() -> None:
    both = frozenset({"environment:qa", "environment:staging"})
    waits_for_both = candidate(0, priority=1, leases=both, waits_since=NOW)
    running: dict[str, int] = {"environment:qa": 2}
    for turn in range(1, 60):
        now = NOW + timedelta(seconds=300 * turn)
        # Each runs for three turns, and the two environments are never free in the same turn.
        running = {key: left - 1 for key, left in running.items() if left > 1}
        arrived = [
            candidate(2 * turn + n, priority=10, leases=frozenset({key}), waits_since=now)
            for n, key in enumerate(sorted(both))
        ]
        busy = replace(load(), leases=dict.fromkeys(running, "somebody"))
        planned = plan([waits_for_both, *arrived], busy, now, 300)
        if waits_for_both in planned.admitted:
            break
        for one in planned.admitted:
            running |= dict.fromkeys(one.leases, 3)
    assert waits_for_both in planned.admitted


def test_what_is_kept_for_another_says_for_whom() -> None:
    both = frozenset({"environment:qa", "environment:staging"})
    old = candidate(1, priority=10, leases=both)
    young = candidate(2, priority=10, leases=frozenset({"environment:qa"}), waits_since=NOW)
    busy = replace(load(), leases={"environment:staging": "somebody"})
    held = plan([old, young], busy, NOW, 300).held[young.execution_id]
    assert held.reason is WaitReason.ENVIRONMENT_BUSY
    assert str(old.execution_id) in held.detail


@given(
    st.tuples(st.integers(1, 10), st.integers(1, 10)),
    st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)),
    st.integers(0, 10**6),
)
def test_in_dagsters_queue_whoever_is_ahead_by_ageing_goes_first_and_stays_so(
    priorities: tuple[int, int], came: tuple[int, int], later: int
) -> None:
    step = 300
    moments = [NOW + timedelta(seconds=second) for second in came]
    looked_at = max(came) + later
    aged = [priority + (looked_at - second) / step for priority, second in zip(priorities, came, strict=True)]
    places = [
        queue_priority(priority, moment, step) for priority, moment in zip(priorities, moments, strict=True)
    ]
    assert max(places) < 0
    if aged[0] > aged[1] + 1:
        assert places[0] > places[1]
