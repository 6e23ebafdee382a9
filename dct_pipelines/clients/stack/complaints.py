"""Tells an operator what keeps a worker pool from having workers: when that begins, changes and ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dct_pipelines.clients.pool.caller import ask
from dct_pipelines.clients.stack.service import Service

PATIENCE_SECONDS = 1.0
"""Whoever asks has others to look after."""
EVERY_SECONDS = 5.0
"""Nobody mends it sooner."""


@dataclass
class Complaints:
    """Those of `pool`; `say` gets a line for each."""

    pool: Service
    say: Callable[[str], None]
    _told: str = ""
    _not_before: float = 0.0

    def look(self, now: float) -> None:
        """Ask the pool. That it does not answer, because it ended, is seen and said by whoever starts it."""
        if now < self._not_before:
            return
        self._not_before = now + EVERY_SECONDS
        try:
            answer = ask(Path(str(self.pool.door)), {"ask": "hello"}, PATIENCE_SECONDS)
        except OSError:
            return
        trouble = str(answer.get("trouble", ""))
        if trouble == self._told or not (trouble or answer.get("ready")):
            return
        self._told = trouble
        self.say(
            f"the worker pool gets no workers: {trouble}; see {self.pool.log}"
            if trouble
            else "the worker pool gets workers again"
        )
