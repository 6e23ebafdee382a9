"""How far an item was read: small, the same after JSON, and enough to go on after a death at any point."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict


class Sweep(BaseModel):
    """A re-read under way of all up to `top`: `position` is how far it came, downwards in a channel."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    top: str
    position: str


class ChatToken(BaseModel):
    """`epoch` is None before the first read. `watermark`: everything up to this ts has been read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    channel: str = ""
    name: str = ""
    link: str = ""
    root: str | None = None
    """The thread, when a thread is watched."""
    created: str = "0.000000"
    """The beginning of the channel."""
    written: str = ""
    """The location that the channel was found for."""
    epoch: str | None = None
    watermark: str = "0.000000"
    slice_seconds: float | None = None
    """How much is read at once while a long time has to be caught up, until `behind`."""
    behind: str | None = None
    """A message that was seen above what has been read."""
    sweep: Sweep | None = None
    swept_at: datetime | None = None

    def stored(self) -> dict[str, Any]:
        """As it is kept."""
        return self.model_dump(mode="json", exclude_none=True)
