"""The picture of a soak: what each part takes over time, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.soak.samples import Samples

SIZE_INCHES = (8.0, 11.0)
SMALLEST = 0.02
"""Roles with a smaller share of the highest are left to the sum."""
PANELS: Sequence[tuple[str, str, tuple[str, ...]]] = (
    ("memory of ", "memory, MB (PSS)", ("memory",)),
    ("files of ", "open files", ("files",)),
    ("processes of ", "processes, sessions", ("processes", "sessions")),
    ("", "disk, MB", ("disk", "log")),
)


def plot(samples: Samples, title: str, path: Path) -> None:
    """Draw one panel below the other: by role where there are roles, and the sum."""
    from matplotlib.figure import Figure

    minutes = [at / 60 for at in samples.times]
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.subplots(len(PANELS), 1, sharex=True)
    for axis, (prefix, unit, sums) in zip(axes, PANELS, strict=True):
        for name in sums:
            axis.plot(minutes, samples.series[name], color="black" if name == sums[0] else "gray", label=name)
        for name in _roles(samples, prefix):
            axis.plot(minutes, samples.series[name], label=name.removeprefix(prefix), linewidth=1)
        axis.axvspan(minutes[0], (minutes[0] + minutes[-1]) / 2, color="0.95", zorder=0)
        axis.set(ylim=(0, None), ylabel=unit)
        axis.grid(alpha=0.3)
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize="small")
    axes[0].set_title(title)
    axes[-1].set_xlabel("minutes (gray: warming up, not judged)")
    figure.savefig(path)


def _roles(samples: Samples, prefix: str) -> list[str]:
    if not prefix:
        return []
    highest = {name: max(values) for name, values in samples.series.items() if name.startswith(prefix)}
    most = max(highest.values(), default=0.0)
    return [
        name for name, value in sorted(highest.items(), key=lambda one: -one[1]) if value > SMALLEST * most
    ]
