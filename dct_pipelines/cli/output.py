"""What commands print: tables and lines for people, JSON for scripts; errors on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer
from pydantic import BaseModel

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 200
"""Columns when nobody watches: a name that is cut helps no program."""
STYLES = {
    "ok": "green",
    "active": "green",
    "completed": "green",
    "done": "green",
    "fired": "green",
    "create": "green",
    "nothing_to_do": "green",
    "update": "yellow",
    "waiting": "yellow",
    "paused": "yellow",
    "held": "yellow",
    "running": "cyan",
    "dispatched": "cyan",
    "delete": "red",
    "failed": "red",
    "error": "red",
    "down": "red",
    "unreadable": "red",
    "uncertain": "red",
}


def console(*, stderr: bool = False) -> Console:
    """A console that takes text as text: no markup, no emoji, and no control characters from outside."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False, soft_wrap=False)


def span(seconds: float) -> str:
    """A span of time as people say it: `40 ms`, `1.7 s`."""
    milliseconds = round(1000 * seconds)
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{seconds:.1f} s"


def clean(value: Any) -> str:
    """A value as one line fit for a terminal."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, (Mapping, list, tuple)):
        value = json.dumps(value, ensure_ascii=False, default=str)
    return "".join(char if char.isprintable() else " " for char in str(value))


def say(text: str, style: str = "") -> None:
    """Print lines of text, whatever is in them."""
    from rich.text import Text

    out = console()
    for line in text.split("\n"):
        out.print(Text(clean(line), style=style), soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """Print a table; `empty` is said when there is no row. Known states get their colour."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        cells = [clean(value) for value in row]
        shown.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in cells))
    if shown.row_count:
        console().print(shown)
    else:
        say(empty)


def facts(pairs: Mapping[str, Any]) -> None:
    """Print names and values, one a line, leaving out what is not there."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, value in pairs.items():
        if value is not None and value not in ("", [], {}):
            text = clean(value)
            grid.add_row(name.replace("_", " "), Text(text, style=STYLES.get(text, "")))
    console().print(grid)


def print_json(data: Any) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(data, ensure_ascii=False, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)


def short(identifier: Any) -> str:
    """The first digits of an id, which every command takes."""
    return str(identifier)[:8]
