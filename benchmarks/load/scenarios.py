"""The scenarios: what is asked of a running deployment, and which figures come of it."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.load.figures import Figure, Result, at_least, at_most, latencies, percentile
from benchmarks.load.ground import Ground
from benchmarks.load.tree import spent
from benchmarks.load.workload import Mark, Outcome, open_now

RATE = "executions"
REST_SECONDS = 15.0
"""After what came before, until a deployment is idle."""
FEED_EVERY_SECONDS = 0.1
MEMORY_EVERY_SECONDS = 10.0
KEPT_UP_SECONDS = 10.0
"""Who has kept up is done so soon after the last change: a turn of the listener is 5 s."""
STEADY_P95_SECONDS = 3.0


def idle(ground: Ground, seconds: float) -> Result:
    """Nothing happens; what does that cost?"""
    time.sleep(REST_SECONDS)
    before, begun = ground.tree.sample(), time.monotonic()
    time.sleep(seconds)
    cpu, wall = spent(before, ground.tree.sample()), time.monotonic() - begun
    memory = ground.tree.memory()
    return Result(
        f"idle, {ground.triggers} triggers",
        (
            Figure("CPU of one core", 100 * sum(cpu.values()) / wall, "%", at_most(6)),
            *(Figure(f"CPU of {role}", 100 * used / wall, "%") for role, used in sorted(cpu.items())),
            Figure("memory (PSS)", sum(memory.values()), "MB", at_most(900)),
            *(Figure(f"memory of {role}", size, "MB") for role, size in sorted(memory.items())),
        ),
    )


def one_change(ground: Ground, times: int) -> Result:
    """One change at a time, each when nothing else is under way."""
    found = []
    for _ in range(times):
        mark = Mark(ground)
        ground.outside.change(1)
        mark.wait(1, patience_seconds=120)
        found += mark.outcome(1, settle_seconds=0).latencies
        time.sleep(random.random())
    return Result(
        f"one change at a time, {times} times",
        (
            *latencies(found, {"p50": at_most(1.5), "p95": at_most(2.5)}),
            Figure("changes whose third action arrived", len(found), "", at_least(times)),
        ),
        {"seconds": found},
    )


def drained(ground: Ground, count: int, patience_seconds: float) -> Outcome:
    """So many items change at once; what came of them."""
    mark = Mark(ground)
    ground.outside.change(count)
    mark.wait(count, patience_seconds)
    return mark.outcome(count)


def burst(ground: Ground, count: int) -> Result:
    """K items change at once."""
    drained(ground, 5, patience_seconds=120)
    outcome = drained(ground, count, patience_seconds=600)
    return Result(
        f"burst of {count}",
        (
            Figure(RATE, outcome.per_second, "/s", at_least(40)),
            Figure("CPU an execution, all processes", outcome.cpu_seconds_each, "s", at_most(0.05)),
            *outcome.costs(),
            *latencies(outcome.latencies),
            *outcome.correctness(),
        ),
    )


def stock_burst(ground: Ground, count: int, ours_per_second: float | None) -> Result:
    """The same work on Dagster's own daemon, queue and launcher, fewer of it; the ratio of the rates."""
    drained(ground, 1, patience_seconds=180)
    outcome = drained(ground, count, patience_seconds=600)
    rate = outcome.per_second
    ratio = ours_per_second / rate if ours_per_second and rate else None
    return Result(
        f"burst of {count} on Dagster's default launcher",
        (
            Figure(RATE, rate, "/s"),
            Figure("CPU an execution, all processes", outcome.cpu_seconds_each, "s"),
            *latencies(outcome.latencies),
            *outcome.correctness(),
            Figure("our rate in the same run, as a multiple", ratio, "×", at_least(60)),
        ),
    )


@dataclass
class Feed:
    """Changes at a steady rate, with the deployment's memory now and then."""

    ground: Ground
    rate: float
    seconds: float
    memory_every_seconds: float = MEMORY_EVERY_SECONDS
    times: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    waiting: list[float] = field(default_factory=list)

    def run(self) -> int:
        """Returns how many changes it made."""
        begun, made, looked = time.monotonic(), 0, -self.memory_every_seconds
        while (now := time.monotonic() - begun) < self.seconds:
            if due := int(self.rate * now) - made:
                self.ground.outside.change(due)
                made += due
            if now - looked >= self.memory_every_seconds:
                looked = now
                self.times.append(now)
                self.megabytes.append(sum(self.ground.tree.memory().values()))
                self.waiting.append(open_now(self.ground))
            time.sleep(FEED_EVERY_SECONDS)
        return made

    def memory(self) -> Iterator[Figure]:
        """How memory grew between the first and the last quarter of the time."""
        quarter = max(1, len(self.megabytes) // 4)
        first, last = (sum(part) / quarter for part in (self.megabytes[:quarter], self.megabytes[-quarter:]))
        yield Figure("memory (PSS), first quarter", first, "MB")
        yield Figure("memory (PSS), last quarter", last, "MB")
        yield Figure("memory, last quarter to first", last / first, "×", at_most(1.1))


def steady(ground: Ground, rate: float, seconds: float) -> Result:
    """Changes at a steady rate for so long: kept up with, how fast, in how much memory?"""
    mark, feed = Mark(ground), Feed(ground, rate, seconds)
    changes = feed.run()
    ended = time.monotonic()
    is_done = mark.wait(changes, patience_seconds=120)
    behind = time.monotonic() - ended
    outcome = mark.outcome(changes)
    return Result(
        f"steady {rate:g}/s for {seconds:g} s",
        (
            Figure("changes", changes),
            Figure(
                "done after the last change",
                behind if is_done else None,
                "s",
                at_most(KEPT_UP_SECONDS),
                f"not within {behind:.0f} s",
            ),
            *latencies(outcome.latencies, {"p95": at_most(STEADY_P95_SECONDS)}),
            Figure("CPU an execution, all processes", outcome.cpu_seconds_each, "s"),
            *feed.memory(),
            *outcome.costs(),
            *outcome.correctness(),
        ),
        {"seconds": feed.times, "megabytes": feed.megabytes, "open executions": feed.waiting},
    )


def growing(ground: Ground, step: float, seconds: float, highest: float) -> Result:
    """Steady load, more of it in each step, until it is no longer kept up with."""
    rates, p50, p95, best = [], [], [], 0.0
    rate = step
    while rate <= highest:
        mark = Mark(ground)
        changes = Feed(ground, rate, seconds, memory_every_seconds=seconds).run()
        keeps_up = mark.wait(changes, KEPT_UP_SECONDS)
        mark.wait(changes, patience_seconds=300)
        found = mark.outcome(changes).latencies
        rates.append(rate)
        p50.append(percentile(found, 50) or 0.0)
        p95.append(percentile(found, 95) or 0.0)
        if not keeps_up:
            break
        best, rate = rate, rate + step
    return Result(
        f"growing load, {seconds:g} s for each step",
        (
            Figure("highest rate that was kept up with", best, "/s"),
            *(
                Figure(f"commit to third action at {one:g}/s, p95", value, "s")
                for one, value in zip(rates, p95, strict=True)
            ),
        ),
        {"changes a second": rates, "p50": p50, "p95": p95},
        "seconds from commit to third action",
    )
