"""The tree as the architecture tests see it: files, parsed modules, imports."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "dct_pipelines"
HEADING = re.compile(r"^## `([a-z0-9_]+)`$", re.MULTILINE)


def python_files(*folders: str) -> list[Path]:
    """Every Python file below the folders, which are relative to the root."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    """The path relative to the root, as messages show it."""
    return path.relative_to(ROOT).as_posix()


def room_of(path: Path) -> str:
    """`clients` for dct_pipelines/clients/git.py, `settings` for dct_pipelines/settings.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def parsed(path: Path) -> ast.Module:
    """The module's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that the module imports, at any depth, also for types only."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def dotted_names(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every dotted expression, e.g. `os.environ.get`, longest form only."""
    inner: set[int] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            below = node.value
            while isinstance(below, ast.Attribute):
                inner.add(id(below))
                below = below.value
            if isinstance(below, ast.Name):
                yield node.lineno, ast.unparse(node)


def starts_with(dotted: str, prefixes: frozenset[str]) -> bool:
    """Whether the dotted name is one of the prefixes or lies below one."""
    parts = dotted.split(".")
    return any(".".join(parts[:length]) in prefixes for length in range(1, len(parts) + 1))


@cache
def tracked_files() -> tuple[Path, ...]:
    """Every file that git keeps or would add."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return tuple(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


def documents() -> list[Path]:
    """Every Markdown page."""
    return [path for path in tracked_files() if path.suffix == ".md"]


def reference_page(name: str) -> str:
    """A page of docs/reference; empty when it is not written yet."""
    page = ROOT / "docs/reference" / f"{name}.md"
    return page.read_text(encoding="utf-8") if page.exists() else ""


def sections(page: str) -> dict[str, str]:
    """What a page says under each heading of the form ## `kind`."""
    parts = HEADING.split(page)
    return dict(zip(parts[1::2], parts[2::2], strict=True))
