"""Who works on what: the zygote's memory, and its rules as pure functions of it and of a monotonic clock.

A launch is known from when it is accepted until well after it ended, so that a caller who never heard the
answer may ask again: it is accepted once. It is begun once, too: a worker says so before it begins, and only
what nobody has begun goes back into the queue when its worker dies.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from dct_pipelines.clients.pool.launch import Launch, LaunchState
from dct_pipelines.clients.pool.pace import Pace

ENDED_KEPT = 10_000
LONG_SECONDS = 0.5
"""Who works on one launch for so long, and waits for others, has another worker forked beside it."""
READY_WITHIN_SECONDS = 120.0
"""A worker that is not ready by then waits for something that does not come."""
MOST_READY = 16
"""Each holds connections of the database, of which a stock server has a hundred."""
MOST_COMING = 8
"""So many workers prepare themselves at a time: each opens connections and needs a processor for it."""
MOST_RETURNS = 3
"""So often is a launch put back whose worker died of taking it."""
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 30.0


def _processors() -> int:
    """Those that this process may use; not every system can tell them from those of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Size:
    """How many workers: `base` ready for short work, and up to `most`, of every kind, when work takes long.

    `base` is one more than there are processors, up to 16: short work keeps those busy while one waits for an
    answer; with more, workers only take turns, each with a cold cache. A worker is replaced after
    `most_launches`, or once it is larger than `most_bytes`; one beyond `base` is let go when it has had
    nothing to do for `linger_seconds`.
    """

    base: int = field(default_factory=lambda: min(_processors() + 1, MOST_READY))
    most: int = 256
    most_launches: int = 1000
    most_bytes: int = 512 * 1024 * 1024
    linger_seconds: float = 10.0


@dataclass
class Member:
    """A worker since its fork. `launch` is what it was given; `since` when it was given that, or became idle.

    `asked_at` is when it was first asked to stop, or let go; `because` is why.
    """

    pid: int
    since: float
    alone: bool = False
    is_ready: bool = False
    launch: Launch | None = None
    has_begun: bool = False
    launches: int = 0
    asked_at: float | None = None
    because: str = ""
    is_killed: bool = False
    is_retired: bool = False
    has_hung_up: bool = False
    pace: Pace = field(default_factory=Pace)

    @property
    def is_idle(self) -> bool:
        """Whether it can take a launch."""
        return self.is_ready and self.launch is None and not self.is_retired


@dataclass
class Roster:
    """Launches and workers. `ended` says how each of the last launches ended; empty is well.

    `is_closing` when nothing is accepted any more. `trouble` is why workers cannot be had at present.
    """

    size: Size
    members: dict[int, Member] = field(default_factory=dict)
    ended: OrderedDict[str, str] = field(default_factory=OrderedDict)
    is_closing: bool = False
    trouble: str = ""
    _shared: OrderedDict[str, Launch] = field(default_factory=OrderedDict)
    _single: OrderedDict[str, Launch] = field(default_factory=OrderedDict)
    _at_work: dict[str, int] = field(default_factory=dict)
    _returns: dict[str, int] = field(default_factory=dict)
    _pause_seconds: float = FIRST_PAUSE_SECONDS
    _not_before: float = 0.0

    @property
    def waiting(self) -> int:
        """How many launches wait for a worker."""
        return len(self._shared) + len(self._single)

    @property
    def busy(self) -> int:
        """How many workers have a launch."""
        return len(self._at_work)

    def accept(self, launch: Launch) -> bool:
        """Queue it; False when it is known already, or nothing is accepted."""
        if self.is_closing or not launch.is_new_to(self.state(launch.key)):
            return False
        self.ended.pop(launch.key, None)
        self._queue_of(launch)[launch.key] = launch
        return True

    def state(self, key: str) -> LaunchState:
        """What is known of a launch."""
        if key in self._at_work:
            return LaunchState.RUNNING
        if key in self._shared or key in self._single:
            return LaunchState.QUEUED
        return LaunchState.ENDED if key in self.ended else LaunchState.UNKNOWN

    def member_of(self, key: str) -> Member | None:
        """The worker that has it."""
        pid = self._at_work.get(key)
        return None if pid is None else self.members[pid]

    def withdraw(self, key: str) -> bool:
        """Take a launch out of the queue before anybody works on it; it counts as ended."""
        if self._shared.pop(key, None) is None and self._single.pop(key, None) is None:
            return False
        self._end(key, "it was withdrawn before it began")
        return True

    def forked(self, pid: int, now: float, *, alone: bool = False) -> Member:
        """Note a new worker, which is not ready yet."""
        self.members[pid] = member = Member(pid, now, alone=alone)
        return member

    def ready(self, pid: int, now: float) -> None:
        """A worker is ready: whatever stood in the way of workers is over."""
        member = self.members[pid]
        member.is_ready, member.since = True, now
        self.trouble, self._pause_seconds = "", FIRST_PAUSE_SECONDS

    def assign(self, now: float) -> list[tuple[Member, Launch]]:
        """Give waiting launches to idle workers, first come first served."""
        given = []
        idle = [one for one in self.members.values() if one.is_idle]
        for queue, alone in ((self._shared, False), (self._single, True)):
            fitting = [one for one in idle if one.alone is alone]
            for member, launch in zip(fitting, list(islice(queue.values(), len(fitting))), strict=False):
                del queue[launch.key]
                member.launch, member.has_begun, member.since = launch, False, now
                self._at_work[launch.key] = member.pid
                given.append((member, launch))
        return given

    def began(self, pid: int, key: str) -> Member | None:
        """A worker is about to begin, and hears interrupts; given back when it was told to stop before."""
        member = self.members[pid]
        if member.launch is None or member.launch.key != key:
            return None
        member.has_begun = True
        self._returns.pop(key, None)
        return member if member.asked_at is not None else None

    def done(self, pid: int, key: str, resident_bytes: int, now: float) -> None:
        """A worker is through with its launch. It is retired when it did or grew enough."""
        member = self.members[pid]
        if member.launch is None or member.launch.key != key:
            return
        self._end(key, "")
        member.launch, member.since, member.launches = None, now, member.launches + 1
        member.pace.forget()
        member.asked_at, member.because = None, ""
        worn = member.launches >= self.size.most_launches or resident_bytes > self.size.most_bytes
        if member.is_retired or member.alone or worn:
            self.retire(member, now)

    def retire(self, member: Member, now: float) -> None:
        """Give it nothing any more; from when it is idle it has to go."""
        member.is_retired = True
        if member.launch is None and member.asked_at is None:
            member.asked_at = now

    def hung_up(self, pid: int, now: float) -> None:
        """A worker listens no more: it dies, or its work has closed what was not its own."""
        if (member := self.members.get(pid)) is not None:
            member.has_hung_up = True
            self.retire(member, now)

    def died(self, pid: int, how: str, now: float) -> Member | None:
        """A worker is gone, and what it had begun has ended with it. What it had not goes back in front."""
        member = self.members.pop(pid, None)
        if member is None:
            return None
        launch, how = member.launch, f"{member.because}: {how}" if member.because else how
        if launch is not None:
            returns = self._returns.get(launch.key, 0)
            if member.has_begun or member.asked_at is not None or returns >= MOST_RETURNS:
                self._end(launch.key, how)
            else:
                del self._at_work[launch.key]
                self._returns[launch.key] = returns + 1
                queue = self._queue_of(launch)
                queue[launch.key] = launch
                queue.move_to_end(launch.key, last=False)
        was_let_go = member.is_retired and not member.has_hung_up
        if not (was_let_go or member.has_begun or member.launches):
            self.failed(how, now)
        return member

    def failed(self, why: str, now: float) -> None:
        """A worker could not be had: the next one is forked after a pause, which grows each time."""
        self.trouble = why
        if now >= self._not_before:
            self._not_before = now + self._pause_seconds
            self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)

    def missing(self, now: float) -> tuple[int, int]:
        """How many workers to fork now: for all, and for launches that want one of their own.

        The first are `base` that are not held up, while anything waits for one.
        """
        if now < self._not_before or (self.is_closing and not self.waiting):
            return 0, 0
        shared = [one for one in self.members.values() if not one.alone and not one.is_retired]
        others = len(self.members) - len(shared)
        held_up = sum(one.pace.waits for one in shared)
        wanted = self.size.base + (held_up if self._shared else 0)
        free = sum(one.alone and one.launch is None and not one.is_retired for one in self.members.values())
        places = self.size.most - others
        coming = MOST_COMING - sum(not one.is_ready for one in self.members.values())
        forks = max(0, min(wanted - len(shared), places - len(shared), coming))
        # Whoever wants a worker of its own never takes the places of the others' base.
        alone = min(len(self._single) - free, places - max(len(shared), self.size.base), coming - forks)
        return forks, max(0, alone)

    def look_at_pace(self, now: float, busy_seconds: Callable[[int], float]) -> None:
        """Find out, by how long each process was busy, which of those who take long are held up by others."""
        for one in self.members.values():
            if one.launch is not None and now - one.since > LONG_SECONDS:
                one.pace.look(now, partial(busy_seconds, one.pid))

    def spare(self, now: float) -> Iterator[Member]:
        """Idle workers that nothing waits for, beyond those that are kept ready."""
        idle = [one for one in self.members.values() if one.is_idle]
        if not self._single:
            yield from (one for one in idle if one.alone)
        if not self._shared:
            shared = [one for one in idle if not one.alone]
            kept, linger = (0, 0.0) if self.is_closing else (self.size.base, self.size.linger_seconds)
            yield from (one for one in shared[kept:] if now - one.since >= linger)

    def overdue(self, now: float) -> Iterator[Member]:
        """Workers whose launch has run longer than its limit and that nobody has asked to stop."""
        for one in self.members.values():
            limit = one.launch.limit_seconds if one.launch is not None else None
            if limit is not None and one.asked_at is None and now - one.since > limit:
                yield one

    def stubborn(self, now: float, grace_seconds: float) -> Iterator[Member]:
        """Workers that were asked to stop and have not within the grace, or that do not become ready."""
        for one in self.members.values():
            too_late = one.asked_at is not None and now - one.asked_at > grace_seconds
            if not one.is_killed and (
                too_late or (not one.is_ready and now - one.since > READY_WITHIN_SECONDS)
            ):
                yield one

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits and nobody works."""
        return not self.waiting and not self._at_work

    def _queue_of(self, launch: Launch) -> OrderedDict[str, Launch]:
        return self._single if launch.alone else self._shared

    def _end(self, key: str, how: str) -> None:
        self._at_work.pop(key, None)
        self._returns.pop(key, None)
        self.ended[key] = how
        self.ended.move_to_end(key)
        while len(self.ended) > ENDED_KEPT:
            self.ended.popitem(last=False)
