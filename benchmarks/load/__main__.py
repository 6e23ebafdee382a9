"""`python -m benchmarks.load`: a whole deployment under load, in one scenario after the other.

Exit code 1 when anything was lost or doubled.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.crash.sabotage import BREAKS, sabotage
from benchmarks.load import programs, scenarios
from benchmarks.load.figures import Result, markdown
from benchmarks.load.ground import SOURCE, Ground, ground
from benchmarks.load.kills import bursts_with_kills
from benchmarks.load.machine import machine
from benchmarks.load.report import write

SHORT = ("idle", "one", "burst", "stock", "steady", "programs")
LONG = ("long", "growing")
KILLS = "kills"
STOCK_TRIGGERS = 50
"""Fewer than ours, which only favours it, and it is there sooner."""
RESULTS = SOURCE / "benchmarks" / "results"


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.load",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--long", action="store_true", help=f"the long ones: {', '.join(LONG)}")
    parser.add_argument("--only", nargs="+", choices=(*SHORT, *LONG, KILLS), help="these only")
    parser.add_argument("--triggers", type=int, default=1000, help="triggers that are there")
    parser.add_argument("--burst", type=int, default=200, help="items that change at once")
    parser.add_argument("--stock", type=int, default=8, help="likewise, on Dagster's default launcher")
    parser.add_argument("--times", type=int, default=20, help="single changes")
    parser.add_argument("--rate", type=float, default=30, help="changes a second under steady load")
    parser.add_argument("--seconds", type=float, default=60, help="of idleness, and of steady load")
    parser.add_argument("--runs", type=int, default=20_000, help="runs of the long steady load")
    parser.add_argument("--step", type=float, default=10, help="changes a second more in each step")
    parser.add_argument("--highest", type=float, default=120, help="changes a second of the last step")
    parser.add_argument("--kills", type=int, default=12, help="bursts with a kill in the middle")
    parser.add_argument("--seed", type=int, default=None, help="of the moments of the kills")
    parser.add_argument("--break", dest="broken", choices=sorted(BREAKS), help="prove that it can fail")
    parser.add_argument("--results", type=Path, default=RESULTS, help="directory for JSON, table and plots")
    return parser.parse_args()


def main() -> int:
    """Run them; after each, write the results so far and print its part of the table."""
    asked = arguments()
    # Ended from outside (a time limit), it still ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    wanted = asked.only or (LONG if asked.long else SHORT)
    name = "-".join(asked.only or (["long"] if asked.long else ["short"]))
    facts, found = machine(), []
    for result in _results(asked, wanted):
        found.append(result)
        write(asked.results, name, facts, found)
        sys.stdout.write(markdown([result]))
        sys.stdout.flush()
    say(f"written: {asked.results / name}.*")
    return int(any(figure.is_breach for result in found for figure in result.figures))


def _ours(asked: argparse.Namespace) -> dict[str, Callable[[Ground], Result]]:
    """The scenarios that run one after the other on the same deployment."""
    seed = random.randrange(2**32) if asked.seed is None else asked.seed
    return {
        "idle": lambda ours: scenarios.idle(ours, asked.seconds),
        "one": lambda ours: scenarios.one_change(ours, asked.times),
        "burst": lambda ours: scenarios.burst(ours, asked.burst),
        "steady": lambda ours: scenarios.steady(ours, asked.rate, asked.seconds),
        "long": lambda ours: scenarios.steady(ours, asked.rate, asked.runs / asked.rate),
        "growing": lambda ours: scenarios.growing(ours, asked.step, asked.seconds / 2, asked.highest),
        KILLS: lambda ours: bursts_with_kills(ours, asked.burst, asked.kills, seed, say),
    }


def _results(asked: argparse.Namespace, wanted: Sequence[str]) -> Iterator[Result]:
    """Ours, then the same burst on Dagster's own launcher, then the programs."""
    rate = None
    scenarios_of_ours = _ours(asked)
    if chosen := [name for name in wanted if name in scenarios_of_ours]:
        with ground(asked.triggers, say=say) as ours:
            if asked.broken:
                say(f"SABOTAGE: {sabotage(ours.database, asked.broken)}")
            for name in chosen:
                say(name)
                result = scenarios_of_ours[name](ours)
                rate = result.value(scenarios.RATE) if name == "burst" else rate
                yield result
    if "stock" in wanted:
        with ground(STOCK_TRIGGERS, is_stock=True, say=say) as stock:
            yield scenarios.stock_burst(stock, asked.stock, rate)
    if "programs" in wanted:
        yield from programs.measured(say)


BEGUN = time.monotonic()


def say(line: str) -> None:
    """One line of progress, with the seconds since the beginning."""
    sys.stderr.write(f"{time.monotonic() - BEGUN:6.1f} s  {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
