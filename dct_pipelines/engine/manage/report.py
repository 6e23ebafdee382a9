"""What applying manifests did, or would do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from dct_pipelines.engine.manage.plan import Change, Verb


@dataclass(frozen=True)
class ApplyReport:
    """Every definition of the set and what became of it.

    `warnings` are sentences about what could not be read now; `new_jobs` are names of Dagster jobs that
    have to be loaded before their executions can start, which happens by itself.
    """

    changes: tuple[Change, ...]
    warnings: tuple[str, ...] = ()
    new_jobs: tuple[str, ...] = ()
    is_dry_run: bool = False

    @property
    def changed(self) -> tuple[Change, ...]:
        """What is not as it was."""
        return tuple(change for change in self.changes if change.verb is not Verb.UNCHANGED)

    def as_data(self) -> dict[str, Any]:
        """The report as plain data."""
        return {
            "dry_run": self.is_dry_run,
            "changes": [change.summary() for change in self.changes],
            "warnings": list(self.warnings),
            "new_jobs": list(self.new_jobs),
        }

    def __str__(self) -> str:
        counts = Counter(change.verb for change in self.changes)
        would = "would be " if self.is_dry_run else ""
        words = {
            Verb.CREATE: f"{would}created",
            Verb.UPDATE: f"{would}updated",
            Verb.DELETE: f"{would}deleted",
            Verb.UNCHANGED: "unchanged",
        }
        said = [f"{counts[verb]} {word}" for verb, word in words.items() if counts[verb]]
        return ", ".join(said) or "nothing"
