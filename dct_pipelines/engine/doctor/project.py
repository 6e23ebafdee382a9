"""The project and its settings: is it one, is everything in `.env` used, and who can read it."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from dct_pipelines.domain.diagnosis import Told, fail, ok, warn
from dct_pipelines.settings import PROJECT_MARK, Settings

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def look(settings: Settings) -> Iterator[Told]:
    """The project of these settings, which were read without a fault."""
    root = settings.project_root
    if (root / PROJECT_MARK).is_file():
        yield ok(f"the project is {root}")
    else:
        yield fail(
            f"there is no {PROJECT_MARK} in {root}",
            "call dct in the project's directory, or set DAGSTER_HOME to it",
        )
    yield from _variables(root / ".env")
    for sentence in settings.unused:
        yield warn(sentence, "remove it from the environment or `.env`")


def is_open(path: Path) -> bool:
    """Whether others than its owner may do anything with the `.env` at this path."""
    return path.exists() and bool(stat.S_IMODE(path.stat().st_mode) & OTHERS)


def _variables(path: Path) -> Iterator[Told]:
    if not path.exists():
        yield ok("settings come from the environment; there is no .env")
        return
    if is_open(path):
        mode = stat.S_IMODE(path.stat().st_mode)
        yield warn(f"{path} can be read by others (mode {mode:o})", f"chmod 600 {path}")
    else:
        yield ok(".env is readable by its owner only")
