"""What a worker pool remembers, and what it decides by that: nothing begun twice, nothing lost."""

from __future__ import annotations

import time

from dct_pipelines.clients.pool.launch import Launch, LaunchState
from dct_pipelines.clients.pool.roster import (
    ENDED_KEPT,
    FIRST_PAUSE_SECONDS,
    LONG_SECONDS,
    LONGEST_PAUSE_SECONDS,
    MOST_COMING,
    MOST_RETURNS,
    READY_WITHIN_SECONDS,
    Member,
    Roster,
    Size,
)

DIED = "its process was ended by signal 9"


def staffed(workers: int = 2, **size: float) -> Roster:
    """A roster with so many workers ready at second 0."""
    roster = Roster(Size(**{"base": workers, **size}))  # type: ignore[arg-type]
    for pid in range(1, workers + 1):
        roster.forked(pid, 0)
        roster.ready(pid, 0)
    return roster


def at_work(roster: Roster, launch: Launch, now: float = 0) -> Member:
    """The worker that has begun this launch."""
    assert roster.accept(launch)
    ((member, given),) = roster.assign(now)
    assert given == launch
    assert roster.began(member.pid, launch.key) is None
    return member


def test_a_launch_is_known_from_when_it_is_accepted_until_after_its_end():
    roster = staffed()
    assert roster.state("a") is LaunchState.UNKNOWN
    roster.accept(Launch("a"))
    assert roster.state("a") is LaunchState.QUEUED
    ((member, _),) = roster.assign(0)
    assert roster.state("a") is LaunchState.RUNNING
    roster.began(member.pid, "a")
    roster.done(member.pid, "a", 0, 1)
    assert roster.state("a") is LaunchState.ENDED
    assert roster.ended["a"] == ""


def test_a_launch_is_accepted_once_whatever_has_become_of_it():
    roster = staffed()
    assert roster.accept(Launch("a"))
    assert not roster.accept(Launch("a"))
    ((member, _),) = roster.assign(0)
    assert not roster.accept(Launch("a"))
    roster.began(member.pid, "a")
    roster.done(member.pid, "a", 0, 1)
    assert not roster.accept(Launch("a"))
    assert roster.is_empty


def test_what_ended_is_taken_again_when_it_is_to_go_on_and_only_then():
    roster = staffed()
    member = at_work(roster, Launch("a"))
    again = Launch("a", again=True)
    assert not roster.accept(again)
    roster.died(member.pid, DIED, 1)
    assert roster.accept(again)
    assert not roster.accept(again)
    assert "a" not in roster.ended


def test_launches_are_given_in_the_order_in_which_they_came():
    roster = staffed(2)
    for key in "abc":
        roster.accept(Launch(key))
    assert [launch.key for _, launch in roster.assign(0)] == ["a", "b"]
    assert roster.assign(0) == []
    assert roster.state("c") is LaunchState.QUEUED


def test_a_worker_that_is_not_ready_gets_nothing():
    roster = Roster(Size())
    roster.forked(1, 0)
    roster.accept(Launch("a"))
    assert roster.assign(0) == []


def test_what_a_dead_worker_had_begun_has_ended_and_says_how():
    roster = staffed()
    member = at_work(roster, Launch("a"))
    roster.died(member.pid, DIED, 1)
    assert roster.ended["a"] == DIED
    assert roster.is_empty


def test_what_a_dead_worker_had_not_begun_is_the_next_to_be_given():
    roster = staffed(1)
    roster.accept(Launch("a"))
    roster.accept(Launch("b"))
    roster.assign(0)
    roster.died(1, DIED, 0)
    assert roster.state("a") is LaunchState.QUEUED
    roster.forked(7, 1)
    roster.ready(7, 1)
    assert [launch.key for _, launch in roster.assign(1)] == ["a"]


def test_a_launch_of_which_every_worker_dies_at_once_ends_after_some():
    roster = Roster(Size())
    roster.accept(Launch("a"))
    for pid in range(1, MOST_RETURNS + 2):
        assert roster.state("a") is LaunchState.QUEUED
        roster.forked(pid, 0)
        roster.ready(pid, 0)
        roster.assign(0)
        roster.died(pid, DIED, 0)
    assert roster.ended["a"] == DIED


def test_why_a_worker_was_stopped_stands_before_how_it_ended():
    roster = staffed()
    member = at_work(roster, Launch("a"))
    member.asked_at, member.because = 1, "it was told to stop"
    roster.died(member.pid, DIED, 2)
    assert roster.ended["a"] == f"it was told to stop: {DIED}"


def test_what_was_to_stop_before_it_began_is_not_begun_by_another():
    roster = staffed(1)
    roster.accept(Launch("a"))
    ((member, _),) = roster.assign(0)
    member.asked_at = 0
    assert roster.began(1, "a") is member
    roster.died(1, DIED, 0)
    assert roster.state("a") is LaunchState.ENDED


def test_a_launch_is_withdrawn_while_it_waits_and_not_later():
    roster = staffed(1)
    roster.accept(Launch("a"))
    roster.accept(Launch("b", alone=True))
    assert roster.withdraw("a")
    assert roster.withdraw("b")
    assert not roster.withdraw("a")
    assert roster.ended["a"] == "it was withdrawn before it began"
    at_work(roster, Launch("c"))
    assert not roster.withdraw("c")
    assert roster.state("c") is LaunchState.RUNNING


def test_what_a_worker_says_of_another_launch_than_its_own_counts_for_nothing():
    roster = staffed(1)
    at_work(roster, Launch("a"))
    assert roster.began(1, "b") is None
    roster.done(1, "b", 0, 1)
    assert roster.state("a") is LaunchState.RUNNING
    assert roster.state("b") is LaunchState.UNKNOWN


def test_as_many_workers_are_kept_ready_as_were_asked_for():
    roster = Roster(Size(base=3))
    assert roster.missing(0) == (3, 0)
    roster.forked(1, 0)
    assert roster.missing(0) == (2, 0)


def test_workers_that_are_held_up_are_no_reason_to_let_others_wait():
    roster = staffed(1, most=3)
    at_work(roster, Launch("long"))
    later = LONG_SECONDS + 0.1
    assert roster.missing(later) == (0, 0)
    roster.accept(Launch("waits"))
    assert roster.missing(0.1) == (0, 0)
    assert roster.missing(later) == (1, 0)


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


def test_a_launch_is_overdue_once_after_its_limit():
    roster = staffed()
    member = at_work(roster, Launch("a", limit_seconds=5), now=100)
    at_work(roster, Launch("b"), now=100)
    assert list(roster.overdue(105)) == []
    assert list(roster.overdue(105.1)) == [member]
    member.asked_at = 105.1
    assert list(roster.overdue(200)) == []


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


def test_only_the_last_of_what_ended_is_remembered():
    roster = Roster(Size())
    for number in range(ENDED_KEPT + 1):
        roster.accept(Launch(f"{number}"))
        roster.withdraw(f"{number}")
    assert roster.state("0") is LaunchState.UNKNOWN
    assert roster.state("1") is LaunchState.ENDED
    assert len(roster.ended) == ENDED_KEPT


def test_ten_thousand_launches_cost_no_more_each_than_ten():
    roster = staffed(4)
    begun = time.process_time()
    for number in range(10_000):
        roster.accept(Launch(f"{number}"))
    for number in range(10_000):
        roster.state(f"{number}")
    while roster.waiting:
        for member, launch in roster.assign(0):
            roster.began(member.pid, launch.key)
            roster.done(member.pid, launch.key, 0, 0)
            member.is_retired, member.asked_at = False, None
    assert time.process_time() - begun < 3  # minutes, if each looked at the others
