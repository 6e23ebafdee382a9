"""A connection that stays in hand from one statement to the next.

To take one from the pool and to give it back costs about as much as a small statement, and an execution of
three actions sends nine of them.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from dct_pipelines.store.engine import RESTED_SECONDS

IN_HAND_SECONDS = 60
"""Then it goes back to the pool, which replaces what has become old."""


@dataclass
class _Held:
    connection: Connection
    driver: Any
    taken_at: float = field(default_factory=time.monotonic)
    used_at: float = 0.0

    def is_sound(self) -> bool:
        """Whether it can be used without asking the server: one that ended has said so (`store.engine`)."""
        now = time.monotonic()
        is_fresh = now - self.used_at < RESTED_SECONDS and now - self.taken_at < IN_HAND_SECONDS
        return is_fresh and not self.driver.closed and not select.select([self.driver], [], [], 0)[0]

    def give_back(self) -> None:
        """To the pool, as it was."""
        if not self.driver.closed:
            self.driver.autocommit = False
        self.connection.close()


class InHand:
    """One connection at a time stays in hand; threads that need more take others from the pool.

    On it each statement is a transaction of its own, by the driver's own switch: SQLAlchemy's asks the server
    for each change of it.
    """

    def __init__(self, take: Callable[[], Connection]) -> None:
        self._take = take
        self._held: list[_Held] = []

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """The connection for the block, after which it is kept unless something went wrong."""
        held = self._sound() or self._new()
        try:
            yield held.connection
        except BaseException:
            held.give_back()
            raise
        self._keep(held)

    def release(self) -> None:
        """Give back what is in hand."""
        while held := self._popped():
            held.give_back()

    def _sound(self) -> _Held | None:
        held = self._popped()
        if held is None or held.is_sound():
            return held
        held.give_back()
        return None

    def _new(self) -> _Held:
        connection = self._take()
        driver: Any = connection.connection.driver_connection
        driver.autocommit = True
        return _Held(connection, driver)

    def _keep(self, held: _Held) -> None:
        if self._held or held.driver.closed:
            held.give_back()
            return
        if held.connection.in_transaction():
            held.connection.rollback()
        held.used_at = time.monotonic()
        self._held.append(held)

    def _popped(self) -> _Held | None:
        try:
            return self._held.pop()
        except IndexError:
            return None
