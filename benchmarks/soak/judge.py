"""Does a series grow? A robust slope over the second half of the time, against what may be.

The first half is left for warming up: caches fill, pools and shared memory get the size that they will have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.load.figures import Figure, at_most

FEWEST = 8
"""Samples in the second half, with fewer of which nothing is said."""
LONG_ENOUGH_MINUTES = 30
"""A shorter run shows the same figures, but is no promise: it is still warming up in its second half."""


@dataclass(frozen=True)
class Allowance:
    """How much a series may grow over half of the time: `share` of its median, but always `floor`."""

    share: float
    floor: float
    unit: str = ""

    def of(self, values: Sequence[float]) -> float:
        """The growth that these may have."""
        return max(self.floor, self.share * median(values))


ALLOWANCES: Mapping[str, Allowance] = {
    "memory": Allowance(0.05, 8.0, "MB"),
    "files": Allowance(0.05, 6.0),
    "processes": Allowance(0.1, 2.0),
    "sessions": Allowance(0.1, 4.0),
    "log": Allowance(0.0, 5.0, "MB"),
    "memory of PostgreSQL": Allowance(0.1, 16.0, "MB"),
    "files of PostgreSQL": Allowance(0.25, 100.0),
}
"""By the name of a series, else by its first word. A leak of one page of memory for each execution is 14 MB
in half an hour at 2/s, of one file or session for each hundredth 36: all of that is seen. Each session of
PostgreSQL keeps files of tables open as a cache, up to a thousand, and remembers the tables that it has
used."""


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Theil and Sen's: the median of the slopes between all pairs, which single peaks do not move."""
    pairs = [
        (later - value) / (at_later - at)
        for place, (at, value) in enumerate(zip(times, values, strict=True))
        for at_later, later in zip(times[place + 1 :], values[place + 1 :], strict=True)
        if at_later > at
    ]
    return median(pairs) if pairs else 0.0


def second_half(times: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """The samples from the middle of the time on."""
    middle = (times[0] + times[-1]) / 2 if times else 0.0
    kept = [(at, value) for at, value in zip(times, values, strict=True) if at >= middle]
    return [at for at, _ in kept], [value for _, value in kept]


def growth(what: str, times: Sequence[float], values: Sequence[float], *, is_promise: bool) -> Figure:
    """How much the series grew over the second half, by its slope, and whether it may."""
    allowance = ALLOWANCES.get(what, ALLOWANCES[what.partition(" ")[0]])
    late_times, late = second_half(times, values)
    name = f"growth of {what}"
    if len(late) < FEWEST:
        return Figure(name, None, allowance.unit, why="too few samples to say")
    grew = slope(late_times, late) * (late_times[-1] - late_times[0])
    return Figure(name, round(grew, 2), allowance.unit, at_most(allowance.of(late)), is_promise=is_promise)


def judged(times: Sequence[float], series: Mapping[str, Sequence[float]], minutes: float) -> Iterator[Figure]:
    """A figure for each series that has an allowance."""
    for what, values in series.items():
        if what.partition(" ")[0] in ALLOWANCES:
            yield growth(what, times, values, is_promise=minutes >= LONG_ENOUGH_MINUTES)
