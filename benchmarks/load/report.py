"""What is left of a run: JSON with everything, a table of the figures, plots."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.load.figures import Result, markdown
from benchmarks.load.plots import plot


def write(directory: Path, name: str, machine: Mapping[str, str], results: Sequence[Result]) -> None:
    """Write `<name>.json`, `<name>.md` and the plots."""
    directory.mkdir(parents=True, exist_ok=True)
    facts = "".join(f"{key}: {value}\n" for key, value in machine.items())
    found = {"machine": machine, "results": [asdict(result) for result in results]}
    (directory / f"{name}.json").write_text(json.dumps(found, indent=2) + "\n")
    (directory / f"{name}.md").write_text(f"```text\n{facts}```\n\n{markdown(results)}")
    for result in results:
        plot(result, directory / f"{name}-{file_name(result.scenario)}.svg")


def file_name(scenario: str) -> str:
    """A scenario's name as part of a file's."""
    words = "".join(letter if letter.isalnum() else " " for letter in scenario).split()
    return "-".join(words[:3]).lower()
