"""What a worker pool remembers of launches: nothing begun twice, nothing lost."""

from __future__ import annotations

import time

from dct_pipelines.clients.pool.launch import Launch, LaunchState
from dct_pipelines.clients.pool.roster import (
    ENDED_KEPT,
    MOST_RETURNS,
    Roster,
    Size,
)
from tests.support.rosters import DIED, at_work, staffed


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


def test_a_launch_is_overdue_once_after_its_limit():
    roster = staffed()
    member = at_work(roster, Launch("a", limit_seconds=5), now=100)
    at_work(roster, Launch("b"), now=100)
    assert list(roster.overdue(105)) == []
    assert list(roster.overdue(105.1)) == [member]
    member.asked_at = 105.1
    assert list(roster.overdue(200)) == []


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
