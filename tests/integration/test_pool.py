"""A real zygote and its workers, at toy work: each launch is done once, by workers as many as it takes."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from dct_pipelines.clients.pool.launch import LaunchState
from tests.support.pools import *  # noqa: F403
from tests.support.toy_pool import ToyPool, is_gone
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


def test_a_launch_is_done(pool: ToyPool):
    pool.launch("a")
    assert pool.ended("a")
    assert (pool.begun(), pool.done(), pool.how("a")) == (["a"], ["a"], "")


def test_many_launches_are_each_done_once_also_when_asked_for_again(pool: ToyPool):
    keys = [f"k{number}" for number in range(300)]
    pool.launch(*keys)
    pool.launch(*keys)
    assert pool.ended(*keys)
    pool.launch(*keys)
    assert pool.hello()["queued"] == 0
    assert sorted(pool.begun()) == sorted(pool.done()) == sorted(keys)


def test_health_of_a_thousand_launches_is_one_question(pool: ToyPool):
    keys = [f"k{number}" for number in range(1000)]
    release = pool.held("k0")
    begun = time.process_time()
    states = pool.health(*keys).states
    assert time.process_time() - begun < 1
    assert states["k0"] is LaunchState.RUNNING
    assert {states[key] for key in keys[1:]} == {LaunchState.UNKNOWN}
    release.touch()


def test_a_launch_that_is_to_be_alone_gets_a_process_that_ends_after_it(pool: ToyPool):
    release = pool.held("a", alone=True)
    alone = pool.worker_of("a")
    pool.launch("b")
    assert pool.ended("b")
    release.touch()
    assert pool.ended("a")
    assert eventually(lambda: is_gone(alone))
    assert pool.worker_of("b") != alone


def test_workers_are_added_while_work_takes_long_and_let_go_after_it(pool: ToyPool):
    release = pool.held("long", "longer")
    pool.launch("short")
    assert pool.ended("short")
    assert pool.hello()["workers"] > 2
    release.touch()
    assert eventually(lambda: len(pool.workers()) == 2)


@pytest.mark.parametrize("size", [{"most_launches": 2}, {"most_bytes": 150_000_000}])
def test_a_worker_is_replaced_when_it_did_or_grew_enough(tmp_path: Path, size: dict[str, float]):
    pool = ToyPool(tmp_path, size={"base": 1, **size}).start()
    try:
        for key in "abcd":
            pool.launch(key, grow=100_000_000)
            assert pool.ended(key)
        assert len({pool.pid_of(key) for key in "abcd"}) == 2
    finally:
        pool.stop()


def test_when_no_worker_becomes_ready_forks_are_few_and_callers_are_told_why(tmp_path: Path):
    pool = ToyPool(tmp_path, size={"base": 2})
    (pool.book / "missing").write_text("database")
    pool.start()
    try:
        pool.launch("a")
        assert eventually(lambda: "there is no database" in pool.pools.hello()["trouble"])
        assert eventually(lambda: len(pool.prepared()) >= 6)
        assert len(pool.prepared()) <= 10
        assert pool.state("a") is LaunchState.QUEUED
        (pool.book / "missing").unlink()
        assert pool.ended("a")
        assert pool.how("a") == ""
        assert eventually(lambda: not pool.pools.hello()["trouble"])
    finally:
        pool.stop()


def test_when_no_process_can_be_forked_the_pool_says_so_and_tries_again(pool: ToyPool):
    """No descriptor is left for it, as no process or memory would be."""
    release = pool.held("a", "b")
    limits = pool.process.rlimit(psutil.RLIMIT_NOFILE)
    # One for the caller who asks, none for a pair of sockets.
    pool.process.rlimit(psutil.RLIMIT_NOFILE, (pool.process.num_fds() + 1, limits[1]))
    pool.launch("waits")
    assert eventually(lambda: "no worker can be forked" in pool.pools.hello()["trouble"])
    pool.process.rlimit(psutil.RLIMIT_NOFILE, limits)
    assert pool.ended("waits")
    release.touch()
    assert pool.ended("a", "b")


def test_where_no_mark_can_be_made_work_is_done_without(tmp_path: Path):
    pool = ToyPool(tmp_path)
    pool.marks.write_text("no directory")
    pool.start()
    try:
        pool.launch("a")
        assert pool.ended("a")
        assert pool.how("a") == ""
        assert "works without a mark" in (tmp_path / "one.log").read_text()
    finally:
        pool.stop()


def test_memory_stays_flat_over_two_thousand_launches(tmp_path: Path):
    pool = ToyPool(tmp_path, size={"base": 2, "most_launches": 10_000}).start()

    try:

        def launch(name: str, number: int) -> None:
            keys = [f"{name}{one}" for one in range(number)]
            pool.launch(*keys)
            assert eventually(lambda: pool.state(keys[-1]) is LaunchState.ENDED, seconds=60)
            assert pool.ended(*keys)

        launch("warm", 300)
        before = {one.pid: one.memory_info().rss for one in (pool.process, *pool.workers())}
        launch("more", 2000)
        grown = {one.pid: one.memory_info().rss - before[one.pid] for one in (pool.process, *pool.workers())}
    finally:
        pool.stop()
    assert max(grown.values()) < 3_000_000, grown
