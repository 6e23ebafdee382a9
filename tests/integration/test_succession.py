"""The worker pool follows the code server's process: a new one takes over, the old one finishes and ends."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from dct_pipelines.clients.stack.complaints import EVERY_SECONDS
from dct_pipelines.clients.stack.notes import read_pools
from dct_pipelines.clients.stack.service import Service
from dct_pipelines.clients.stack.succession import READY_WITHIN_SECONDS, TRY_AGAIN_SECONDS, Succession
from dct_pipelines.clients.stack.supervision import Supervision, stop_all
from tests.support.toy_leader import WORKER
from tests.support.toy_pool import ROOT, ToyPool, is_gone
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


@dataclass
class Scene:
    """A leader and its first pool at work, and a clock that a test moves."""

    home: Path
    module: str = "tests.support.toy_pool"
    """What the next pool is; the first one has been made already."""
    said: list[str] = field(default_factory=list)
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.first = ToyPool(self.home, "pool-1", size={"base": 1})
        variables = {"PYTHONPATH": str(ROOT)}
        self.leader = Service(
            "leader", "tests.support.toy_leader", (), self.home / "leader.log", variables, worker=WORKER
        )
        self.made: list[ToyPool] = []
        self.succession = Succession(
            self.first.service, self.leader, self.home, self.home, self._make, self.said.append
        )

    def _make(self, door: Path) -> Service:
        pool = ToyPool(self.home, door.stem, size={"base": 1})
        pool.service.module = self.module
        self.made.append(pool)
        return pool.service

    def begin(self) -> None:
        self.leader.start()
        self.first.start()
        assert eventually(lambda: self.leader.worker_pid is not None)
        self.succession.begin()

    def reload(self) -> None:
        before = self.leader.worker_pid
        self.leader.signal(signal.SIGHUP)
        assert eventually(lambda: self.leader.worker_pid not in (None, before))

    def look(self) -> None:
        self.now += 1
        self.succession.look(self.now)

    def looks_until(self, what: Callable[[], bool]) -> bool:
        """Look until it is so; the clock does not move far."""

        def looked() -> bool:
            self.now += 0.02
            self.succession.look(self.now)
            return what()

        return eventually(looked)

    def takes_over(self) -> bool:
        """The next pool starts and takes over."""
        self.look()
        assert self.made
        assert self.made[-1].service.wait_until_ready(30)
        self.look()
        return self.said[-1] == "the new worker pool has taken over"

    @property
    def doors(self) -> list[str]:
        return [door.stem for door in read_pools(self.home)]


@contextmanager
def played(home: Path) -> Iterator[Scene]:
    scene = Scene(home)
    scene.begin()
    try:
        yield scene
    finally:
        stop_all([scene.leader, scene.first.service])
        scene.succession.end()
        scene.first.stop()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with played(tmp_path) as playing:
        yield playing


def test_while_the_leader_stays_so_does_the_pool(scene: Scene):
    for _ in range(3):
        scene.look()
    assert (scene.made, scene.said, scene.doors) == ([], [], ["pool-1"])


def test_after_a_reload_another_pool_takes_over_and_the_old_one_finishes_its_work(scene: Scene):
    release = scene.first.held("a")
    old = scene.first.service.copy()
    scene.reload()
    scene.look()
    assert scene.doors == ["pool-1"]
    assert scene.takes_over()
    assert scene.doors == ["pool-2", "pool-1"]
    assert scene.first.service.pid == scene.made[0].hello()["pid"]
    assert eventually(lambda: scene.first.hello()["draining"])
    scene.first.launch("b")
    assert scene.first.ended("b")
    assert old.is_running
    release.touch()
    assert eventually(lambda: not old.is_running)
    assert scene.first.done() == ["b", "a"]
    assert scene.looks_until(lambda: scene.doors == ["pool-2"])


def test_a_pool_that_does_not_start_leaves_the_old_one_at_work_and_is_tried_again_later(scene: Scene):
    scene.module = "no_such_module"
    scene.reload()
    scene.look()
    assert eventually(lambda: not scene.made[0].service.is_running)
    scene.look()
    assert scene.said[-1].startswith("the new worker pool did not start, the old one goes on; see ")
    assert scene.doors == ["pool-1"]
    scene.first.launch("a")
    assert scene.first.ended("a")
    scene.look()
    assert len(scene.made) == 1
    scene.module = "tests.support.toy_pool"
    scene.now += TRY_AGAIN_SECONDS
    assert scene.takes_over()


def test_what_keeps_a_pool_from_having_workers_is_said_when_it_begins_changes_and_ends(scene: Scene):
    missing = scene.first.book / "missing"

    def lacks(what: str) -> str:
        missing.write_text(what)
        assert eventually(lambda: f"there is no {what}" in scene.first.hello()["trouble"])
        scene.now += EVERY_SECONDS
        for _ in range(2):
            scene.look()
        why = scene.first.hello()["trouble"]
        return f"the worker pool gets no workers: {why}; see {scene.first.service.log}"

    missing.write_text("database")
    for worker in scene.first.workers():
        worker.kill()
    expected = [lacks("database"), lacks("project")]
    missing.unlink()
    assert eventually(lambda: scene.first.hello()["ready"] and not scene.first.hello()["trouble"])
    scene.now += EVERY_SECONDS
    for _ in range(2):
        scene.look()
    assert scene.said == [*expected, "the worker pool gets workers again"]


def test_a_pool_that_ended_is_not_complained_of(scene: Scene):
    scene.first.kill()
    scene.look()
    assert scene.said == []


def test_a_pool_that_is_never_ready_is_given_up(scene: Scene):
    scene.module = "tests.support.toy_leader"  # it opens no door
    scene.reload()
    scene.look()
    scene.look()
    successor = psutil.Process(scene.made[0].service.pid)
    assert scene.said[-1] == "the definitions were loaded anew; another worker pool starts"
    scene.now += READY_WITHIN_SECONDS
    scene.look()
    assert "did not start" in scene.said[-1]
    assert is_gone(successor)
    assert scene.doors == ["pool-1"]


def test_a_pool_that_cannot_be_started_is_not_tried_at_every_look(scene: Scene):
    scene.reload()
    scene.home.joinpath("pool-2.log").mkdir()
    with pytest.raises(OSError, match=r"pool-2\.log"):
        scene.look()
    scene.look()
    assert len(scene.made) == 1
    scene.now += TRY_AGAIN_SECONDS
    assert scene.takes_over()


def test_a_reload_while_a_pool_starts_is_followed_by_yet_another_one(scene: Scene):
    scene.reload()
    scene.look()
    scene.reload()
    assert scene.takes_over()
    assert scene.takes_over()
    assert len(scene.made) == 2
    assert scene.doors[0] == "pool-3"
    assert scene.looks_until(lambda: scene.doors == ["pool-3"])


def test_without_a_process_behind_its_leader_nothing_is_started(scene: Scene):
    scene.leader.signal(signal.SIGUSR2)
    assert eventually(lambda: scene.leader.worker_pid is None)
    scene.look()
    assert scene.made == []


def test_a_killed_pool_is_started_again_behind_the_same_door(scene: Scene):
    supervision = Supervision([scene.leader, scene.first.service], scene.said.append, scene.succession)
    supervision.start()
    try:
        before = scene.first.service.pid
        scene.first.service.kill()
        assert eventually(lambda: scene.first.service.is_ready and scene.first.service.pid != before)
        scene.first.launch("a")
        assert scene.first.ended("a")
        assert scene.doors == ["pool-1"]
        scene.reload()
        assert eventually(lambda: "the new worker pool has taken over" in scene.said)
        taken_over = scene.first.service.pid
        scene.first.service.kill()
        assert eventually(lambda: scene.first.service.is_ready and scene.first.service.pid != taken_over)
        scene.first.launch("b")
        assert scene.first.ended("b")
    finally:
        supervision.stop()


def test_the_end_leaves_no_process_and_no_note(tmp_path: Path):
    with played(tmp_path) as scene:
        scene.first.held("a", stubborn=True)
        scene.reload()
        assert scene.takes_over()
        scene.reload()
        scene.look()
        scene.look()
        pools = [scene.first, *scene.made]
        services = [scene.leader, *(pool.service for pool in pools)]
        processes = [psutil.Process(one.pid) for one in services if one.is_running]
        processes += [child for one in processes for child in one.children(recursive=True)]
        processes.append(scene.first.worker_of("a"))
        begun = time.monotonic()
        scene.succession.ask_to_stop()
        stop_all([scene.leader, scene.first.service])
        scene.succession.end()
        assert time.monotonic() - begun < 20
        assert eventually(lambda: all(map(is_gone, processes)))
        assert read_pools(tmp_path) == ()
