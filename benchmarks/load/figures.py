"""Figures: numbers with their unit and, where the project has set itself one, their goal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

PERCENTS = {"p50": 50, "p95": 95, "longest": 100}


@dataclass(frozen=True)
class Goal:
    """A bound that a figure has to keep."""

    kind: Literal["at most", "at least"]
    bound: float

    def is_met(self, value: float) -> bool:
        """Whether the figure keeps it."""
        return value <= self.bound if self.kind == "at most" else value >= self.bound


@dataclass(frozen=True)
class Figure:
    """One number. `value` None is one that could not be measured; `why` says so in words.

    `is_promise`: it is about correctness, and to miss its goal is a failure on any machine.
    """

    what: str
    value: float | None
    unit: str = ""
    goal: Goal | None = None
    why: str = ""
    is_promise: bool = False

    @property
    def is_breach(self) -> bool:
        """Whether it is a promise that was not kept."""
        return self.is_promise and self.goal is not None and not self.goal.is_met(self.value or 0)

    @property
    def verdict(self) -> str:
        """The goal and whether it is met, for the table."""
        if self.goal is None:
            return ""
        met = self.value is not None and self.goal.is_met(self.value)
        return f"{self.goal.kind} {self.goal.bound:g}: {'met' if met else 'MISSED'}"


@dataclass(frozen=True)
class Result:
    """What a scenario gave. `series` are for plots: the others over the first one; they may share a unit."""

    scenario: str
    figures: tuple[Figure, ...]
    series: Mapping[str, Sequence[float]] = field(default_factory=dict)
    unit: str = ""

    def value(self, what: str) -> float | None:
        """The figure of that name; None when there is none."""
        return next((figure.value for figure in self.figures if figure.what == what), None)


def at_most(bound: float) -> Goal:
    """A bound from above."""
    return Goal("at most", bound)


def at_least(bound: float) -> Goal:
    """A bound from below."""
    return Goal("at least", bound)


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The smallest value that `percent` of the values do not exceed; None of nothing."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(percent / 100 * len(values)) - 1)]


def latencies(values: Sequence[float], goals: Mapping[str, Goal] | None = None) -> tuple[Figure, ...]:
    """Of seconds from the commit of an event to the third action of its execution."""
    found = {name: percentile(values, percent) for name, percent in PERCENTS.items()}
    return tuple(
        Figure(f"commit to third action, {name}", value, "s", (goals or {}).get(name))
        for name, value in found.items()
    )


def markdown(results: Sequence[Result]) -> str:
    """A table of all figures."""
    rows = ["| scenario | figure | value | goal |", "| --- | --- | --- | --- |"]
    for result in results:
        for figure in result.figures:
            value = figure.why or "not measured" if figure.value is None else shown(figure.value)
            unit = f" {figure.unit}" if figure.unit and figure.value is not None else ""
            rows.append(f"| {result.scenario} | {figure.what} | {value}{unit} | {figure.verdict} |")
    return "\n".join(rows) + "\n"


def shown(value: float) -> str:
    """Three digits that count, and whole numbers as they are."""
    if value == int(value):
        return str(int(value))
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:.{min(digits, 4)}f}"
