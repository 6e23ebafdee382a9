"""How hard retention works, so that nobody has to wait for it, and what it has to tell."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.store.database import Connection, Database

Result = TypeVar("Result")


@dataclass(frozen=True)
class Pace:
    """How hard it works: seconds of a batch, and of the pause after it for each of those."""

    batch_seconds: float = 0.1
    rest: float = 1.0
    fewest: int = 50
    most: int = 5_000
    tries: int = 20
    """How often a partition that is in use is tried again, once a second."""
    most_moved: int = 1_000
    """So many rows may go to another partition while everybody waits; where there are more, none do."""
    most_read_pages: int = 5_000
    """So much of a default partition, 40 MB, may be read while everybody waits."""
    pause: Callable[[float], None] = time.sleep

    def next_size(self, size: int, took_seconds: float) -> int:
        """How large the next batch is, after one of this size that took so long."""
        return max(self.fewest, min(self.most, int(size * self.batch_seconds / max(took_seconds, 0.001))))


DEFAULT_PACE = Pace()


@dataclass
class Swept:
    """How many rows went, or would go, by table; and what else is to be said."""

    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    is_whole: bool = True
    """False where something was in use and is left for the next time."""


def in_a_gap(database: Database, pace: Pace, work: Callable[[Connection], Result]) -> Result | None:
    """What the work gives, which needs a whole table; None while others go on using it."""
    for left in reversed(range(pace.tries)):
        try:
            with database.begin() as connection:
                return work(connection)
        except DatabaseUnavailable:
            if left:
                pace.pause(1)
    return None
