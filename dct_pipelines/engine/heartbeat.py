"""The sign of life of the attempts that this process works on, and how each learns that it must stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from uuid import UUID

from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.engine.times import Times
from dct_pipelines.store.database import Database
from dct_pipelines.store.executions import leases

logger = logging.getLogger(__name__)


class Hold:
    """One attempt that this process works on, as the last heartbeat found it."""

    def __init__(self, execution_id: UUID, attempt: int, run_id: str, renewed_at: float) -> None:
        self.execution_id = execution_id
        self.attempt = attempt
        self.run_id = run_id
        self.renewed_at = renewed_at
        """Seconds of the monotonic clock, taken before the renewal was sent."""
        self.is_over = False
        """Another attempt took over, or this one was ended."""
        self.is_cancel_requested = False


class Heartbeats:
    """Renews every hold of this process from one daemon thread, which lives as long as there are any.

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

    def watch(self, execution_id: UUID, attempt: int, run_id: str) -> Hold:
        """Keep the attempt alive from now on; it has just been taken or verified."""
        with self._lock:
            hold = self._holds.setdefault(
                (execution_id, attempt), Hold(execution_id, attempt, run_id, self._monotonic())
            )
            hold.renewed_at = self._monotonic()
            if self._thread is None or not self._thread.is_alive():
                self._wake.clear()
                self._thread = threading.Thread(target=self._run, name="dct-heartbeat", daemon=True)
                self._thread.start()
        return hold

    def release(self, execution_id: UUID, attempt: int) -> None:
        """Renew that attempt no more. Nothing happens when it is not held here."""
        with self._lock:
            self._holds.pop((execution_id, attempt), None)
            if not self._holds:
                self._wake.set()

    def release_run(self, run_id: str) -> None:
        """Renew nothing more that this run holds."""
        for hold in self._held():
            if hold.run_id == run_id:
                self.release(hold.execution_id, hold.attempt)

    def stop(self) -> None:
        """Renew nothing more, and end the thread."""
        for hold in self._held():
            self.release(hold.execution_id, hold.attempt)
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
                    answer = leases.renew(connection, hold.execution_id, hold.attempt, hold.run_id)
            except DatabaseUnavailable as error:
                self._note_away(str(error))
                continue
            self._note_away(None)
            if answer is None:
                hold.is_over = True
                self.release(hold.execution_id, hold.attempt)
                continue
            hold.renewed_at = sent
            hold.is_cancel_requested = answer == "cancelled"

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
            if self._wake.wait(self._times.heartbeat_seconds):
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
