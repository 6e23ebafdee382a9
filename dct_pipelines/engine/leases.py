"""Exclusive leases: what an action needs for itself, held for as long as it acts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID

from dct_pipelines.domain.errors import DatabaseUnavailable, DctError, LeaseBusy
from dct_pipelines.domain.execution import AttemptState
from dct_pipelines.engine.aftermath import end_attempt
from dct_pipelines.engine.times import Times
from dct_pipelines.store.database import Database
from dct_pipelines.store.executions import Connection, reading
from dct_pipelines.store.executions import leases as rows
from dct_pipelines.store.patience import patiently


@dataclass(frozen=True)
class Leases:
    """Takes leases for attempts; all that an action needs, or none."""

    database: Database
    times: Times
    sleep: Callable[[float], None] = field(default=time.sleep)

    @contextmanager
    def hold(
        self,
        execution_id: UUID,
        attempt: int,
        keys: Sequence[str],
        *,
        interruption: Callable[[], DctError | None],
        log: Callable[[str], None],
    ) -> Iterator[None]:
        """Hold every key until the end of the block; waits for its turn, then raises LeaseBusy.

        A holder that is over, or whose heartbeat is stale, loses the lease; the stale one is fenced off in
        the same transaction. `interruption` ends the waiting with its error.
        """
        if not keys:
            yield
            return
        self._wait_for(execution_id, attempt, keys, interruption, log)
        try:
            yield
        finally:
            # A lease that cannot be given back now goes with its attempt.
            with suppress(DatabaseUnavailable), self.database.begin() as connection:
                rows.give_back(connection, keys, execution_id, attempt)

    def _wait_for(
        self,
        execution_id: UUID,
        attempt: int,
        keys: Sequence[str],
        interruption: Callable[[], DctError | None],
        log: Callable[[str], None],
    ) -> None:
        waited = 0.0
        said = ""
        while True:
            if (stop := interruption()) is not None:
                raise stop
            try:
                patiently(lambda: self._take(execution_id, attempt, keys), self.times.record_wait_seconds)
                return
            except LeaseBusy as busy:
                if waited >= self.times.lease_wait_seconds:
                    raise LeaseBusy(f"{busy}; gave up after {waited:.0f} s") from None
                if said != str(busy):
                    said = str(busy)
                    log(f"waits: {said}")
            self.sleep(self.times.lease_poll_seconds)
            waited += self.times.lease_poll_seconds

    def _take(self, execution_id: UUID, attempt: int, keys: Sequence[str]) -> None:
        with self.database.begin() as connection:
            reading.fence(connection, execution_id, attempt)
            for key in sorted(set(keys)):
                while not rows.take_free(connection, key, execution_id, attempt):
                    holder = rows.holder(connection, key, self.times.stale_seconds)
                    if holder is None:
                        continue
                    if holder.execution_id != execution_id:
                        self._evict(connection, key, holder)
                    rows.hand_over(connection, key, execution_id, attempt)
                    break

    def _evict(self, connection: Connection, key: str, holder: rows.Holder) -> None:
        """Make sure that the holder can do nothing any more, or raise LeaseBusy."""
        if not holder.is_live:
            return
        busy = LeaseBusy(f"{key.replace(':', ' ', 1)} is held by execution {holder.execution_id}")
        if not holder.is_stale:
            raise busy
        execution = reading.lock(connection, holder.execution_id)
        if execution.attempt == holder.attempt:
            # While we waited for the lock, it may have shown life again.
            now = reading.attempts(connection, execution.id, self.times.stale_seconds)[-1]
            if now.is_live and not now.is_stale:
                raise busy
            end_attempt(
                connection,
                execution,
                f"attempt {holder.attempt} gave no sign of life for {self.times.stale_seconds:.0f} s "
                f"while it held {key.replace(':', ' ', 1)}",
                is_transient=True,
                ends=AttemptState.LOST,
            )
