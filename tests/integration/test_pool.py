"""A real zygote and its workers, at toy work: whoever dies, each launch is done once and its end is known."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dct_pipelines.clients.pool.caller import ask
from dct_pipelines.clients.pool.launch import Launch, LaunchState
from dct_pipelines.clients.pool.lines import LONGEST_LINE_BYTES, MOST_CALLERS
from dct_pipelines.clients.stack.notes import write_pools
from dct_pipelines.domain.errors import PoolUnreachable
from tests.support.toy_pool import ToyPool, is_gone
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
KILLED = "its process was ended by signal 9"


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[ToyPool]:
    with_two = ToyPool(tmp_path, size={"base": 2, "linger_seconds": 0.5})
    yield with_two.start()
    with_two.service.stop()


@pytest.fixture
def successor(pool: ToyPool) -> Iterator[ToyPool]:
    """Another pool of the same home; it is not noted until a test says so."""
    another = ToyPool(pool.home, "two", size={"base": 2})
    another.service.start()
    assert another.service.wait_until_ready(30)
    yield another
    another.service.stop()


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
        pool.service.stop()


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


def test_without_a_note_there_is_no_pool(tmp_path: Path):
    pools = ToyPool(tmp_path).pools
    assert not pools.are_noted
    assert pools.stop("a") is LaunchState.UNKNOWN
    for ask_pools in (pools.hello, lambda: pools.health(["a"]), lambda: pools.launch([Launch("a")])):
        with pytest.raises(PoolUnreachable, match="`dct up` runs one"):
            ask_pools()
    write_pools(tmp_path, [tmp_path / "gone.sock"])
    with pytest.raises(PoolUnreachable, match="does not answer"):
        pools.health(["a"])


GARBAGE = (
    b"what?\n",
    b"\xff\xfe\n",
    b"7\n",
    b"[]\n",
    b'{"ask": "dance"}\n',
    b'{"ask": []}\n',
    b'{"ask": "launch"}\n',
    b'{"ask": "launch", "launches": [{"key": 7}]}\n',
    b'{"ask": "launch", "launches": [{"key": "two\\nlines"}]}\n',
    b'{"ask": "launch", "launches": [{"key": "a", "limit_seconds": "soon"}]}\n',
    b'{"ask": "launch", "launches": [{"key": "a", "limit_seconds": NaN}]}\n',
    b'{"ask": "health", "keys": [[]]}\n',
    b'{"ask": "stop", "key": {}}\n',
    b"[" * 100_000 + b"\n",
)


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_what_cannot_be_understood_is_answered_and_does_no_harm(pool: ToyPool, garbage: bytes):
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(pool.door))
        caller.settimeout(10)
        caller.sendall(garbage)
        with caller.makefile() as answers:
            assert "cannot be understood" in json.loads(answers.readline())["error"]
    pool.launch("b")
    assert pool.ended("b")


def test_a_pool_that_complains_is_one_that_did_not_take_it(pool: ToyPool):
    with pytest.raises(PoolUnreachable, match="cannot be understood"):
        pool.launch("a key with spaces")


def test_callers_who_say_nothing_half_a_line_or_do_not_read_hold_nobody_up(pool: ToyPool):
    callers = [socket.socket(socket.AF_UNIX) for _ in range(MOST_CALLERS + 20)]
    question = json.dumps({"ask": "health", "keys": ["x" * 100] * 1000}).encode() + b"\n"
    try:
        for number, caller in enumerate(callers):
            caller.connect(str(pool.door))
            if number % 10 == 1:
                caller.sendall(b'{"ask": "hel')
            if number % 10 == 2:
                caller.sendall(question)  # and never reads the answer
        begun = time.monotonic()
        pool.launch("a")
        assert pool.ended("a")
        assert time.monotonic() - begun < 5
    finally:
        for caller in callers:
            caller.close()


def test_a_line_without_end_is_not_listened_to_for_ever(pool: ToyPool):
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(pool.door))
        caller.settimeout(20)
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            caller.sendall(b"x" * 2 * LONGEST_LINE_BYTES)
    assert pool.hello()["workers"] == 2


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


def test_when_no_worker_becomes_ready_forks_are_few_and_callers_are_told_why(tmp_path: Path):
    pool = ToyPool(tmp_path, size={"base": 2})
    (pool.book / "broken").touch()
    pool.start()
    try:
        pool.launch("a")
        assert eventually(lambda: "there is no database" in pool.pools.hello()["trouble"])
        assert eventually(lambda: len(pool.prepared()) >= 6)
        assert len(pool.prepared()) <= 10
        assert pool.state("a") is LaunchState.QUEUED
        (pool.book / "broken").unlink()
        assert pool.ended("a")
        assert pool.how("a") == ""
        assert pool.pools.hello()["trouble"] == ""
    finally:
        pool.service.stop()


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
        pool.service.stop()


def test_a_door_whose_path_is_too_long_is_named(tmp_path: Path):
    pool = ToyPool(tmp_path, "long" * 30)
    pool.service.start()
    assert not pool.service.wait_until_ready(30)
    assert f"cannot listen at {pool.door}" in pool.service.last_words()


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


def test_a_body_larger_than_any_buffer_arrives_while_others_are_served(pool: ToyPool):
    pool.launch("large", "larger", padding="x" * 2_000_000)
    assert pool.ended("large", "larger")
    assert ask(pool.door, {"ask": "hello"})["draining"] is False


def test_memory_stays_flat_over_two_thousand_launches(tmp_path: Path):
    pool = ToyPool(tmp_path, size={"base": 2, "most_launches": 10_000}).start()

    def launch(name: str, number: int) -> None:
        keys = [f"{name}{one}" for one in range(number)]
        pool.launch(*keys)
        assert eventually(lambda: pool.state(keys[-1]) is LaunchState.ENDED, seconds=60)
        assert pool.ended(*keys)

    launch("warm", 300)
    before = {one.pid: one.memory_info().rss for one in (pool.process, *pool.workers())}
    launch("more", 2000)
    grown = {one.pid: one.memory_info().rss - before[one.pid] for one in (pool.process, *pool.workers())}
    pool.service.stop()
    assert max(grown.values()) < 3_000_000, grown
