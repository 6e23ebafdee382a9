"""Options that many commands share, spelled and explained once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
As = Annotated[
    str,
    typer.Option("--as", metavar="USER", help="Act as this user; its role decides what is allowed."),
]
Files = Annotated[
    list[Path],
    typer.Option(
        "--file", "-f", metavar="PATH", help="A manifest, or a folder that is read deeply. May be repeated."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")]
Prune = Annotated[
    bool, typer.Option("--prune", help="Delete triggers that this set made before and no longer holds.")
]
Set = Annotated[
    str,
    typer.Option(
        "--set",
        metavar="NAME",
        help="Name of the set of manifests; --prune looks at triggers of this set only.",
    ),
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many at most.")]
LOCAL = "local"
DEFAULT_SET = "default"
