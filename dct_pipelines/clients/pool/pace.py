"""Whether a worker waits for others, or only for a processor, which another worker would take from it.

More workers help the first and make the second worse, each a little slower until all of them look held up.
The kernel counts both: https://docs.kernel.org/scheduler/sched-stats.html ("/proc/<pid>/schedstat").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

WAITS_BELOW = 0.25
"""Who runs, or is ready to run, for a smaller share of its time mostly waits for others."""
LOOK_SECONDS = 0.2
NANOSECONDS = 1e9


@dataclass
class Pace:
    """What one worker did of late. Without the kernel's counts, everybody who takes long waits."""

    waits: bool = False
    _seen_at: float | None = None
    _seen_seconds: float = 0.0

    def look(self, now: float, busy_seconds: Callable[[], float]) -> None:
        """Compare with the last look; the first one says nothing. `busy_seconds` only ever grows."""
        if self._seen_at is not None and now - self._seen_at < LOOK_SECONDS:
            return
        seconds = busy_seconds()
        if self._seen_at is not None:
            self.waits = seconds - self._seen_seconds < WAITS_BELOW * (now - self._seen_at)
        self._seen_at, self._seen_seconds = now, seconds

    def forget(self) -> None:
        """It begins with something else."""
        self.waits, self._seen_at = False, None


def busy_seconds(pid: int) -> float:
    """How long the process ran, or was ready to and waited for a processor; 0 when nobody counts."""
    try:
        running, ready, *_ = Path(f"/proc/{pid}/schedstat").read_bytes().split()
    except (OSError, ValueError):
        return 0.0
    return (int(running) + int(ready)) / NANOSECONDS
