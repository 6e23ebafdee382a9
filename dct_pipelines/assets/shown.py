"""How a metric table is shown in Dagster's UI: its columns, a preview of its rows, and lines over time.

matplotlib is imported where a plot is drawn: the processes that only define assets must not carry it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from io import BytesIO
from typing import Any

import dagster as dg

from dct_pipelines.assets.figures import Figures
from dct_pipelines.clients.parquet import columns_of
from dct_pipelines.domain.metrics import Grain, MetricTable

PREVIEW_ROWS = 10
LONGEST_CELL = 60
MOST_LINES = 3
COLORS = 16
MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]()#!|~"} | {"<": "&lt;"})


def column_schema(table: MetricTable) -> dg.TableSchema:
    """The columns with their types, units and descriptions."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=column.type.value,
                description=f"{column.description} [{column.unit}]" if column.unit else column.description,
                constraints=dg.TableColumnConstraints(nullable=column.is_nullable),
            )
            for column in columns_of(table)
        ]
    )


def preview(table: MetricTable, rows: Sequence[Mapping[str, Any]]) -> str:
    """The first rows as a Markdown table. Values come from outside, so nothing in them is markup."""
    names = [column.name for column in columns_of(table)]
    lines = [names, ["---"] * len(names)]
    lines += [[_cell(row[name]) for name in names] for row in rows[:PREVIEW_ROWS]]
    shown = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    more = len(rows) - PREVIEW_ROWS
    return f"{shown}\n\nand {more} more" if more > 0 else shown


def plot(title: str, grain: Grain, by_bucket: Mapping[datetime, Figures]) -> str:
    """A panel for each of the first figures, over the buckets, as a picture in Markdown; empty if none."""
    names = list(dict.fromkeys(name for figures in by_bucket.values() for name in figures))[:MOST_LINES]
    if not names:
        return ""
    # The object-oriented way: pyplot would keep every figure, and pick a window system.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    buckets = sorted(by_bucket)
    inches = 0.6 + 1.1 * len(names)
    figure = Figure(figsize=(7, inches), dpi=72)
    FigureCanvasAgg(figure)
    figure.subplots_adjust(0.08, 0.35 / inches, 0.98, 1 - 0.25 / inches, hspace=0.4)
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)
    for (axes,), name in zip(panels, names, strict=True):
        values = [by_bucket[bucket].get(name) for bucket in buckets]
        drawn = [float("nan") if value is None else value for value in values]
        axes.plot(buckets, drawn, marker=".", markersize=4, linewidth=1, color="#4f43dd")
        axes.set_title(name, fontsize=8, loc="left")
        axes.set_ylim(bottom=0 if min(value for value in values if value is not None) >= 0 else None)
        axes.tick_params(labelsize=7)
        axes.grid(linewidth=0.3)
    locator: Any = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    return f"![{title} by {grain.value}](data:image/png;base64,{_png(figure)})"


def plain(text: str) -> str:
    """Text from outside on one line, for Markdown."""
    return " ".join(text.split()).translate(MARKDOWN)


def _png(figure: Any) -> str:
    """A picture of few colours: it is stored with each materialization."""
    from PIL import Image

    drawn, small = BytesIO(), BytesIO()
    figure.savefig(drawn, format="png")
    Image.open(drawn).convert("RGB").quantize(COLORS).save(small, format="png", optimize=True)
    return base64.b64encode(small.getvalue()).decode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, float):
        return f"{value:g}"
    text = " ".join(str(value).split())
    cut = text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 1]}…"
    return plain(cut)
