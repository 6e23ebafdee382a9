"""Deliverables: what an execution must have produced to be complete, checked by us and never only claimed.

Written as `<step>.<output>`, e.g. `create_workspace.path`: the output must be there and not be empty, and
what names a file or directory must exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PLACES = ("path", "directory", "file")
"""An output that is named so, or ends so after an underscore, names something on disk."""


@dataclass(frozen=True)
class Missing:
    """A deliverable that is not there, and what was found instead."""

    deliverable: str
    because: str

    def __str__(self) -> str:
        return f"{self.deliverable}: {self.because}"


def is_place(output: str) -> bool:
    """Whether an output of that name is a path whose target must exist."""
    return output.rpartition("_")[2] in PLACES


def find_missing(
    wanted: Iterable[str],
    outputs: Mapping[str, Mapping[str, Any]],
    exists: Callable[[str, str], bool],
) -> tuple[Missing, ...]:
    """The deliverables that are not there. `outputs` are those of the steps that were done, by step.

    `exists(step, path)` says whether a path that the step named is there; a relative one belongs to the
    workspace of that step.
    """
    return tuple(
        Missing(deliverable, because)
        for deliverable in wanted
        if (because := _lacks(deliverable, outputs, exists)) is not None
    )


def _lacks(
    deliverable: str, outputs: Mapping[str, Mapping[str, Any]], exists: Callable[[str, str], bool]
) -> str | None:
    step, _, output = deliverable.partition(".")
    if step not in outputs:
        return f"the action {step} was not done"
    value = outputs[step].get(output)
    if value is None or value in ("", [], {}):
        return f"{step} gave no {output}"
    if is_place(output) and not (isinstance(value, str) and exists(step, value)):
        return f"{value} does not exist"
    return None
