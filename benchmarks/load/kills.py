"""kill -9 of one part after the other, each in the middle of a burst; the sink counts what that did."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from benchmarks.load.figures import Figure, Result, at_most, latencies
from benchmarks.load.ground import ACTIONS, Ground, Say
from benchmarks.load.workload import LOOK_EVERY_SECONDS, Mark

PARTS = ("daemon", "warm pool's forks", "PostgreSQL", "warm pool", "code server", "code server's door")
"""By their role, in the order in which they are killed; of several processes any one."""
SERVICES = frozenset({"daemon", "warm pool", "code server's door"})
WITHOUT_SUCCESSOR = "warm pool's forks"
"""Who has a run and dies is replaced when the pool wants to; the run is what counts."""
BEGIN_SECONDS = 60.0
RECOVERY_SECONDS = 120.0
DRAIN_SECONDS = 300.0


def bursts_with_kills(ground: Ground, count: int, kills: int, seed: int, say: Say) -> Result:
    """A burst for each kill, which comes when a random part of its actions has arrived."""
    chance, mark, changes = random.Random(seed), Mark(ground), 0
    killed = 0
    for number in range(kills):
        ground.outside.change(count)
        arrived = mark.counts["keys"] + (changes + chance.uniform(0.05, 0.8) * count) * len(ACTIONS)
        changes += count
        _eventually(partial(_has_arrived, ground, arrived), BEGIN_SECONDS)
        part = PARTS[number % len(PARTS)]
        begun = time.monotonic()
        pid = _kill(ground, part, chance)
        if pid is None:
            say(f"there is no {part} to kill")
            continue
        killed += 1
        if not _eventually(partial(_is_back, ground, part, pid), RECOVERY_SECONDS):
            raise SystemExit(f"the {part} did not come back within {RECOVERY_SECONDS:.0f} s")
        back = time.monotonic() - begun
        mark.wait(changes, DRAIN_SECONDS)
        say(
            f"kill {number + 1}/{kills}: {part}, back after {back:.1f} s, all done after "
            f"{time.monotonic() - begun:.1f} s"
        )
    outcome = mark.outcome(changes)
    unfinished = sum(execution.status != "completed" for execution in outcome.executions)
    return Result(
        f"{kills} bursts of {count} with kills, seed {seed}",
        (
            Figure("kills", killed),
            Figure("changes", changes),
            *outcome.correctness(),
            Figure("executions that did not complete", unfinished, goal=at_most(0), is_promise=True),
            *latencies(outcome.latencies),
        ),
    )


def _kill(ground: Ground, part: str, chance: random.Random) -> int | None:
    pids = _pids(ground, part)
    if not pids:
        return None
    pid = chance.choice(pids)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return pid


def _pids(ground: Ground, part: str) -> list[int]:
    """The processes of that role; of the database's the one whose death takes all down.

    Workers whose pool was killed look like one themselves: a service is what the supervisor has started.
    """
    if part == "PostgreSQL":
        pid = ground.server.pid()
        return [pid] if pid is not None else []
    processes = ground.tree.sample().processes.values()
    supervisors = {process.pid for process in processes if process.role == "supervisor"}
    return [
        process.pid
        for process in processes
        if process.role == part and (part not in SERVICES or process.parent in supervisors)
    ]


def _has_arrived(ground: Ground, keys: float) -> bool:
    return ground.outside.counts()["keys"] >= keys


def _is_back(ground: Ground, part: str, before: int) -> bool:
    return part == WITHOUT_SUCCESSOR or any(pid != before for pid in _pids(ground, part))


def _eventually(holds: Callable[[], bool], patience_seconds: float) -> bool:
    until = time.monotonic() + patience_seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(LOOK_EVERY_SECONDS)
    return True
