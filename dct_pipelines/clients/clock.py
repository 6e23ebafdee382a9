"""The machine's clock."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    """The time now, UTC and aware."""

    def now(self) -> datetime:
        """The current time."""
        return datetime.now(UTC)
