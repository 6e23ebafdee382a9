"""How long the executing half waits for what, in one place, because the bounds depend on each other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Times:
    """Seconds. An attempt that could not renew its hold stops by itself after `self_fence_seconds`, so that
    it has stopped when another may take over after `stale_seconds`.
    """

    heartbeat_seconds: float = 3
    self_fence_seconds: float = 20
    stale_seconds: float = 30
    start_within_seconds: float = 30
    """A dispatched execution without a run after that long gets its next attempt."""
    overdue_grace_seconds: float = 30
    """What an execution gets beyond its deadline to stop by itself before the sweep ends it."""
    lease_wait_seconds: float = 60
    lease_poll_seconds: float = 1
    record_wait_seconds: float = 120
    """How long a result waits for a database that is away."""

    def __post_init__(self) -> None:
        if not self.heartbeat_seconds < self.self_fence_seconds < self.stale_seconds:
            raise ValueError("an attempt must renew, then stop itself, before another one may take over")
