"""Tells an operator what keeps a worker pool from having workers: when that begins, changes and ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dct_pipelines.clients.pool.caller import ask
from dct_pipelines.clients.stack.service import Service

PATIENCE_SECONDS = 1.0
"""Whoever asks has others to look after."""


@dataclass
class Complaints:
    """Those of `pool`; `say` gets a line for each."""

    pool: Service
    say: Callable[[str], None]
    _told: str = ""

    def look(self) -> None:
        """Ask the pool. That it does not answer, because it ended, is seen and said by whoever starts it."""
        door = self.pool.door
        assert isinstance(door, Path)  # noqa: S101 (our pools listen at sockets)
        try:
            trouble = ask(door, {"ask": "hello"}, PATIENCE_SECONDS)["trouble"]
        except OSError:
            return
        if trouble != self._told:
            self._told = trouble
            self.say(
                f"the worker pool gets no workers: {trouble}; see {self.pool.log}"
                if trouble
                else "the worker pool gets workers again"
            )
