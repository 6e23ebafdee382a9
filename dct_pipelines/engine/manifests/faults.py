"""A fault of a manifest, and the errors that carry all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dct_pipelines.domain.errors import InvalidInput, NotPermitted

Path = tuple[str | int, ...]
"""Where in a document: keys and places, e.g. `("actions", 0, "config", "branch")`."""


def shown(path: Path) -> str:
    """A path as messages write it: `actions[0].config.branch`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: which file, which line (1 is the first; 0: no file), where in it, and what."""

    file: str
    line: int
    path: Path
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {shown(self.path)}: {self.message}" if self.path else f"{place}: {self.message}"


def _all(faults: Sequence[Fault], what: str) -> str:
    count = f"{len(faults)} faults" if len(faults) != 1 else "1 fault"
    return "\n".join([*map(str, faults), f"{count}; {what}"])


class InvalidManifests(InvalidInput):
    """The manifests have faults; correct them and apply again. Nothing was stored."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: (fault.file, fault.line, shown(fault.path))))
        super().__init__(_all(self.faults, "nothing was stored"))


class ManifestsNotPermitted(NotPermitted):
    """The manifests ask for what this role may not do; ask an operator. Nothing was stored."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(_all(self.faults, "nothing was stored"))
