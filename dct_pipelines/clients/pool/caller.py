"""The caller's side: one question, one answer, to the newest pool or to all that there are.

A home notes its pools in a file, the newest first; while a new generation takes over there are two. Nothing
is kept open between questions: a connection to a socket of this machine costs microseconds.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dct_pipelines.clients.pool.launch import Launch, LaunchState, encode
from dct_pipelines.clients.stack.notes import pools_are_kept, read_pools
from dct_pipelines.domain.errors import PoolUnreachable

PATIENCE_SECONDS = 5.0
Answer = Mapping[str, Any]


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
        """Whether this home has a pool, or has somebody who starts it again."""
        return pools_are_kept(self.home)

    def hello(self) -> Answer:
        """What the newest pool that takes work says of itself; `PoolUnreachable` when none does.

        Its `trouble`, when it is not empty, is why it has no workers at present.
        """
        return self._first({"ask": "hello"}, lambda answer: not answer["draining"])

    def launch(self, launches: Sequence[Launch]) -> None:
        """Have the newest pool that takes work take these; what a pool knows already stays as it is.

        `PoolUnreachable` when none takes them; then it is not known whether one did, and asking again is
        safe.
        """
        known = self._known_to_older([launch.key for launch in launches])
        new = [one for one in launches if one.is_new_to(known.get(one.key, LaunchState.UNKNOWN))]
        message = {"ask": "launch", "launches": [asdict(launch) for launch in new]}
        self._first(message, lambda answer: "accepted" in answer)

    def stop(self, key: str) -> LaunchState:
        """Ask whoever has the launch to stop it; returns what it was, UNKNOWN when nobody has it.

        `PoolUnreachable` when a pool that may have it does not answer.
        """
        answers, away = self._all({"ask": "stop", "key": key})
        known = [was for one in answers if (was := LaunchState(one["was"])) is not LaunchState.UNKNOWN]
        if not known and away is not None:
            raise away
        return next(iter(known), LaunchState.UNKNOWN)

    def health(self, keys: Iterable[str]) -> Health:
        """How launches stand; `PoolUnreachable` unless every pool there is answered."""
        wanted = list(keys)
        answers, away = self._all({"ask": "health", "keys": wanted})
        if away is not None:
            raise away
        if not answers:
            raise PoolUnreachable(f"no worker pool of {self.home} is noted; `dct up` runs one")
        states = dict.fromkeys(wanted, LaunchState.UNKNOWN)
        ended: dict[str, str] = {}
        for answer in reversed(answers):
            # Oldest first: what a newer pool knows better than "unknown" is newer.
            for key, told in answer["states"].items():
                if (state := LaunchState(told)) is not LaunchState.UNKNOWN:
                    states[key] = state
                    ended.pop(key, None)
            ended |= answer["ended"]
        return Health(states, ended)

    def _known_to_older(self, keys: Sequence[str]) -> dict[str, LaunchState]:
        """What pools that give way to the newest have; one that does not answer has to be left out."""
        known: dict[str, LaunchState] = {}
        for door in read_pools(self.home)[1:]:
            with suppress(OSError):
                states = ask(door, {"ask": "health", "keys": list(keys)})["states"]
                known |= {
                    key: LaunchState(state) for key, state in states.items() if state != LaunchState.UNKNOWN
                }
        return known

    def _first(self, message: object, fits: Callable[[Answer], bool]) -> Answer:
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

    def _all(self, message: object) -> tuple[list[Answer], PoolUnreachable | None]:
        """Every answer, the newest pool's first, and the error of the first that should have answered."""
        answers: list[Answer] = []
        away: PoolUnreachable | None = None
        doors = read_pools(self.home)
        for door in doors:
            try:
                answers.append(ask(door, message))
            except OSError as error:
                if door.exists() or len(doors) == 1:
                    away = away or PoolUnreachable(f"the worker pool at {door} does not answer ({error})")
        return answers, away


def ask(door: Path, message: object, timeout_seconds: float = PATIENCE_SECONDS) -> Answer:
    """The answer of the pool behind this socket; OSError when there is none, or it is a complaint."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        # By the kernel's timeout a caller waits for room in a crowd; by Python's it would be refused at once.
        seconds, rest = divmod(timeout_seconds, 1)
        patience = struct.pack("ll", int(seconds), int(rest * 1e6))
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        line.connect(str(door))
        line.settimeout(timeout_seconds)
        line.sendall(encode(message))
        with line.makefile("rb") as answers:
            text = answers.readline()
    if not text.endswith(b"\n"):
        raise ConnectionResetError("the pool hung up")
    try:
        answer: Answer = json.loads(text)
    except ValueError as error:
        raise ConnectionResetError("the pool's answer is no JSON") from error
    if "error" in answer:
        raise ConnectionRefusedError(f"the pool refused it: {answer['error']}")
    return answer
