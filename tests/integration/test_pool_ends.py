"""Whoever of a pool dies, is stopped or gives way: each launch is begun once, and its end is known."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path

import pytest

from dct_pipelines.clients.pool.launch import LaunchState
from dct_pipelines.domain.errors import PoolUnreachable
from tests.support.pools import *  # noqa: F403
from tests.support.toy_pool import ToyPool, is_gone
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
KILLED = "its process was ended by signal 9"


def test_the_death_of_a_worker_is_known_at_once_and_harms_no_other(pool: ToyPool):
    release = pool.held("dies", "lives")
    pool.worker_of("dies").kill()
    assert eventually(lambda: pool.state("dies") is LaunchState.ENDED, seconds=5)
    assert pool.how("dies") == KILLED
    assert eventually(lambda: len(pool.workers()) == 2)
    assert pool.state("lives") is LaunchState.RUNNING
    pool.launch("next")
    release.touch()
    assert pool.ended("lives", "next")
    assert pool.how("lives") == ""


def test_work_that_raises_ends_its_worker_and_says_so_without_its_words(pool: ToyPool):
    pool.launch("a", fail="the password is swordfish")
    assert pool.ended("a")
    assert pool.how("a") == "its process ended with code 1 (RuntimeError)"
    pool.launch("b", exit=7)
    assert pool.ended("b")
    assert pool.how("b") == "its process ended with code 7"
    pool.launch("c")
    assert pool.ended("c")


def test_an_idle_worker_that_dies_is_replaced(pool: ToyPool):
    assert eventually(lambda: len(pool.workers()) == 2)
    victim = pool.workers()[0]
    victim.kill()
    assert eventually(lambda: len(pool.workers()) == 2 and victim not in pool.workers())


def test_a_worker_finishes_what_it_has_when_its_zygote_is_killed_and_then_ends(pool: ToyPool):
    release = pool.held("a")
    workers = pool.workers()
    pool.kill()
    busy = pool.worker_of("a")
    assert eventually(lambda: all(is_gone(one) for one in workers if one != busy))
    assert busy.is_running()
    release.touch()
    assert eventually(lambda: is_gone(busy))
    assert pool.done() == ["a"]


def test_the_next_zygote_knows_what_workers_of_the_last_one_do_and_does_not_begin_it_again(pool: ToyPool):
    release = pool.held("a")
    pool.kill()
    with pytest.raises(PoolUnreachable, match="does not answer"):
        pool.health("a")
    pool.start()
    assert pool.state("a") is LaunchState.RUNNING
    pool.launch("a", "b")
    assert pool.ended("b")
    release.touch()
    assert eventually(lambda: pool.state("a") is LaunchState.UNKNOWN)
    assert sorted(pool.begun()) == ["a", "b"]
    assert eventually(lambda: len(list(pool.marks.iterdir())) == 2)


def test_the_next_zygote_stops_and_kills_what_outlived_the_last_one(pool: ToyPool):
    pool.held("told")
    pool.held("overdue", limit=0.5)
    pool.kill()
    pool.start()
    told, overdue = pool.worker_of("told"), pool.worker_of("overdue")
    assert pool.pools.stop("told") is LaunchState.RUNNING
    assert eventually(lambda: is_gone(told))
    assert eventually(lambda: is_gone(overdue))


def test_the_end_of_a_pool_is_the_end_of_what_outlived_the_one_before(pool: ToyPool):
    pool.held("a", stubborn=True)
    pool.kill()
    pool.start()
    orphan = pool.worker_of("a")
    pool.service.ask_to_stop()
    assert eventually(lambda: not pool.service.is_running, seconds=14)
    assert eventually(lambda: is_gone(orphan), seconds=1)


def test_told_to_give_way_a_pool_finishes_what_it_has_and_takes_no_more(pool: ToyPool):
    release = pool.held("working", "too")
    pool.launch("queued")
    pool.service.signal(signal.SIGUSR1)
    assert eventually(lambda: pool.hello()["draining"])
    with pytest.raises(PoolUnreachable, match="about to end"):
        pool.launch("late")
    with pytest.raises(PoolUnreachable):
        pool.pools.hello()
    release.touch()
    assert eventually(lambda: not pool.service.is_running)
    assert pool.service.process is not None
    assert pool.service.process.returncode == 0
    assert sorted(pool.done()) == ["queued", "too", "working"]
    assert not pool.door.exists()


def test_an_idle_pool_that_is_told_to_give_way_ends_at_once(pool: ToyPool):
    workers = pool.workers()
    pool.service.signal(signal.SIGUSR1)
    assert eventually(lambda: not pool.service.is_running, seconds=5)
    assert eventually(lambda: all(map(is_gone, workers)))


def test_told_to_end_a_pool_does_so_in_time_also_with_work_that_heeds_nothing(pool: ToyPool):
    pool.held("stubborn", stubborn=True)
    pool.held("heeds")
    workers = pool.workers()
    begun = time.monotonic()
    pool.service.ask_to_stop()
    pool.service.ask_to_stop()
    assert eventually(lambda: not pool.service.is_running, seconds=14)
    assert 7 < time.monotonic() - begun < 14
    assert all(map(is_gone, workers))


def test_told_to_end_a_pool_lets_short_work_finish(pool: ToyPool):
    release = pool.held("a")
    pool.service.ask_to_stop()
    assert eventually(lambda: pool.hello()["draining"])
    release.touch()
    assert eventually(lambda: not pool.service.is_running, seconds=5)
    assert pool.done() == ["a"]


def test_work_over_its_limit_is_interrupted_and_it_is_known_why(pool: ToyPool):
    pool.held("a", limit=0.3)
    assert pool.ended("a")
    assert pool.how("a") == (
        "it ran longer than its limit of 0.3 s: its process ended with code 1 (KeyboardInterrupt)"
    )


def test_work_over_its_limit_that_heeds_no_interrupt_is_killed(pool: ToyPool):
    pool.held("a", limit=0.3, stubborn=True)
    assert eventually(lambda: pool.state("a") is LaunchState.ENDED, seconds=40)
    assert pool.how("a") == f"it ran longer than its limit of 0.3 s and did not stop: {KILLED}"


def test_what_waits_is_stopped_before_it_begins_and_what_works_is_interrupted(pool: ToyPool):
    pool.held("working", "too")
    pool.launch("queued")
    assert pool.pools.stop("queued") is LaunchState.QUEUED
    assert pool.pools.stop("working") is LaunchState.RUNNING
    assert pool.pools.stop("nothing") is LaunchState.UNKNOWN
    assert pool.ended("queued", "working")
    assert pool.how("queued") == "it was withdrawn before it began"
    assert pool.how("working").startswith("it was told to stop: ")
    assert pool.state("too") is LaunchState.RUNNING
    assert pool.pools.stop("queued") is LaunchState.ENDED
    assert "queued" not in pool.begun()


def test_an_interrupt_is_for_one_launch_and_never_for_the_next(pool: ToyPool):
    keys = [f"k{number}" for number in range(100)]
    for key in keys:
        pool.launch(key, f"{key}-after")
        pool.pools.stop(key)
    assert pool.ended(*keys, *(f"{key}-after" for key in keys))
    harmed = [key for key in keys if pool.how(f"{key}-after")]
    assert harmed == []


def test_two_pools_are_asked_together(pool: ToyPool, successor: ToyPool):
    release = pool.held("old", "older")
    pool.launch("waits")
    successor.note(pool)
    pool.service.signal(signal.SIGUSR1)
    assert eventually(lambda: pool.hello()["draining"])
    pool.launch("waits", "new")
    states = pool.health("old", "waits", "new", "nothing").states
    assert states["old"] is LaunchState.RUNNING
    assert states["waits"] is LaunchState.QUEUED
    assert states["nothing"] is LaunchState.UNKNOWN
    assert pool.pools.hello()["pid"] == successor.service.pid
    assert pool.ended("new")
    assert pool.pools.stop("older") is LaunchState.RUNNING
    assert eventually(lambda: "waits" in pool.done())
    release.touch()
    assert eventually(lambda: not pool.service.is_running)
    assert sorted(pool.begun()) == ["new", "old", "older", "waits"]
    assert pool.health("old").states["old"] is LaunchState.UNKNOWN


def test_a_pool_that_should_answer_and_does_not_is_an_error_and_no_state(pool: ToyPool, successor: ToyPool):
    successor.note(pool)
    release = pool.held("a")
    successor.kill()
    with pytest.raises(PoolUnreachable):
        pool.health("a")
    with pytest.raises(PoolUnreachable):
        pool.pools.stop("nothing")
    release.touch()


def test_a_worker_has_no_socket_but_the_one_to_its_zygote(pool: ToyPool):
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(pool.door))
        assert pool.hello()
        before = pool.workers()
        release = pool.held("a", alone=True)
        descriptors = Path(f"/proc/{pool.worker_of('a').pid}/fd").iterdir()
        sockets = [path for path in descriptors if str(path.readlink()).startswith("socket:")]
        assert len(sockets) == 1
        release.touch()
    assert eventually(lambda: pool.workers() == before)


def test_a_pool_that_ends_late_leaves_the_door_of_the_next_one(pool: ToyPool):
    release = pool.held("a")
    pool.service.signal(signal.SIGUSR1)
    assert eventually(lambda: pool.hello()["draining"])
    late = pool.service.copy()
    pool.service.start()
    assert eventually(lambda: pool.service.is_ready and not pool.hello()["draining"])
    release.touch()
    assert eventually(lambda: not late.is_running)
    assert pool.hello()["pid"] == pool.service.pid
