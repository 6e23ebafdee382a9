"""What a read of a hosted repository leaves behind for the next one: small, however large that is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from dct_pipelines.domain.hosting.keys import digest


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class WatchedHead(_Part):
    """A commit whose checks are asked for at every read: a branch's head, or that of pull requests."""

    commit: str
    since: datetime
    is_branch: bool = False
    numbers: tuple[int, ...] = ()
    """Open pull requests that have it as their head."""
    is_finished: bool = True
    """Whether none of its checks was pending when they were last read."""


class Drain(_Part):
    """A list that was not read to its end: `cursor` goes on, `as_of` is the host's time of its first page."""

    cursor: str
    as_of: datetime
    started: datetime


class Sweep(_Part):
    """The slow second look at all open pull requests, for what does not count as an update of them."""

    due_at: datetime
    cursor: str | None = None


class RequestsToken(_Part):
    """Of the pull requests. All times but the sweep's and `since` are the host's."""

    epoch: datetime | None = None
    """When the first read began to take them as they were; None before it."""
    generation: int = 0
    """Pages with events stored since then; stands in the key of every fact that is derived."""
    watermark: datetime | None = None
    """Everything updated before was handled; None until the first read is over."""
    read_at: datetime | None = None
    """When the last complete read of the list began."""
    drain: Drain | None = None
    sweep: Sweep | None = None
    watched: tuple[WatchedHead, ...] = ()
    missed: dict[int, int] = Field(default_factory=dict)
    """Pull requests that could not be read although they changed, and how often that was tried."""
    unread: tuple[int, ...] = ()
    """Those of them that the first read should have taken as they were."""
    reported: str = ""
    """A digest of the checks that were reported to us and handled."""

    def key(self, item_id: UUID, *facts: str) -> str:
        """The dedup key of a derived fact of the page that is being made."""
        started = self.epoch.isoformat() if self.epoch else ""
        return f"host {item_id} {started} {self.generation} {digest(*facts)}"


class HostToken(_Part):
    """Both parts; each is only ever written by the reading of its own part."""

    git: dict[str, Any] = Field(default_factory=dict)
    requests: RequestsToken = Field(default_factory=RequestsToken)

    def stored(self) -> Mapping[str, Any]:
        """As JSON."""
        return self.model_dump(mode="json")
