"""What code prints in this process, for the log of the step that printed it. No extra process, no thread.

Dagster's own way to capture output starts four processes a step. Here the two descriptors lead into a file
without a name, and after each step what is new there is taken out.
"""

from __future__ import annotations

import faulthandler
import fcntl
import logging
import os
import sys
import tempfile
from dataclasses import dataclass
from typing import ClassVar, TextIO

LONGEST_BYTES = 64 * 1024
"""Of one step's output, the end of it."""


@dataclass
class _Capture:
    current: ClassVar[_Capture | None] = None

    descriptor: int
    earlier: TextIO
    """Where errors went before, kept open for whoever writes there."""

    def take(self) -> str:
        size = os.fstat(self.descriptor).st_size
        if size == 0:
            return ""
        text = os.pread(self.descriptor, LONGEST_BYTES, max(0, size - LONGEST_BYTES))
        os.ftruncate(self.descriptor, 0)
        cut = f"({size - LONGEST_BYTES} bytes before this are left out)\n" if size > LONGEST_BYTES else ""
        return cut + text.decode("utf-8", "replace")


def capture() -> None:
    """From now on keep what this process prints; called once, in a process that works on one run at a time.

    What is logged goes where it went before, which is the log of the pool: it is about us, not about a run.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    earlier = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    with tempfile.TemporaryFile(prefix="dct-printed-") as file:
        kept = os.dup(file.fileno())
    fcntl.fcntl(kept, fcntl.F_SETFL, fcntl.fcntl(kept, fcntl.F_GETFL) | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(kept, descriptor)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stdout, sys.stderr):
            handler.setStream(earlier)
    if faulthandler.is_enabled():
        # The last words of a process that dies are nobody's to take.
        faulthandler.enable(earlier)
    _Capture.current = _Capture(kept, earlier)


def take() -> str:
    """What was printed since the last time; empty where nothing is kept."""
    if _Capture.current is None:
        return ""
    sys.stdout.flush()
    sys.stderr.flush()
    return _Capture.current.take()
