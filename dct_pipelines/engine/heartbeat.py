"""The sign of life of the attempts that this process works on, and how each learns that it must stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from uuid import UUID

from dct_pipelines.domain.at_work import AtWork
from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.domain.ports import ActionPorts
from dct_pipelines.engine.times import Times
from dct_pipelines.store.database import Database
from dct_pipelines.store.executions import leases
from dct_pipelines.store.executions.rows import Execution, Result

logger = logging.getLogger(__name__)


class Hold:
    """One attempt that this process works on: what it knows of it, and how the last heartbeat found it.

    `execution` and `results` stay true for as long as the attempt is held: nobody else may write then. Each
    write asks the database whether it still is.
    """

    def __init__(self, execution: Execution, results: Mapping[int, Result], run_id: str) -> None:
        self.execution = execution
        self.results = dict(results)
        """What was done so far, by the index of the action."""
        self.run_id = run_id
        self.renewed_at = 0.0
        """Seconds of the monotonic clock, taken before the renewal was sent."""
        self.is_over = False
        """Another attempt took over, or this one was ended."""
        self.is_cancel_requested = False
        self.ports: ActionPorts | None = None
        """What its actions may touch, once the first one was about to."""

    @property
    def key(self) -> tuple[UUID, int]:
        """The execution and the attempt."""
        return self.execution.id, self.execution.attempt

    def at(self, index: int | None = None) -> AtWork:
        """What a thread is at work on that carries it out, or the action at `index`."""
        execution = self.execution
        names = [step.name for step in execution.steps]
        return AtWork(
            execution_id=execution.id,
            attempt=execution.attempt,
            trigger=execution.trigger_name or None,
            event_id=execution.event_id,
            action=names[index] if index is not None and 0 <= index < len(names) else None,
            index=index,
        )


class Heartbeats:
    """Renews every hold of this process from one daemon thread, which ends at a beat that finds none.

    A database that is away does not end a hold at once: renewing goes on, and only when the last success is
    older than `self_fence_seconds` the work has to stop, before anybody else may take over.
    """

    def __init__(
        self, database: Database, times: Times, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._times = times
        self._monotonic = monotonic
        self._holds: dict[tuple[UUID, int], Hold] = {}
        self._is_away = False
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def now(self) -> float:
        """Seconds of the clock by which renewals are counted."""
        return self._monotonic()

    def watch(
        self, execution: Execution, results: Mapping[int, Result], run_id: str, asked_at: float
    ) -> Hold:
        """Keep the attempt alive from now on; it was taken or verified by what was sent after `asked_at`."""
        fresh = Hold(execution, results, run_id)
        with self._lock:
            hold = self._holds.setdefault(fresh.key, fresh)
            hold.execution, hold.results = fresh.execution, fresh.results
            hold.renewed_at = asked_at
            if self._thread is None or not self._thread.is_alive():
                self._wake.clear()
                self._thread = threading.Thread(target=self._run, name="dct-heartbeat", daemon=True)
                self._thread.start()
        return hold

    def held_by(self, run_id: str) -> Hold | None:
        """What that run holds, as far as this process knows; None also when it was not renewed lately."""
        held = (hold for hold in self._held() if hold.run_id == run_id)
        return next((hold for hold in held if self.is_renewed(hold)), None)

    def release(self, hold: Hold) -> None:
        """Renew that attempt no more. Nothing happens when it is not held here."""
        with self._lock:
            self._holds.pop(hold.key, None)

    def release_run(self, run_id: str) -> None:
        """Renew nothing more that this run holds."""
        for hold in self._held():
            if hold.run_id == run_id:
                self.release(hold)

    def stop(self) -> None:
        """Renew nothing more, and end the thread."""
        for hold in self._held():
            self.release(hold)
        self._wake.set()
        if (thread := self._thread) is not None:
            thread.join()

    def is_renewed(self, hold: Hold) -> bool:
        """Whether the last renewal is recent enough to go on working."""
        return self._monotonic() - hold.renewed_at < self._times.self_fence_seconds

    def beat(self) -> None:
        """Renew every hold once. What fails is tried again at the next beat, and logged once."""
        for hold in self._held():
            sent = self._monotonic()
            try:
                with self._database.begin() as connection:
                    answer = leases.renew(connection, *hold.key, hold.run_id)
            except DatabaseUnavailable as error:
                self._note_away(str(error))
                continue
            self._note_away(None)
            if answer is None:
                hold.is_over = True
                self.release(hold)
                continue
            hold.renewed_at = sent
            hold.is_cancel_requested |= answer == "cancelled"

    def _note_away(self, because: str | None) -> None:
        """Say once that the database is away, and once that it is back."""
        if because is not None and not self._is_away:
            logger.warning("signs of life wait for the database: %s", because)
        if because is None and self._is_away:
            logger.info("signs of life reach the database again")
        self._is_away = because is not None

    def _held(self) -> list[Hold]:
        with self._lock:
            return list(self._holds.values())

    def _run(self) -> None:
        while True:
            self._wake.wait(self._times.heartbeat_seconds)
            with self._lock:
                if not self._holds:
                    self._thread = None
                    return
                self._wake.clear()
            try:
                self.beat()
            except Exception:
                # A thread that dies silently would end work that goes well.
                logger.exception("heartbeat failed; it is tried again")
