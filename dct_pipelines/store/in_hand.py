"""A connection that stays in hand from one statement to the next.

To take one from the pool and to give it back costs about as much as a small statement, and an execution of
three actions sends nine of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from dct_pipelines.store.engine import RESTED_SECONDS, RESTS_SINCE, is_told_something

IN_HAND_SECONDS = 60
"""Then it goes back to the pool, which replaces what has become old."""


@dataclass
class _Held:
    connection: Connection
    driver: Any
    taken_at: float
    used_at: float

    def is_sound(self, now: float) -> bool:
        """Whether it can be used without asking the server: one that ended has said so (`store.engine`)."""
        is_fresh = now - self.used_at < RESTED_SECONDS and now - self.taken_at < IN_HAND_SECONDS
        return is_fresh and not self.driver.closed and not is_told_something(self.driver)

    def give_back(self) -> None:
        """To the pool, which learns how long it has rested."""
        if not self.driver.closed:
            self.driver.autocommit = False
            self.connection.info[RESTS_SINCE] = self.used_at
        self.connection.close()


class InHand:
    """One connection stays in hand while nobody uses it; threads that need more take others from the pool.

    On it each statement is a transaction of its own, by the driver's own switch: SQLAlchemy's asks the server
    for each change of it.
    """

    def __init__(
        self, take: Callable[[], Connection], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._take = take
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._held: _Held | None = None

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """The connection for the block, after which it is kept unless something went wrong."""
        held = self._sound() or self._new()
        try:
            yield held.connection
            if held.connection.in_transaction():
                held.connection.rollback()
        except BaseException:
            held.give_back()
            raise
        self._keep(held)

    def release(self) -> None:
        """Give back what is in hand."""
        if held := self._swapped(None):
            held.give_back()

    def _sound(self) -> _Held | None:
        held = self._swapped(None)
        if held is None or held.is_sound(self._monotonic()):
            return held
        held.give_back()
        return None

    def _new(self) -> _Held:
        connection = self._take()
        driver: Any = connection.connection.driver_connection
        driver.autocommit = True
        now = self._monotonic()
        return _Held(connection, driver, taken_at=now, used_at=now)

    def _keep(self, held: _Held) -> None:
        held.used_at = self._monotonic()
        if before := self._swapped(held):
            before.give_back()

    def _swapped(self, held: _Held | None) -> _Held | None:
        with self._lock:
            self._held, before = held, self._held
        return before
