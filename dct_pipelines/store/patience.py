"""Waiting for a database that is away, so that what was done is not lost for want of a place to write it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from dct_pipelines.domain.errors import DatabaseUnavailable

T = TypeVar("T")
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0


def patiently(work: Callable[[], T], seconds: float, *, log: Callable[[str], None] | None = None) -> T:
    """The result of `work`, tried again for up to `seconds` as long as it raises DatabaseUnavailable.

    `work` opens its own transaction and must stand being repeated: a commit may have succeeded although its
    answer got lost. `log` gets one line when the waiting begins and one when it is over.
    """
    began = time.monotonic()
    pause = FIRST_PAUSE_SECONDS
    waited = False
    while True:
        try:
            result = work()
        except DatabaseUnavailable as error:
            if time.monotonic() - began + pause > seconds:
                raise
            if not waited and log is not None:
                log(f"waits for the database: {error}")
            waited = True
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        else:
            if waited and log is not None:
                log(f"the database is back after {time.monotonic() - began:.0f} s")
            return result
