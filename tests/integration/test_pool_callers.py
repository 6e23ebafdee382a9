"""Whatever callers send, or do not read, a pool answers them and goes on."""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from dct_pipelines.clients.pool.caller import Pools, ask
from dct_pipelines.clients.pool.launch import Launch, LaunchState
from dct_pipelines.clients.pool.lines import LONGEST_LINE_BYTES, MOST_CALLERS
from dct_pipelines.clients.stack.notes import read_pools
from dct_pipelines.domain.errors import PoolUnreachable
from tests.support.pools import *  # noqa: F403
from tests.support.pools import leave_note, noted
from tests.support.toy_pool import ToyPool

pytestmark = pytest.mark.integration


def test_without_a_note_there_is_no_pool(tmp_path: Path):
    pools = ToyPool(tmp_path).pools
    assert not pools.are_noted
    assert pools.stop("a") is LaunchState.UNKNOWN
    for ask_pools in (pools.hello, lambda: pools.health(["a"]), lambda: pools.launch([Launch("a")])):
        with pytest.raises(PoolUnreachable, match="`dct up` runs one"):
            ask_pools()
    with noted(tmp_path), pytest.raises(PoolUnreachable, match="does not answer"):
        pools.health(["a"])


def test_a_note_counts_for_as_long_as_its_writer_lives(tmp_path: Path):
    def counts() -> bool:
        return Pools(tmp_path).are_noted

    with noted(tmp_path):
        assert counts()
    assert not counts()
    leave_note(tmp_path)
    assert read_pools(tmp_path) == (tmp_path / "pool.sock",)
    assert not counts()
    with noted(tmp_path):
        assert counts()


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


def test_a_door_whose_path_is_too_long_is_named(tmp_path: Path):
    pool = ToyPool(tmp_path, "long" * 30)
    pool.service.start()
    assert not pool.service.wait_until_ready(30)
    assert f"cannot listen at {pool.door}" in pool.service.last_words()


def test_a_body_larger_than_any_buffer_arrives_while_others_are_served(pool: ToyPool):
    pool.launch("large", "larger", padding="x" * 2_000_000)
    assert pool.ended("large", "larger")
    assert ask(pool.door, {"ask": "hello"})["draining"] is False


def test_a_caller_waits_for_room_in_a_crowd_at_the_door(tmp_path: Path):
    with socket.socket(socket.AF_UNIX) as door, ThreadPoolExecutor() as callers:
        door.bind(str(tmp_path / "door"))
        door.listen(1)
        asked = [callers.submit(ask, tmp_path / "door", {"ask": "hello"}) for _ in range(4)]
        for _ in asked:
            caller, _address = door.accept()
            with caller, caller.makefile("rb") as questions:
                questions.readline()
                caller.sendall(b'{"pid": 7}\n')
        assert [one.result() for one in asked] == [{"pid": 7}] * 4


def test_a_crowd_that_does_not_move_is_not_waited_for_for_ever(tmp_path: Path):
    with socket.socket(socket.AF_UNIX) as door, ExitStack() as crowd:
        door.bind(str(tmp_path / "door"))
        door.listen(0)
        crowd.enter_context(socket.socket(socket.AF_UNIX)).connect(str(tmp_path / "door"))
        with pytest.raises(OSError, match="temporarily unavailable"):
            ask(tmp_path / "door", {"ask": "hello"}, timeout_seconds=0.1)
