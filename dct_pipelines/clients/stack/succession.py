"""One generation of worker pools after the other: when the definitions are loaded anew, so is the pool.

The new pool starts beside the old one and takes over when it is ready; the old one finishes what it has and
ends by itself. No run notices. Which definitions are in force is the code server's matter: its process behind
the door is another one after each reload, and that is what is watched.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from dct_pipelines.clients.stack.complaints import Complaints
from dct_pipelines.clients.stack.notes import PoolsNote
from dct_pipelines.clients.stack.service import Service

LOOK_EVERY_SECONDS = 1.0
TRY_AGAIN_SECONDS = 30.0
"""After a new pool did not come up: its log says why, and the old one goes on."""
READY_WITHIN_SECONDS = 300.0
"""A new pool that is not ready by then is given up."""
END_SECONDS = 12.0
"""A pool lets runs finish for some seconds before it interrupts them."""


@dataclass
class Succession:
    """Keeps `pool`, the service that others know, to the generation of `leader`. Used by one thread.

    `make` gives another pool that listens at a socket; sockets lie in `directory`.
    """

    pool: Service
    leader: Service
    home: Path
    directory: Path
    make: Callable[[Path], Service]
    say: Callable[[str], None]
    _generation: int | None = None
    _wanted: int | None = None
    _number: int = 1
    _next: Service | None = None
    _retired: list[Service] = field(default_factory=list)
    _looked_at: float = 0.0
    _not_before: float = 0.0
    _begun_at: float = 0.0

    def __post_init__(self) -> None:
        self._noted = PoolsNote(self.home)
        self._complaints = Complaints(self.pool, self.say)

    def begin(self) -> None:
        """The first pool and its leader are ready."""
        self._generation = self.leader.worker_pid
        self._note()

    def look(self, now: float) -> None:
        """Start what has to be started, hand over to what is ready, forget what has ended, and complain."""
        if now - self._looked_at < LOOK_EVERY_SECONDS:
            return
        self._looked_at = now
        self._complaints.look(now)
        ended = [one for one in self._retired if not one.is_running]
        if ended:
            self._retired = [one for one in self._retired if one.is_running]
            self._note()
        if self._next is not None:
            self._promote(self._next, now)
            return
        generation = self.leader.worker_pid
        if generation is not None and generation != self._generation and now >= self._not_before:
            self._number += 1
            successor = self.make(self.directory / f"pool-{self._number}.sock")
            self._not_before = now + TRY_AGAIN_SECONDS
            successor.start()
            self._next, self._wanted, self._begun_at = successor, generation, now
            self.say("the definitions were loaded anew; another worker pool starts")

    def ask_to_stop(self) -> None:
        """Tell every pool but the one that others know to end, so that they do while others end."""
        for one in self._others:
            one.ask_to_stop()

    def end(self) -> None:
        """End every pool but the one that others know, and say that there is none any more."""
        self.ask_to_stop()
        for one in self._others:
            one.stop(END_SECONDS)
        self._noted.remove()

    @property
    def _others(self) -> list[Service]:
        return [*self._retired, *([self._next] if self._next else [])]

    def _promote(self, successor: Service, now: float) -> None:
        is_late = now - self._begun_at > READY_WITHIN_SECONDS
        if not successor.is_running or (is_late and not successor.is_ready):
            self.say(f"the new worker pool did not start, the old one goes on; see {successor.log}")
            successor.stop()
            self._next, self._not_before = None, now + TRY_AGAIN_SECONDS
            return
        if not successor.is_ready:
            return
        old = self.pool.copy()
        self.pool.become(successor)
        self._generation, self._next, self._not_before = self._wanted, None, 0.0
        self._retired.append(old)
        self._note()
        with contextlib.suppress(ProcessLookupError):
            old.signal(signal.SIGUSR1)
        self.say("the new worker pool has taken over")

    def _note(self) -> None:
        doors = [one.door for one in (self.pool, *reversed(self._retired))]
        self._noted.write([door for door in doors if isinstance(door, Path)])
