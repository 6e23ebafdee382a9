"""Reads connections side by side: one that answers slowly, or not at all, holds up nobody else's.

A read that takes longer than its tick's patience goes on in the background. It keeps the connection's reading
lock, so that the next tick leaves that connection alone and reads the others.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime
from functools import cached_property
from uuid import UUID

from dct_pipelines.engine.reading import TickReport
from dct_pipelines.store.watching.sources import Source

log = logging.getLogger(__name__)
WORKERS = 6
"""Each uses two database connections at most, of the fifteen that a process has by default."""


class Readers:
    """The threads of one process that read connections."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[UUID, Future[TickReport]] = {}

    def read(
        self, sources: Sequence[Source], read: Callable[[Source], TickReport], patience_seconds: float
    ) -> TickReport:
        """What the reads gave that were over within the patience; those that answered last time go first.

        An error that is not the connection's own is raised, after everybody had a chance.
        """
        until = time.monotonic() + patience_seconds
        started: list[tuple[Source, Future[TickReport]]] = []
        report = TickReport()
        for source in sorted(sources, key=lambda source: source.consecutive_failures > 0):
            future = self._start(source, read)
            if future is None:
                report.problems.append(f"{source.name} is still being read")
            else:
                started.append((source, future))
        wait([future for _, future in started], timeout=max(0.0, until - time.monotonic()))
        wanted: list[datetime] = []
        for source, future in started:
            if future.done():
                one = future.result()
                report.include(one)
                wanted += [one.again_at] if one.again_at is not None else []
            else:
                future.add_done_callback(_said_later(source))
                report.problems.append(f"{source.name} takes long; its read goes on")
        report.again_at = min(wanted, default=None)
        return report

    def _start(self, source: Source, read: Callable[[Source], TickReport]) -> Future[TickReport] | None:
        """None when an earlier read of the connection is not over."""
        with self._lock:
            before = self._under_way.get(source.id)
            if before is not None and not before.done():
                return None
            future = self._under_way[source.id] = self._pool.submit(read, source)
            return future

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(WORKERS, thread_name_prefix="reading")


def _said_later(source: Source) -> Callable[[Future[TickReport]], None]:
    """What becomes of a read that its tick did not wait for: its tick can no longer say so."""

    def say(read: Future[TickReport]) -> None:
        error = read.exception()
        if error is not None:
            log.error("the read of %s, which went on behind its tick, failed", source.name, exc_info=error)
        else:
            log.info("%s, read on behind its tick: %s", source.name, read.result())

    return say
