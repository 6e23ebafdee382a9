"""A module is read in one sitting, a function at one glance."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.architecture.tree import ROOT, name_of, parsed, python_files

MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 60
FOLDERS = ("dct_pipelines", "tests", "benchmarks", "examples")


@cache
def allowed() -> dict[str, dict[str, Any]]:
    return tomllib.loads((ROOT / "tests/architecture/allowed_sizes.toml").read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and lines of every function, without its decorators."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{name_of(path)}::{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def sizes() -> Iterator[tuple[str, int, int]]:
    """Name, lines and limit of every module and function."""
    for path in python_files(*FOLDERS):
        yield name_of(path), len(path.read_text(encoding="utf-8").splitlines()), MAX_MODULE_LINES
        yield from ((name, lines, MAX_FUNCTION_LINES) for name, lines in functions(path))


def test_modules_and_functions_stay_small():
    too_long = [
        f"{name}: {lines} lines, at most {allowance}"
        for name, lines, limit in sizes()
        if lines > (allowance := allowed().get(name, {}).get("lines", limit))
    ]
    assert not too_long, "\n".join(too_long)


def test_every_exception_is_needed_and_says_why():
    long = {name: lines for name, lines, limit in sizes() if lines > limit}
    stale = [name for name in allowed() if name not in long]
    unexplained = [name for name, entry in allowed().items() if not entry.get("reason", "").strip()]
    assert (stale, unexplained) == ([], [])
