"""Who works on what: the zygote's memory, and its rules as pure functions of it and of a monotonic clock.

A launch is known from when it is accepted until well after it ended, so that a caller who never heard the
answer may ask again: it is accepted once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

ENDED_KEPT = 10_000
LONG_SECONDS = 0.5
"""Who works on one launch for so long mostly waits for others; another worker costs less than a queue."""


class LaunchState(StrEnum):
    """What the pool knows of a launch."""

    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Launch:
    """One piece of work. `body` is for the worker only; `alone` gives it a worker that does nothing else."""

    key: str
    body: str = ""
    limit_seconds: float | None = None
    alone: bool = False
    again: bool = False
    """Take it also when it ended here before: it goes on from where it was."""


@dataclass(frozen=True)
class Size:
    """How many workers: `base` ready for short work, and up to `most` when work takes long.

    A worker is replaced after `most_launches`, or once it is larger than `most_bytes`.
    """

    base: int = 4
    most: int = 256
    most_launches: int = 1000
    most_bytes: int = 512 * 1024 * 1024


@dataclass
class Member:
    """A worker. `launch` is what it works on; `asked_at` when it was first asked to stop that."""

    pid: int
    alone: bool = False
    is_ready: bool = False
    launch: Launch | None = None
    since: float = 0.0
    launches: int = 0
    resident_bytes: int = 0
    asked_at: float | None = None
    because: str = ""
    is_retired: bool = False


@dataclass
class Roster:
    """Launches and workers. `ended` says how each of the last launches ended; empty is well."""

    size: Size
    queue: deque[Launch] = field(default_factory=deque)
    members: dict[int, Member] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)

    def accept(self, launch: Launch) -> bool:
        """Queue it; False when it is known already."""
        state = self.state(launch.key)
        if state is not LaunchState.UNKNOWN and not (launch.again and state is LaunchState.ENDED):
            return False
        self.ended.pop(launch.key, None)
        self.queue.append(launch)
        return True

    def state(self, key: str) -> LaunchState:
        """What is known of a launch."""
        if self.member_of(key) is not None:
            return LaunchState.RUNNING
        if any(launch.key == key for launch in self.queue):
            return LaunchState.QUEUED
        return LaunchState.ENDED if key in self.ended else LaunchState.UNKNOWN

    def member_of(self, key: str) -> Member | None:
        """The worker that works on it."""
        return next((one for one in self.members.values() if one.launch and one.launch.key == key), None)

    def withdraw(self, key: str) -> bool:
        """Take a launch out of the queue before anybody works on it; it counts as ended."""
        kept = deque(launch for launch in self.queue if launch.key != key)
        if len(kept) == len(self.queue):
            return False
        self.queue = kept
        self._end(key, "it was withdrawn before it began")
        return True

    def assign(self, now: float) -> Iterator[tuple[Member, Launch]]:
        """Give waiting launches to idle workers, first come first served."""
        idle = deque(one for one in self.members.values() if is_idle(one) and not one.alone)
        shared = [launch for launch in self.queue if not launch.alone][: len(idle)]
        for launch in shared:
            self.queue.remove(launch)
            yield self.begin(idle.popleft(), launch, now), launch

    def begin(self, member: Member, launch: Launch, now: float) -> Member:
        """Note that this worker works on it from now on."""
        member.launch, member.since, member.asked_at, member.because = launch, now, None, ""
        return member

    def take_alone(self) -> Launch | None:
        """The next launch that wants a worker of its own, taken out of the queue."""
        launch = next((one for one in self.queue if one.alone), None)
        if launch is not None:
            self.queue.remove(launch)
        return launch

    def done(self, pid: int, resident_bytes: int) -> Member:
        """A worker is through with its launch. It is retired when it did or grew enough."""
        member = self.members[pid]
        if member.launch is not None:
            self._end(member.launch.key, "")
        member.launch, member.launches = None, member.launches + 1
        member.resident_bytes = resident_bytes
        worn = member.launches >= self.size.most_launches or resident_bytes > self.size.most_bytes
        member.is_retired = member.is_retired or member.alone or worn
        return member

    def died(self, pid: int, how: str) -> Member | None:
        """A worker is gone; what it worked on ended with it."""
        member = self.members.pop(pid, None)
        if member is not None and member.launch is not None:
            self._end(member.launch.key, f"{member.because}: {how}" if member.because else how)
        return member

    def missing(self, now: float) -> int:
        """How many workers to fork now: `base` that are not held up, while anything waits for one."""
        shared = [one for one in self.members.values() if not one.alone and not one.is_retired]
        long = sum(one.launch is not None and now - one.since > LONG_SECONDS for one in shared)
        waits = any(not launch.alone for launch in self.queue)
        wanted = self.size.base + (long if waits else 0)
        return max(0, min(wanted, self.size.most) - len(shared))

    def spare(self, now: float) -> Iterator[Member]:
        """Idle workers beyond `base`, when nothing waits."""
        if not self.queue:
            idle = [one for one in self.members.values() if is_idle(one) and not one.alone]
            yield from idle[self.size.base :]

    def overdue(self, now: float) -> Iterator[Member]:
        """Workers whose launch has run longer than its limit and that nobody has asked to stop."""
        for one in self.members.values():
            limit = one.launch.limit_seconds if one.launch is not None else None
            if limit is not None and one.asked_at is None and now - one.since > limit:
                yield one

    def stubborn(self, now: float, grace_seconds: float) -> Iterator[Member]:
        """Workers that were asked to stop and have not within the grace."""
        for one in self.members.values():
            if one.launch and one.asked_at is not None and now - one.asked_at > grace_seconds:
                yield one

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits and nobody works."""
        return not self.queue and not any(one.launch for one in self.members.values())

    def _end(self, key: str, how: str) -> None:
        self.ended[key] = how
        while len(self.ended) > ENDED_KEPT:
            self.ended.pop(next(iter(self.ended)))


def is_idle(member: Member) -> bool:
    """Whether it can take a launch."""
    return member.is_ready and member.launch is None and not member.is_retired
