"""Workload W: changes go in at the source, posts come out at the sink; what lies between is measured here."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from benchmarks.load.figures import Figure, at_most
from benchmarks.load.ground import ACTIONS, Ground
from benchmarks.load.tree import Sample, seconds_of, spent

LOOK_EVERY_SECONDS = 0.1
SETTLE_SECONDS = 3.0
"""What a deployment writes behind the last action (Dagster's own events) belongs to the executions before."""
LAST_EVENT = text("SELECT coalesce(max(seq), 0) FROM dct.events")
EXECUTIONS = text(
    "SELECT x.id, x.status, extract(epoch FROM pg_xact_commit_timestamp(e.xmin)) AS committed_at, "
    "extract(epoch FROM x.completed_at) AS completed_at "
    "FROM dct.trigger_executions x JOIN dct.events e ON e.id = x.event_id WHERE e.seq > :seq"
)
"""An event's row is written once: the transaction that wrote it is the one of its page."""
OPEN = text(
    "SELECT count(*) FROM dct.trigger_executions WHERE status NOT IN ('completed', 'failed', 'cancelled')"
)


@dataclass(frozen=True)
class Execution:
    """One execution: seconds since the epoch. `posts` are the keys that arrived of each action."""

    status: str
    committed_at: float
    completed_at: float | None
    third_at: float | None
    posts: Mapping[str, frozenset[str]]

    @property
    def latency_seconds(self) -> float | None:
        """From the commit of its event to its third action's arrival."""
        return None if self.third_at is None else self.third_at - self.committed_at


@dataclass(frozen=True)
class Outcome:
    """What came of a number of changes. `cpu` is by role; `outside_cpu` that of source and sink."""

    changes: int
    executions: tuple[Execution, ...]
    raw_repeats: int
    cpu: Mapping[str, float]
    outside_cpu: float

    @property
    def done(self) -> tuple[Execution, ...]:
        """Those whose third action arrived, and that are closed."""
        return tuple(one for one in self.executions if one.third_at and one.completed_at)

    @property
    def per_second(self) -> float | None:
        """Executions done a second, from the first commit until the last one is closed."""
        if not self.done:
            return None
        begun = min(one.committed_at for one in self.executions)
        ended = max(max(one.third_at or 0, one.completed_at or 0) for one in self.done)
        return len(self.done) / (ended - begun)

    @property
    def cpu_seconds_each(self) -> float | None:
        """Processor time of the whole deployment for each execution that is done."""
        return sum(self.cpu.values()) / len(self.done) if self.done else None

    @property
    def latencies(self) -> list[float]:
        """Seconds from commit to third action, of all that got there."""
        return [one.latency_seconds for one in self.executions if one.latency_seconds is not None]

    @property
    def lost(self) -> int:
        """Changes without an execution, and actions that did not arrive."""
        missing = sum(not one.posts.get(action) for one in self.executions for action in ACTIONS)
        return missing + max(0, self.changes - len(self.executions)) * len(ACTIONS)

    @property
    def doubled(self) -> int:
        """Actions that arrived under more than one key, and executions beyond one for each change."""
        more = sum(len(keys) - 1 for one in self.executions for keys in one.posts.values())
        return more + max(0, len(self.executions) - self.changes)

    def correctness(self) -> tuple[Figure, ...]:
        """Lost and doubled, by the sink's own count."""
        return (
            Figure("actions lost", self.lost, goal=at_most(0), is_promise=True),
            Figure("actions doubled", self.doubled, goal=at_most(0), is_promise=True),
            Figure("raw repeats at the sink", self.raw_repeats),
        )

    def costs(self) -> tuple[Figure, ...]:
        """Processor time an execution by role, and of source and sink, which are no part of the product."""
        if not self.done:
            return ()
        each = {role: 1000 * seconds / len(self.done) for role, seconds in self.cpu.items()}
        outside = Figure("CPU of source and sink, apart", 1000 * self.outside_cpu / len(self.done), "ms")
        return (
            *(Figure(f"CPU of {role}", cost, "ms") for role, cost in sorted(each.items()) if cost >= 0.05),
            outside,
        )


class Mark:
    """A moment from which on changes are counted: made before the first of them."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.counts = ground.outside.counts()
        with ground.database.connect() as connection:
            self._seq = connection.scalar(LAST_EVENT)
        self._outside = seconds_of(ground.outside.process.pid)
        self._sample: Sample = ground.tree.sample()

    def wait(self, changes: int, patience_seconds: float) -> bool:
        """Wait until all actions of so many changes arrived and nothing is open; False if not in time."""
        until = time.monotonic() + patience_seconds
        wanted = self.counts["keys"] + changes * len(ACTIONS)
        while time.monotonic() < until:
            with suppress(DBAPIError):
                if self._ground.outside.counts()["keys"] >= wanted and not open_now(self._ground):
                    return True
            time.sleep(LOOK_EVERY_SECONDS)
        return False

    def outcome(self, changes: int, settle_seconds: float = SETTLE_SECONDS) -> Outcome:
        """What came of the changes since, a little later, so that what is written behind is in."""
        time.sleep(settle_seconds)
        cpu = spent(self._sample, self._ground.tree.sample())
        outside = seconds_of(self._ground.outside.process.pid) - self._outside
        arrivals = self._ground.outside.ask(f"arrivals?after={self.counts['posts']}")
        counts = self._ground.outside.counts()
        with self._ground.database.connect() as connection:
            rows = [tuple(row) for row in connection.execute(EXECUTIONS, {"seq": self._seq})]
        repeats = counts["posts"] - self.counts["posts"] - (counts["keys"] - self.counts["keys"])
        return Outcome(changes, executions_of(rows, arrivals), repeats, cpu, outside)


def open_now(ground: Ground) -> int:
    """How many executions are not over."""
    with ground.database.connect() as connection:
        return connection.scalar(OPEN) or 0


def executions_of(
    rows: Sequence[tuple[Any, ...]],
    arrivals: Sequence[tuple[float, str, str, str]],
) -> tuple[Execution, ...]:
    """Executions as `EXECUTIONS` has them, with what the sink got of each as `/arrivals` has it."""
    keys: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    third: dict[str, float] = {}
    for at, key, execution, action in arrivals:
        keys[execution][action].add(key)
        if action == ACTIONS[-1]:
            third.setdefault(execution, at)
    return tuple(
        Execution(
            status=status,
            committed_at=float(committed_at),
            completed_at=None if completed_at is None else float(completed_at),
            third_at=third.get(str(execution)),
            posts={action: frozenset(found) for action, found in keys[str(execution)].items()},
        )
        for execution, status, committed_at, completed_at in rows
    )
