"""The caller's side: one question, one answer, to the newest pool or to all that there are.

A home notes its pools in a file, the newest first; while a new generation takes over there are two. Nothing
is kept open between questions: a connection to a socket of this machine costs microseconds.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dct_pipelines.clients.pool.roster import Launch, LaunchState
from dct_pipelines.clients.pool.worker import encode
from dct_pipelines.clients.stack.notes import read_pools
from dct_pipelines.domain.errors import PoolUnreachable

PATIENCE_SECONDS = 5.0


@dataclass(frozen=True)
class Health:
    """What all pools together know of launches. `ended` says how, where that was not well."""

    states: Mapping[str, LaunchState]
    ended: Mapping[str, str]


@dataclass
class Pools:
    """The pools of one home."""

    home: Path

    @property
    def are_noted(self) -> bool:
        """Whether this home has a pool, or is about to have it back."""
        return bool(read_pools(self.home))

    def hello(self) -> Mapping[str, Any]:
        """What the newest pool says of itself; `PoolUnreachable` when none answers."""
        return self._first({"ask": "hello"}, lambda _answer: True)

    def launch(self, launches: Sequence[Launch]) -> None:
        """Have the newest pool that takes work take these; those that it knows already are left as they are.

        `PoolUnreachable` when none takes them; then it is not known whether one did, and asking again is
        safe.
        """
        message = {"ask": "launch", "launches": [asdict(launch) for launch in launches]}
        self._first(message, lambda answer: "accepted" in answer)

    def stop(self, key: str) -> LaunchState:
        """Ask whoever has the launch to stop it; returns what it was, UNKNOWN when nobody has it."""
        for answer in self._all({"ask": "stop", "key": key}):
            if (was := LaunchState(answer["was"])) is not LaunchState.UNKNOWN:
                return was
        return LaunchState.UNKNOWN

    def health(self, keys: Iterable[str]) -> Health:
        """How launches stand; `PoolUnreachable` unless every pool answered, because one of them may know."""
        wanted = list(keys)
        states = dict.fromkeys(wanted, LaunchState.UNKNOWN)
        ended: dict[str, str] = {}
        for answer in self._all({"ask": "health", "keys": wanted}):
            ended |= {key: how for key, how in answer["ended"].items() if how}
            states |= {
                key: state
                for key, told in answer["states"].items()
                if (state := LaunchState(told)) is not LaunchState.UNKNOWN
            }
        return Health(states, ended)

    def _first(self, message: object, fits: Any) -> Mapping[str, Any]:
        said = "no pool is noted"
        for door in read_pools(self.home):
            try:
                answer = ask(door, message)
            except OSError as error:
                said = str(error)
                continue
            if fits(answer):
                return answer
            said = "it is about to end"
        raise PoolUnreachable(f"no worker pool of {self.home} takes work ({said}); `dct up` runs one")

    def _all(self, message: object) -> list[Mapping[str, Any]]:
        answers = []
        doors = read_pools(self.home)
        for door in doors:
            try:
                answers.append(ask(door, message))
            except OSError as error:
                if door.exists() or len(doors) == 1:
                    raise PoolUnreachable(f"the worker pool at {door} does not answer ({error})") from error
        return answers


def ask(door: Path, message: object, timeout_seconds: float = PATIENCE_SECONDS) -> Mapping[str, Any]:
    """The answer of the pool behind this socket; OSError when there is none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(timeout_seconds)
        line.connect(str(door))
        line.sendall(encode(message))
        with line.makefile("rb") as answers:
            text = answers.readline()
    if not text.endswith(b"\n"):
        raise ConnectionResetError("the pool hung up")
    answer: Mapping[str, Any] = json.loads(text)
    return answer
