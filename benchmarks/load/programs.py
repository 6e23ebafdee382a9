"""The benchmarks of single parts, programs of their own that print JSON: called, and put into the table."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from benchmarks.load.figures import Figure, Goal, Result, at_most
from benchmarks.load.ground import SOURCE, Say

GOALS: Mapping[str, Mapping[str, Goal]] = {
    "executing": {},
    "levers": {},
    "backlog": {"status_seconds": at_most(1.0)},
}
"""By program, and by the path of a number in what it prints."""


def measured(say: Say) -> list[Result]:
    """What each of them printed; a part that is not there has no figures."""
    return [_called(name, goals) for name, goals in GOALS.items() if _is_there(name, say)]


def _is_there(name: str, say: Say) -> bool:
    is_there = find_spec(f"benchmarks.{name}") is not None
    say(f"benchmarks.{name}" if is_there else f"there is no benchmarks.{name}")
    return is_there


def _called(name: str, goals: Mapping[str, Goal]) -> Result:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}"], check=False, capture_output=True, text=True, cwd=SOURCE
    )
    if done.returncode:
        why = f"failed: {(done.stderr or done.stdout).strip().splitlines()[-1:]}"
        return Result(name, (Figure("all", None, why=why),))
    return Result(
        name,
        tuple(Figure(path, value, goal=goals.get(path)) for path, value in numbers(json.loads(done.stdout))),
    )


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
