"""Plots, as SVG: the latency under growing load, and what else a scenario has followed over time."""

from __future__ import annotations

from pathlib import Path

from benchmarks.load.figures import Result

SIZE_INCHES = (7.0, 4.0)


def plot(result: Result, path: Path) -> None:
    """Draw each series over the first one: one below the other, or together where they have one unit."""
    first, *others = result.series or ("",)
    if not others or len(result.series[first]) < 2:
        return
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    rows = 1 if result.unit else len(others)
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for place, name in enumerate(others):
        axis = axes[min(place, rows - 1)]
        axis.plot(result.series[first], result.series[name], marker=".", label=name)
        axis.set(ylim=(0, None), ylabel=result.unit)
        axis.grid(alpha=0.3)
        axis.legend(loc="upper left", frameon=False)
    axes[-1].set_xlabel(first)
    axes[0].set_title(result.scenario)
    figure.savefig(path)
