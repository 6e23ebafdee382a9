"""What the git listener leaves behind for its next read, and how it tells repeats apart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class GitToken(BaseModel):
    """The resume token of a repository.

    `refs`, `asks` and `checks` are digests of what was handled completely. A page that is not the last one
    leaves `refs` empty, so that the next read compares again and finds what is left.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    epoch: datetime | None = None
    """When the first read took the repository as it was; None before it."""
    generation: int = 0
    """Pages stored since then. It stands in every dedup key: a head that goes A → B → A → B gives four
    keys, and a page that is read again because it was never stored gives the same ones."""
    refs: str = ""
    asks: str = ""
    checks: str = ""
    restless: tuple[str, ...] = ()
    """Target branches that were created or rewritten and against which not every branch is assessed yet."""
    notes: tuple[str, ...] = ()
    """What of the repository could not be used, as long as nothing changes."""
    empty_reads: int = 0
    """How often in a row the repository had no reference although it had some before."""

    def key(self, item_id: UUID, *facts: str) -> str:
        """The dedup key of an event of the page that is being made."""
        digest = hashlib.sha256("\n".join(facts).encode("utf-8", "replace")).hexdigest()[:32]
        started = self.epoch.isoformat() if self.epoch else ""
        return f"git {item_id} {started} {self.generation} {digest}"

    def stored(self) -> dict[str, Any]:
        """As JSON."""
        return self.model_dump(mode="json")


def digest_of_checks(checks: Mapping[str, Mapping[str, Any]]) -> str:
    """Equal for equal reports, whatever their order."""
    listed = sorted(
        (commit, name, repr(sorted(dict(report).items(), key=str)))
        for commit, reports in checks.items()
        for name, report in reports.items()
    )
    return hashlib.sha256(repr(listed).encode("utf-8", "replace")).hexdigest() if listed else ""
