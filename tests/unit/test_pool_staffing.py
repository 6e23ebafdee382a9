"""How many workers a pool has, and whom it lets go, stops or waits for."""

from __future__ import annotations

import os
import time

from dct_pipelines.clients.pool.launch import Launch
from dct_pipelines.clients.pool.pace import busy_seconds
from dct_pipelines.clients.pool.roster import (
    FIRST_PAUSE_SECONDS,
    LONG_SECONDS,
    LONGEST_PAUSE_SECONDS,
    MOST_COMING,
    MOST_READY,
    READY_WITHIN_SECONDS,
    Roster,
    Size,
)
from tests.support.rosters import DIED, at_work, staffed


def test_as_many_workers_are_kept_ready_as_were_asked_for():
    roster = Roster(Size(base=3))
    assert roster.missing(0) == (3, 0)
    roster.forked(1, 0)
    assert roster.missing(0) == (2, 0)


def seen_after(busy: float) -> Roster:
    """A roster with one worker that was seen twice, and was busy for this share of the time between."""
    roster = staffed(1, most=3)
    at_work(roster, Launch("long"))
    for now in (LONG_SECONDS + 0.1, LONG_SECONDS + 1.1):
        roster.look_at_pace(now, lambda _pid, now=now: busy * now)  # type: ignore[misc]
    return roster


def test_workers_that_are_held_up_by_others_are_no_reason_to_let_launches_wait():
    roster = seen_after(busy=0.1)
    assert roster.missing(2) == (0, 0)
    roster.accept(Launch("waits"))
    assert roster.missing(2) == (1, 0)


def test_workers_that_need_the_processor_get_no_company_that_would_take_it_from_them():
    roster = seen_after(busy=0.9)
    roster.accept(Launch("waits"))
    assert roster.missing(2) == (0, 0)


def test_a_worker_that_begins_with_something_else_is_looked_at_anew():
    roster = seen_after(busy=0.1)
    roster.done(1, "long", 0, 2)
    at_work(roster, Launch("next"), now=2)
    roster.accept(Launch("waits"))
    roster.look_at_pace(2 + LONG_SECONDS + 0.1, lambda _pid: 0)
    assert roster.missing(3) == (0, 0)


def test_the_kernel_tells_who_was_busy():
    before = busy_seconds(os.getpid())
    until = time.thread_time() + 0.2
    while time.thread_time() < until:
        pass
    assert busy_seconds(os.getpid()) - before > 0.15
    assert busy_seconds(0) == 0


def test_few_workers_prepare_themselves_at_a_time():
    roster = Roster(Size(base=20))
    roster.accept(Launch("a", alone=True))
    assert roster.missing(0) == (MOST_COMING, 0)
    for pid in range(MOST_COMING):
        roster.forked(pid, 0)
    assert roster.missing(0) == (0, 0)
    roster.ready(0, 0)
    assert roster.missing(0) == (1, 0)


def test_there_are_never_more_workers_than_the_most_of_all_kinds_together():
    roster = staffed(2, most=4)
    for number in range(20):
        roster.accept(Launch(f"shared{number}"))
        roster.accept(Launch(f"alone{number}", alone=True))
    roster.assign(0)
    now, pid = 0.0, 100
    while any(missing := roster.missing(now)):
        for number in range(sum(missing)):
            roster.forked(pid, now, alone=number >= missing[0])
            roster.ready(pid, now)
            pid += 1
        for member, launch in roster.assign(now):
            roster.began(member.pid, launch.key)
        now += 1
    assert len(roster.members) == 4


def test_a_launch_that_wants_a_worker_of_its_own_gets_one_that_does_nothing_else():
    roster = staffed(1)
    roster.accept(Launch("a", alone=True))
    assert roster.assign(0) == []
    assert roster.missing(0) == (0, 1)
    roster.forked(9, 0, alone=True)
    assert roster.missing(0) == (0, 0)
    roster.ready(9, 0)
    roster.accept(Launch("b"))
    given = {launch.key: member.pid for member, launch in roster.assign(0)}
    assert given == {"a": 9, "b": 1}
    roster.began(9, "a")
    roster.done(9, "a", 0, 1)
    assert roster.members[9].is_retired


def test_a_worker_whose_only_launch_was_withdrawn_is_let_go():
    roster = staffed(0)
    roster.accept(Launch("a", alone=True))
    roster.forked(9, 0, alone=True)
    roster.ready(9, 0)
    assert list(roster.spare(0)) == []
    roster.withdraw("a")
    assert list(roster.spare(0)) == [roster.members[9]]


def test_a_worker_is_replaced_after_its_launches_or_when_it_has_grown():
    roster = staffed(2, most_launches=2, most_bytes=100)
    first = at_work(roster, Launch("a"))
    roster.done(first.pid, "a", 100, 1)
    assert at_work(roster, Launch("b")) is first
    roster.done(first.pid, "b", 100, 1)
    assert first.is_retired
    second = at_work(roster, Launch("c"))
    roster.done(second.pid, "c", 101, 1)
    assert second.is_retired
    assert roster.missing(1) == (2, 0)


def test_a_worker_beyond_the_base_is_let_go_when_it_was_idle_for_long_and_nothing_waits():
    roster = staffed(3, linger_seconds=10)
    roster.size = Size(base=2, linger_seconds=10)
    assert list(roster.spare(9)) == []
    assert len(list(roster.spare(10))) == 1
    roster.accept(Launch("a"))
    assert list(roster.spare(10)) == []


def test_who_was_asked_to_stop_and_did_not_is_stubborn_after_the_grace_and_killed_once():
    roster = staffed()
    member = at_work(roster, Launch("a"))
    member.asked_at = 10
    assert list(roster.stubborn(20, 15)) == []
    assert list(roster.stubborn(26, 15)) == [member]
    member.is_killed = True
    assert list(roster.stubborn(27, 15)) == []


def test_a_worker_that_was_let_go_and_does_not_end_is_stubborn():
    roster = staffed(1)
    roster.retire(roster.members[1], 5)
    assert list(roster.stubborn(6, 15)) == []
    assert list(roster.stubborn(21, 15)) == [roster.members[1]]


def test_a_worker_that_never_becomes_ready_is_stubborn():
    roster = Roster(Size())
    member = roster.forked(1, 0)
    assert list(roster.stubborn(READY_WITHIN_SECONDS - 1, 15)) == []
    assert list(roster.stubborn(READY_WITHIN_SECONDS + 1, 15)) == [member]


def test_when_workers_die_at_their_start_the_pause_between_forks_grows_and_why_is_told():
    roster = Roster(Size(base=1))
    pauses, now, pid = [], 0.0, 1
    for _ in range(12):
        roster.forked(pid, now)
        roster.died(pid, "its process ended with code 1 (no database)", now)
        assert roster.missing(now) == (0, 0)
        pause = FIRST_PAUSE_SECONDS
        while roster.missing(now + pause) == (0, 0):
            pause *= 2
        pauses.append(pause)
        now, pid = now + pause, pid + 1
    assert pauses[:4] == [0.25, 0.5, 1, 2]
    assert pauses[-1] <= 2 * LONGEST_PAUSE_SECONDS
    assert roster.trouble == "its process ended with code 1 (no database)"
    roster.forked(pid, now)
    roster.ready(pid, now)
    assert roster.trouble == ""


def test_a_worker_that_hangs_up_and_then_dies_at_its_start_is_a_failure_too():
    roster = Roster(Size(base=1))
    member = roster.forked(1, 0)
    roster.hung_up(1, 0)
    assert list(roster.stubborn(16, 15)) == [member]
    roster.died(1, DIED, 0)
    assert roster.missing(0) == (0, 0)
    assert roster.trouble == DIED


def test_workers_that_die_together_are_one_failure():
    roster = Roster(Size(base=4))
    for pid in range(4):
        roster.forked(pid, 0)
    for pid in range(4):
        roster.died(pid, DIED, 0)
    assert roster.missing(FIRST_PAUSE_SECONDS) == (4, 0)


def test_a_worker_that_dies_of_its_work_is_replaced_at_once():
    roster = staffed(1)
    member = at_work(roster, Launch("a"))
    roster.died(member.pid, DIED, 1)
    assert roster.missing(1) == (1, 0)
    assert roster.trouble == ""


def test_who_is_about_to_end_accepts_nothing_and_keeps_workers_only_for_what_waits():
    roster = staffed(2)
    roster.accept(Launch("a"))
    roster.accept(Launch("b"))
    roster.is_closing = True
    assert not roster.accept(Launch("c"))
    roster.died(1, DIED, 0)
    assert roster.missing(1) == (1, 0)
    for key in "ab":
        ((member, _),) = roster.assign(1)
        roster.began(member.pid, key)
        roster.done(member.pid, key, 0, 1)
    assert roster.is_empty
    assert roster.missing(2) == (0, 0)
    assert list(roster.spare(2)) == [roster.members[2]]


def test_there_are_more_workers_than_one_and_never_so_many_that_a_stock_server_runs_out_of_connections():
    assert 2 <= Size().base <= MOST_READY < 100 // 4
