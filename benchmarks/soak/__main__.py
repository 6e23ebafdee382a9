"""`python -m benchmarks.soak --minutes 60 --rate 2`: light load for long, on a deployment of its own.

Exit code 1 when something was lost or doubled, or, after at least half an hour, when something grows.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path

from benchmarks.load.figures import Figure, Result, at_most, latencies, markdown
from benchmarks.load.ground import SOURCE, Ground, ground
from benchmarks.load.machine import machine
from benchmarks.load.report import write
from benchmarks.load.workload import Mark, Outcome
from benchmarks.soak.judge import judged
from benchmarks.soak.plot import plot
from benchmarks.soak.samples import Samples

FEED_EVERY_SECONDS = 0.25
DRAIN_SECONDS = 120.0
BIGGEST_TABLES = 10
BEGUN = time.monotonic()


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.soak", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60, help="how long")
    parser.add_argument("--rate", type=float, default=2, help="changes a second")
    parser.add_argument("--triggers", type=int, default=100, help="triggers that are there")
    parser.add_argument("--every", type=float, default=15, help="seconds between two samples")
    parser.add_argument("--results", type=Path, default=SOURCE / "benchmarks" / "results", help="directory")
    return parser.parse_args()


def main() -> int:
    """Run it, and write JSON, a table and a picture."""
    asked = arguments()
    # Ended from outside (a time limit), it still ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    facts = machine()
    with ground(asked.triggers, ui=True, say=say) as ours:
        result, samples = soak(ours, asked.rate, asked.minutes, asked.every)
    write(asked.results, "soak", facts, [result])
    seen = {"times": samples.times, "series": samples.series, "tables": samples.tables}
    (asked.results / "soak-samples.json").write_text(json.dumps(seen) + "\n")
    plot(samples, result.scenario, asked.results / "soak.svg")
    sys.stdout.write(markdown([result]))
    say(f"written: {asked.results / 'soak'}.*")
    return int(any(figure.is_breach for figure in result.figures))


def soak(ours: Ground, rate: float, minutes: float, every_seconds: float) -> tuple[Result, Samples]:
    """Feed changes and look, for so long; then wait for the last of them and count."""
    mark, samples = Mark(ours), Samples()
    begun, made, looked = time.monotonic(), 0, -every_seconds
    while (now := time.monotonic() - begun) < 60 * minutes:
        if due := int(rate * now) - made:
            ours.outside.change(due)
            made += due
        if now - looked >= every_seconds:
            looked = now
            samples.look(ours, now)
            if len(samples.times) % 20 == 1:
                size = samples.series["memory"][-1]
                say(f"{now / 60:.0f} of {minutes:g} minutes, {made} changes, {size:.0f} MB")
        time.sleep(FEED_EVERY_SECONDS)
    is_done = mark.wait(made, DRAIN_SECONDS)
    samples.look(ours, time.monotonic() - begun)
    title = f"soak: {rate:g}/s for {minutes:g} minutes"
    return result_of(mark.outcome(made), samples, title, minutes, is_done), samples


def result_of(outcome: Outcome, samples: Samples, title: str, minutes: float, is_done: bool) -> Result:
    """Everything in figures."""
    done = max(1, len(outcome.done))
    disk = samples.series["disk"]
    biggest = sorted(samples.tables.items(), key=lambda one: -one[1][-1])[:BIGGEST_TABLES]
    return Result(
        title,
        (
            Figure("changes", outcome.changes),
            Figure("executions done", len(outcome.done)),
            Figure(
                "open at the end", 0 if is_done else samples.series["open executions"][-1], goal=at_most(0)
            ),
            *outcome.correctness(),
            *latencies(outcome.latencies),
            Figure("CPU an execution, all processes", outcome.cpu_seconds_each, "s"),
            Figure("disk for 1000 executions", 1000 * (disk[-1] - disk[0]) / done, "MB"),
            *(Figure(f"table {name}", sizes[-1], "MB") for name, sizes in biggest),
            *judged(samples.times, samples.series, minutes),
        ),
    )


def say(line: str) -> None:
    """One line of progress, with the seconds since the beginning."""
    sys.stderr.write(f"{time.monotonic() - BEGUN:6.1f} s  {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
