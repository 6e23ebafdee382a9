"""The benchmarks of single parts, programs of their own that print JSON: called, and put into the table."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from benchmarks.load.figures import Figure, Goal, Result, at_most
from benchmarks.load.ground import SOURCE, Say


@dataclass(frozen=True)
class Program:
    """One of them, with arguments that keep it short, and goals by the path of a number in what it prints."""

    name: str
    arguments: tuple[str, ...] = ()
    goals: Mapping[str, Goal] = field(default_factory=dict)

    @property
    def is_there(self) -> bool:
        """Whether this tree has it."""
        return find_spec(f"benchmarks.{self.name}") is not None

    def run(self) -> Result:
        """Every number that it printed."""
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{self.name}", *self.arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=SOURCE,
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
            return Result(self.name, (Figure("all", None, why=f"failed: {said[-1]}"),))
        found = numbers(json.loads(done.stdout))
        return Result(
            self.name, tuple(Figure(path, value, goal=self.goals.get(path)) for path, value in found)
        )


PASSES = (
    "pass_handing_over_50",
    "pass_with_nothing_that_may_start",
    "pass_handing_over_50_beside_a_paused_trigger_with_most",
    "pass_handing_over_50_behind_one_long_line",
)
BACKLOG = {
    **{f"{one}.p95_ms": at_most(500) for one in PASSES},
    "status.p95_ms": at_most(1000),
    "status_command_seconds": at_most(1),
}
PROGRAMS = (
    Program("executing"),
    Program("levers", ("--runs", "20")),
    Program("backlog", ("--json",), BACKLOG),
)


def measured(say: Say) -> Iterator[Result]:
    """What each of them printed; one that is not there has no figures, and that is said."""
    for program in PROGRAMS:
        say(f"benchmarks.{program.name}" if program.is_there else f"there is no benchmarks.{program.name}")
        if program.is_there:
            yield program.run()


def numbers(found: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a JSON value, with the keys that lead to it."""
    match found:
        case bool() | None | str():
            return
        case int() | float():
            yield path, float(found)
        case dict():
            for key, value in found.items():
                yield from numbers(value, f"{path}.{key}" if path else str(key))
        case list():
            for place, value in enumerate(found):
                yield from numbers(value, f"{path}[{place}]")
