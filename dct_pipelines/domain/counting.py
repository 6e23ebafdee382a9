"""How many there are of something, as people say it."""

from __future__ import annotations


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 file`, `1,200 files`; with a verb in them: `counted(2, "branch is", "branches are")`."""
    return f"{count:,} {one if count == 1 else f'{one}s' if many is None else many}"
