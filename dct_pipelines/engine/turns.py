"""A turn of a kind of connection: what is due is read, and again within the turn what is busy meanwhile.

Dagster's sensor loop turns every five seconds. What arrives at a steady rate would come in parcels of five
seconds, and the last of a parcel would wait for all before it. Who lets a busy connection be read more often
(`busy_interval_seconds`) gets smaller parcels sooner; a connection that brings nothing costs what it did.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from dct_pipelines.domain.ports import Clock
from dct_pipelines.engine.listening import Listening
from dct_pipelines.engine.reading import TickReport

LAST_READ_SECONDS = 1.0
"""A read that begins within so little of the turn's end is left to the next turn."""


@dataclass(frozen=True)
class Turn:
    """One turn of at most `seconds`; reads that are not over by then go on behind it."""

    listening: Listening
    clock: Clock
    seconds: float
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic

    def read(self, kind: str) -> TickReport:
        """Read what is due, and what is busy until the turn is over."""
        end = self.monotonic() + self.seconds
        seen = last = self.listening.tick(kind, patience_seconds=self.seconds)
        while last.again_at is not None:
            pause = max(0.0, (last.again_at - self.clock.now()).total_seconds())
            if self.monotonic() + pause > end - LAST_READ_SECONDS:
                break
            self.sleep(pause)
            last = self.listening.tick(kind, patience_seconds=end - self.monotonic())
            seen.include(last)
        return seen
